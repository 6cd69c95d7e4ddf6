"""Files that are written whole or not at all, and folders that one process holds."""

import os
import shutil
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from recbole_micro.errors import UserError

if sys.platform != "win32":
    import fcntl

LOCK = "lock"


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write to, which takes the place of `path` at the end; a failure leaves `path` as it was."""
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")  # others may write it at the same time
    try:
        yield part
        os.replace(part, path)
    except OSError as error:  # a full disk is reported without the file's name
        error.filename = error.filename or str(path)
        raise
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path, replaces: Callable[[Path], bool] | None = None) -> Iterator[Path]:
    """A hidden folder beside `path` that takes its place when this closes cleanly, and vanishes otherwise.

    A folder that is there already is refused with UserError, but for one that `replaces` agrees to: it is
    moved away and removed once the new one is in its place.
    """
    path = Path(os.path.abspath(path))  # "." and ".." have no name to put others beside
    if (path.exists() or path.is_symlink()) and not (replaces and replaces(path)):
        raise UserError(f"{path} is there already: choose another folder, or replace it with --overwrite.")
    path.parent.mkdir(parents=True, exist_ok=True)
    mark = uuid.uuid4().hex
    part, old = (path.with_name(f".{path.name}.{mark}.{end}") for end in ("part", "old"))
    part.mkdir()
    try:
        yield part
        if path.exists():
            path.rename(old)
        part.rename(path)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def alone_in(out: Path) -> Iterator[None]:
    """Make the folder of a study and hold it while this is open.

    UserError where another process holds it: this one would remove the runs of that one.
    """
    out.mkdir(parents=True, exist_ok=True)
    with open(out / LOCK, "w", encoding="utf-8") as file:
        if sys.platform != "win32":  # no protection there
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UserError(
                    f"Another process is at work in {out}: wait for it, or choose another --out."
                ) from None
        for part in out.glob("*.part"):  # of a process that was killed
            part.unlink()
        yield
