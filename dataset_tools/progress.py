"""Progress bars that stay silent where nobody watches."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


def progress(steps: Iterable[T], label: str, total: int | None = None, unit: str = "block") -> Iterator[T]:
    """`steps` with a bar on a terminal's standard error."""
    yield from tqdm(steps, desc=label, total=total, unit=unit, disable=None, leave=False)
