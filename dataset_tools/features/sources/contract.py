"""What every reader of features offers."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np

Block = tuple[list[str] | None, np.ndarray]


class Source(Protocol):
    """`blocks()` yields (ids or None, values [r, width]).

    Sources without ids of their own know their `rows`; of the others it is None, as only reading tells.
    """

    path: Path
    width: int

    @property
    def rows(self) -> int | None: ...

    def blocks(self) -> Iterator[Block]: ...
