"""Files that are written whole or not at all, and files and folders that one process writes at a time.

What is relied on, also in a folder that several machines share: a rename replaces a file at once, and `flock`
tells processes apart (NFS since version 4, and 3 with its lock service).  Where a file system has no locks,
or the folder of a lock cannot be written, nothing is locked; files are whole there as well.
"""

import errno
import os
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if sys.platform != "win32":
    import fcntl

PARTIAL = ".partial"  # the end of the name of a file that is not whole yet
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
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


def sentence(error: OSError) -> str:
    """What the system refused, where, and what to do about it."""
    where = f"{error.filename}: " if error.filename else ""
    what = error.strerror or " ".join(str(error).split())
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
    while True:
        try:
            file = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            if error.errno in UNLOCKABLE:
                return None
            raise
        try:
            try:
                fcntl.flock(file, how | fcntl.LOCK_NB)
            except BlockingIOError:
                if not wait:
                    raise
                print(f"Another process is writing {what}: waiting for it.", file=sys.stderr, flush=True)
                fcntl.flock(file, how)
            # Who had it before has removed the file, and perhaps a third one has made it again.
            if lock.exists() and os.path.samestat(os.stat(lock), os.fstat(file)):
                return file
        except OSError as error:
            os.close(file)
            if error.errno in UNLOCKABLE:
                return None
            raise
        except BaseException:
            os.close(file)
            raise
        os.close(file)


def _let_go(lock: Path, file: int) -> None:
    """Remove the lock file, unless others share it, and let it go."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        lock.unlink(missing_ok=True)
    except OSError:
        pass  # another one shares it, and removes it
    finally:
        os.close(file)
