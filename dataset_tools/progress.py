"""The terminal: progress bars that stay silent where nobody watches, and characters that it lacks."""

import io
import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


def byte_bar(label: str, total: int | None, done: int = 0, shown: bool = True) -> tqdm:
    """A bar of bytes, of `total` where that is known, `done` of them before."""
    disable = None if shown else True  # None: where nobody watches
    return tqdm(
        total=total, initial=done, desc=label, unit="B", unit_scale=True, disable=disable, leave=False
    )


def readable(size: float) -> str:
    """A number of bytes for people: `1.2 GB`."""
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} GB"


def show_any_character() -> None:
    """A character that the terminal or file cannot hold is printed by its code, and ends nothing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def progress(steps: Iterable[T], label: str, total: int | None = None, unit: str = "block") -> Iterator[T]:
    """`steps` with a bar on a terminal's standard error."""
    yield from tqdm(steps, desc=label, total=total, unit=unit, disable=None, leave=False)
