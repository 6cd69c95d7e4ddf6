"""Several training processes on this machine: how they are started, and what is said when one fails."""

import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch.multiprocessing as mp

from recbole_micro.errors import UserError
from recbole_micro.options.config import command_line, own_command_line

TIME_TO_END = 15  # seconds that interrupted processes have


class TrainingArguments(NamedTuple):
    """What `run` was called with: model, data set, files and dictionary of options, whether to save."""

    model: str | type | None
    dataset: str | None
    files: Sequence[str] | None
    options: dict[str, Any]
    saved: bool


def spawn(
    train: Callable[..., dict], group: dict[str, Any], arguments: TrainingArguments
) -> dict[str, Any] | None:
    """Run `train(*arguments)` in `nproc` processes; the result of the first.  Where one fails, all are ended.

    `train` is a module's function; `group`: the launch options nproc, world_size, ip, port and offset, which
    every process gets among its options.  Raises UserError for a mistake of the user's that a process finds.
    """
    queue, others = mp.get_context("spawn").SimpleQueue(), mp.active_children()
    try:
        mp.spawn(train_process, (train, queue, group, command_line(), arguments), nprocs=group["nproc"])
    except KeyboardInterrupt:  # perhaps while they are started
        started = [process for process in mp.active_children() if process not in others]
        started.sort(key=lambda process: process.pid or 0)  # the first one, which reports, before the others
        raise KeyboardInterrupt(end(started, queue)) from None
    except mp.ProcessExitedException as error:
        # The first message is that of the process that failed first, whichever was seen to end first.
        kind, message = ("none", "") if queue.empty() else queue.get()
        if kind == "mistake":
            raise UserError(message) from None
        if kind == "crash":
            raise RuntimeError(f"A process of this training failed:\n{message}") from None
        raise UserError(
            f"A process of this training ended early ({error}): see its messages; without any it was killed, "
            "perhaps for want of memory."
        ) from None
    return None if queue.empty() else queue.get()[1]


def end(processes: list, queue: Any) -> str:
    """Interrupt the processes that an interrupt has not reached; what the first says of its checkpoint.

    `queue` holds pairs (kind, text or result) that the processes sent: see `train_process`.
    """
    for process in processes:
        process.join(1)
        if process.is_alive():
            os.kill(process.pid, signal.SIGINT)
    for process in processes:
        process.join(TIME_TO_END)
        process.kill()
    said = {}
    while not queue.empty():
        kind, message = queue.get()
        said[kind] = message
    return said.get("interrupted", "")


def train_process(
    rank: int,
    train: Callable[..., dict],
    queue: Any,
    group: dict[str, Any],
    line: dict[str, str],
    arguments: TrainingArguments,
) -> None:
    """One of several training processes; its mistake or crash, or the first's result, goes to the queue.

    `rank`: its number on this machine; `line`: the options of the parent's command line.
    """
    options = {**arguments.options, **group, "local_rank": rank}
    try:
        with own_command_line(line):
            result = train(*arguments._replace(options=options))
    except KeyboardInterrupt as error:
        if rank == 0:
            queue.put(("interrupted", str(error)))
        sys.exit(130)
    except UserError as error:
        queue.put(("mistake", str(error)))
        sys.exit(2)
    except Exception as error:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # it may be why the connection to another one broke
        queue.put(("crash", traceback.format_exc()))
        if rank == 0:
            queue.put(("interrupted", getattr(error, "how_to_resume", "")))
        sys.exit(1)
    if rank == 0:
        queue.put(("result", result))
