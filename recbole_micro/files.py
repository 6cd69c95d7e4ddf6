"""Files that are written whole or not at all, and folders that one process holds."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recbole_micro.errors import UserError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

LOCK = "lock"


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    part = path.with_name(f"{path.name}.part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)


@contextmanager
def alone_in(out: Path) -> Iterator[None]:
    """Hold the folder of a study; UserError where another process does, whose runs this one would remove."""
    out.mkdir(parents=True, exist_ok=True)
    with open(out / LOCK, "w") as file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UserError(
                    f"Another process is at work in {out}: wait for it, or choose another --out."
                ) from None
        yield
