"""Files that are written whole or not at all, and files and folders that one process writes at a time.

What is relied on, also in a folder that several machines share: a rename replaces a file at once, and `flock`
tells processes apart (NFS since version 4, and 3 with its lock service; GlusterFS; not SSHFS, whose locks are
one machine's).  Where a file system has no locks, or the folder of a lock cannot be written, nothing is
locked; files are whole there as well.
"""

import errno
import os
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

if sys.platform != "win32":
    import fcntl

Content = TypeVar("Content")
PARTIAL = ".partial"  # the end of the name of a file that is not whole yet
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
REPLACED = getattr(errno, "ESTALE", None)  # the file's place is another one's, by another machine
GONE = (errno.ENOENT, REPLACED)  # GlusterFS says the one or the other
PAUSES = (0, 0.01, 0.1, 0.5, 1, 2)  # seconds; a name may lead to what is gone for a second or more
UNLOCKABLE = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EACCES, errno.EPERM, errno.EROFS, errno.EBADF)


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """The path of a new file to write, which takes the place of `path` at the end; else the old one stays.

    Its name is nobody else's, so processes that write the same file do not meet; it is hidden.  An OSError
    names `path`.
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}{PARTIAL}")
    try:
        with naming(path):
            yield part
            os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let an error of the system say which file it is about: what fails to write has no name in it."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or " ".join(str(error).split())
        if error.errno is not None:
            reason = os.strerror(error.errno)
        raise type(error)(error.errno, reason, str(path)) from error


def write_text(path: str | Path, text: str) -> None:
    """Write a file whole or not at all, in UTF-8."""
    with replacing(path) as part, open(part, "w", encoding="utf-8", newline="") as file:
        file.write(text)


def whole(read: Callable[[], Content]) -> Content:
    """What `read()` returns, which opens and reads a file that is there and that others may replace.

    On one machine it goes on with the file that it has opened.  In a folder that several machines share that
    file is gone once another one puts a new file in its place: then the new one is read.
    """
    for pause in PAUSES:
        try:
            return read()
        except OSError as error:
            if error.errno not in GONE:
                raise
        time.sleep(pause)
    return read()


def sentence(error: OSError) -> str:
    """What the system refused, where, and what to do about it."""
    where = f"{error.filename}: " if error.filename else ""
    what = error.strerror or " ".join(str(error).split())
    if error.errno == REPLACED:
        return f"{where}{what}; another machine has replaced it meanwhile: start again."
    full = error.errno in FULL or "No space left" in what or "File too large" in what
    advice = "free some space, or choose another folder" if full else "check the path and its permissions"
    return f"{where}{what}; what was there before is unchanged: {advice}."


@contextmanager
def held(lock: Path, what: object, wait: bool = True, shared: bool = False) -> Iterator[None]:
    """Hold a lock file, which is there only meanwhile; `shared`: together with others who share it.

    Where another process holds it: say so and wait, or without `wait` raise BlockingIOError.  `what` is the
    file or folder that it stands for, in that sentence.  A killed process holds nothing.
    """
    file = _locked(lock, what, wait, shared)
    try:
        yield
    finally:
        if file is not None:
            _let_go(lock, file)


def _locked(lock: Path, what: object, wait: bool, shared: bool) -> int | None:
    """The open lock file once it is ours; None where there are no locks."""
    if sys.platform == "win32":
        return None
    how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    told = ""
    while True:
        with ExitStack() as stack:
            try:
                file = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
                stack.callback(_close, file)
                try:
                    fcntl.flock(file, how | fcntl.LOCK_NB)
                except BlockingIOError:
                    if not wait:
                        raise
                    if not told:
                        told = f"Another process is writing {what}: waiting for it."
                        print(told, file=sys.stderr, flush=True)
                    fcntl.flock(file, how)
                if _is_in_place(lock, file):
                    stack.pop_all()
                    return file
            except OSError as error:
                if error.errno in GONE and lock.parent.exists():
                    continue
                if error.errno in UNLOCKABLE:
                    return None
                raise


def _is_in_place(lock: Path, file: int) -> bool:
    """Whether an open file still has the name of the lock: who held it has removed it.

    What another machine did may be unknown here for seconds; the answer to a change tells it.
    """
    os.utime(file)
    state = os.fstat(file)
    return state.st_nlink > 0 and os.path.samestat(os.stat(lock), state)


def _close(file: int) -> None:
    """Close a lock file, which may be gone: then some systems say so."""
    with suppress(OSError):
        os.close(file)


def _let_go(lock: Path, file: int) -> None:
    """Remove the lock file, unless others share it, and let it go."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        lock.unlink(missing_ok=True)
    except OSError:
        pass  # another one shares it, and removes it
    finally:
        _close(file)
