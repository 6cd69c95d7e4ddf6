"""Folders that are written whole or not at all, and the folder of a study, which one process holds."""

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from dataset_tools.files import PARTIAL, held
from recbole_micro.errors import UserError

LOCK = "lock"


@contextmanager
def whole_folder(path: Path, replaces: Callable[[Path], bool] | None = None) -> Iterator[Path]:
    """A hidden folder beside `path` that takes its place when this closes cleanly, and vanishes otherwise.

    A folder that is there already is refused with UserError, but for one that `replaces` agrees to: it is
    moved away and removed once the new one is in its place.
    """
    path = Path(os.path.abspath(path))  # "." and ".." have no name to put others beside
    if (path.exists() or path.is_symlink()) and not (replaces and replaces(path)):
        if replaces:
            raise UserError(f"{path} is none of what --overwrite replaces: choose another folder.")
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
    with ExitStack() as stack:
        try:
            stack.enter_context(held(out / LOCK, out, wait=False))
        except BlockingIOError:
            raise UserError(
                f"Another process is at work in {out}: wait for it, or choose another --out."
            ) from None
        remove_partial(out)
        yield


def remove_partial(out: Path) -> None:
    """Remove what a process that was killed had not finished writing."""
    for part in out.glob(f".*{PARTIAL}"):
        part.unlink()
