"""The folder of a study, which one process holds."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from dataset_tools.files import PARTIAL, held
from recbole_micro.errors import UserError

LOCK = "lock"


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
