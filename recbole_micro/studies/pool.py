"""Several models x settings x seeds, each run in a process and a folder of its own, into one table.

A run whose folder has a result is never repeated, so a study that was killed goes on where it stopped.
"""

import math
import os
import shutil
import subprocess
import sys
import time
from collections import deque
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import IO, Protocol, cast

import pandas as pd
import torch
from tqdm import tqdm

from dataset_tools.files import write_text
from recbole_micro.files import alone_in
from recbole_micro.studies.forecast import Forecast, duration
from recbole_micro.studies.results import ERROR, is_finished, read_result, write_results
from recbole_micro.studies.runs import Run
from recbole_micro.studies.worker import LOG, OPTIONS, RESULT

ROOT = Path(__file__).resolve().parents[2]  # of the packages, for the processes of the runs
WORKER = (sys.executable, "-m", "recbole_micro.studies.worker")


class Process(Protocol):
    """A run that was started."""

    returncode: int | None

    def poll(self) -> int | None:
        """The exit code, None while it runs."""

    def close(self) -> None:
        """End it if it still runs, and let go of what it held."""


class Engine:
    """Where the runs of a study go: this one starts processes on this machine.

    Used in a `with` statement, which may be nested: what it needs is there while one is open.
    """

    def __enter__(self) -> "Engine":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def shares(self, workers: int | None, runs: Sequence[Run]) -> tuple[int, int]:
        """(processes at a time, threads of each) for these runs, finished ones among them.

        An interruption changes neither: the number of threads can change the last digits of a result.
        """
        return share_cores(workers, len(runs))

    def start(self, run: Run, out: Path, command: Sequence[str], threads: int) -> Process:
        """Start `command FOLDER` with the run's fresh folder."""
        return start_run(run, out, command, threads)


def run_all(
    runs: Sequence[Run],
    out: str | Path,
    workers: int | None = None,
    command: Sequence[str] = WORKER,
    timings: Mapping | None = None,
    engine: Engine | None = None,
) -> pd.DataFrame:
    """Run what has no result yet, `workers` at a time, sharing out the cores; the table of results.

    `workers` is one per core by default, one where there is a CUDA device.  A run that fails is reported, and
    the rest go on.  `command` is the program that gets a run's folder as its argument.  With `timings` (see
    `Forecast`) the longest runs come first.  `engine`: where they run; by default on this machine.
    """
    with alone_in(Path(out)):
        return run_missing(runs, Path(out), workers, command, timings, engine or Engine())


def run_missing(
    runs: Sequence[Run],
    out: Path,
    workers: int | None,
    command: Sequence[str],
    timings: Mapping | None,
    engine: Engine,
) -> pd.DataFrame:
    """`run_all` in a folder that nobody else is at work in."""
    forecast = forecast_of(runs, out, timings)
    pending = forecast.longest_first(run for run in runs if not is_finished(run, out))
    done = len(runs) - len(pending)
    if not pending:
        return write_results(runs, out)
    with engine, tqdm(total=len(runs), initial=done, unit="run", disable=None) as bar:
        pool = Pool(pending, out, *engine.shares(workers, runs), command, engine)
        with closing(pool.ended()) as ended:
            for run, process in ended:
                done += 1
                bar.update()
                bar.write(f"{done}/{len(runs)}: {finish_run(run, out, process, forecast)}", file=sys.stderr)
                left = forecast.left(pool.queue, pool.running(), pool.workers)
                if done < len(runs) and not math.isnan(left):
                    bar.write(f"about {duration(left)} to go", file=sys.stderr)
                write_results(runs, out)
    return write_results(runs, out)


def forecast_of(runs: Sequence[Run], out: Path, timings: Mapping | None = None) -> Forecast:
    """A forecast that knows the finished runs."""
    forecast = Forecast(timings)
    for run in runs:
        if is_finished(run, out):
            forecast.add(run, read_result(run, out))
    return forecast


def share_cores(workers: int | None, runs: int) -> tuple[int, int]:
    """(processes at a time, threads of each) of this machine for so many runs."""
    cores = available_cores()
    workers = min(workers or (1 if torch.cuda.is_available() else cores), max(runs, 1))
    return workers, max(1, cores // workers)


class Pool:
    """Processes of runs, `workers` at a time with so many `threads` each, where the `engine` starts them."""

    def __init__(
        self,
        runs: Sequence[Run],
        out: Path,
        workers: int,
        threads: int,
        command: Sequence[str],
        engine: Engine | None = None,
    ):
        self.queue = deque(runs)
        self.active: dict[Process, tuple[Run, float]] = {}  # process -> run, when it started
        self.out, self.workers, self.threads, self.command = out, workers, threads, command
        self.engine = engine or Engine()

    def ended(self) -> Generator[tuple[Run, Process], None, None]:
        """Start the runs in their order; yields each at its end.  Closing this kills what still runs."""
        try:
            while self.queue or self.active:
                while self.queue and len(self.active) < self.workers:
                    run = self.queue.popleft()
                    process = self.engine.start(run, self.out, self.command, self.threads)
                    self.active[process] = run, time.monotonic()
                time.sleep(0.05)
                for process in [process for process in self.active if process.poll() is not None]:
                    process.close()
                    yield self.active.pop(process)[0], process
        finally:
            for process in self.active:
                process.close()

    def finish(self) -> None:
        """Run them all, whatever becomes of them."""
        for _ in self.ended():
            pass

    def running(self) -> list[tuple[Run, float]]:
        """The active runs and the seconds since their start."""
        return [(run, time.monotonic() - since) for run, since in self.active.values()]


def available_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Child(subprocess.Popen):
    """A process of this machine that ends when its standard input closes."""

    def close(self) -> None:
        """Kill it if it still runs, and let go of its standard input."""
        if self.poll() is None:
            self.kill()
            self.wait()
        cast(IO[bytes], self.stdin).close()


def start_run(run: Run, out: Path, command: Sequence[str], threads: int) -> Child:
    """Start `command FOLDER` with the run's fresh folder; it is to end when its standard input closes."""
    return start_in(fresh_folder(run, out), command, threads)


def fresh_folder(run: Run, out: Path) -> Path:
    """The run's folder with its options and nothing else."""
    folder = (out / "runs" / run.folder).resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_text(folder / OPTIONS, run.text)
    return folder


def start_in(folder: Path, command: Sequence[str], threads: int, **environment: str) -> Child:
    """Start `command FOLDER` with so many threads, its output in the folder's log."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **environment}
    environment |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    with open(folder / LOG, "wb") as log:
        return Child(  # nosec B603 # this Python and a module of ours, without a shell
            [*command, str(folder)],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def finish_run(run: Run, out: Path, process: Process, forecast: Forecast) -> str:
    """What became of the run, in one line; keeps its time, or the reason of its failure."""
    folder, name = out / "runs" / run.folder, f"{run.label}, seed {run.seed}"
    if process.returncode == 0 and (folder / RESULT).is_file():
        result = read_result(run, out)
        forecast.add(run, result)
        return f"{name} finished" + (f" in {duration(result['seconds'])}" if "seconds" in result else "")
    (folder / RESULT).unlink(missing_ok=True)
    lines = (folder / LOG).read_text(encoding="utf-8", errors="replace").strip().splitlines()
    reason = lines[-1] if lines else f"exit code {process.returncode}"
    write_text(folder / ERROR, reason)
    return f"{name} failed: {reason} (see {folder / LOG})"
