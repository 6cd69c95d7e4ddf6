"""Logs that are nobody else's, and that end no training where the disk is full."""

import logging
import os
import sys
import threading
from collections.abc import Callable
from itertools import count
from typing import Any

from colorama.ansitowin32 import StreamWrapper
from colorama.initialise import wrap_stream


class LogFile(logging.FileHandler):
    """A new log, in UTF-8, whose file no other process has: `name.log`, `name-2.log`, ...

    Where it cannot be written any more, one warning says so on standard error, and the program goes on.
    """

    def __init__(self, path: str):
        stem, end = os.path.splitext(path)
        self.warned = False
        for number in count(1):
            try:
                super().__init__(path if number == 1 else f"{stem}-{number}{end}", mode="x", encoding="utf-8")
                return
            except FileExistsError:  # of a run that started in the same second
                continue

    def handleError(self, record: logging.LogRecord) -> None:
        """Called by `logging` where a line could not be written."""
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            self.warn(error)
        else:
            super().handleError(record)

    def warn(self, error: OSError) -> None:
        """Say once that lines are missing."""
        if not self.warned:
            self.warned = True
            say_that_it_goes_on(self.baseFilename, error)

    def close(self) -> None:
        try:
            super().close()
        except OSError as error:
            self.warn(error)


def wrap_screen() -> None:
    """What `colorama.init(autoreset=True)` does, to streams that it has not wrapped yet."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, StreamWrapper):
            setattr(sys, name, wrap_stream(stream, None, None, autoreset=True, wrap=True))


def say_that_it_goes_on(path: str, error: OSError) -> None:
    """One line on standard error about a log that cannot be written."""
    print(
        f"warning: {path} cannot be written ({error.strerror or error}): the program goes on, and what "
        "follows may be missing there until there is space.",
        file=sys.stderr,
        flush=True,
    )


class CurvesThatMayFail:
    """TensorBoard's writer, without which a training goes on where the disk is full."""

    def __init__(self, make: Callable[[], Any]):
        self.writer: Any = None
        self.guarded(lambda: setattr(self, "writer", make()))

    def guarded(self, write: Callable[[], Any]) -> Any:
        """What `write` returns; where the system refuses it, a warning, and nothing from then on."""
        try:
            return write()
        except OSError as error:
            self.writer = None
            say_that_it_goes_on("the folder log_tensorboard", error)
            return None

    def __getattr__(self, name: str) -> Callable:
        def method(*arguments: Any, **named: Any) -> Any:
            if self.writer is not None:
                return self.guarded(lambda: getattr(self.writer, name)(*arguments, **named))

        return method


def curves_that_may_fail(original: Callable) -> Callable:
    """RecBole's `get_tensorboard` as `CurvesThatMayFail`."""

    def get_tensorboard(logger: logging.Logger) -> CurvesThatMayFail:
        keep_writers_quiet()
        return CurvesThatMayFail(lambda: original(logger))

    return get_tensorboard


def keep_writers_quiet() -> None:
    """No traceback of TensorBoard's thread, whose error the next call raises again."""
    usual = threading.excepthook
    if getattr(usual, "knows_writers", False):
        return

    def hook(failed: Any) -> None:
        from_writer = type(failed.thread).__module__.startswith("tensorboard.")
        if not (from_writer and isinstance(failed.exc_value, OSError)):
            usual(failed)

    hook.knows_writers = True  # type: ignore[attr-defined]
    threading.excepthook = hook
