"""Several models x settings x seeds, each run in a process and a folder of its own, into one table.

A run whose folder has a result is never repeated, so a study that was killed goes on where it stopped.
"""

import json
import math
import os
import shutil
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import pandas as pd
import torch
import yaml
from tqdm import tqdm

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

from recbole_micro import hooks, own_models
from recbole_micro import options as declarations
from recbole_micro.checkpoint import plain
from recbole_micro.config import Config, own_command_line
from recbole_micro.errors import UserError
from recbole_micro.forecast import Forecast, duration
from recbole_micro.parsing import Loader, parse, parse_strings, read_yaml
from recbole_micro.run_folder import LOG, OPTIONS, RESULT, write_text

ROOT = Path(__file__).resolve().parent.parent
WORKER = (sys.executable, "-m", "recbole_micro.run_folder")
ERROR, RESULTS, LOCK = "error.txt", "results.csv", "lock"


@dataclass(frozen=True)
class Run:
    """One training; `setting` holds the options in which it differs from the model's other runs."""

    model: str
    seed: int
    setting: Mapping
    options: Mapping

    @property
    def label(self) -> str:
        """The model and its setting, for people."""
        changes = ", ".join(f"{name}={value}" for name, value in self.setting.items())
        return f"{self.model} ({changes})" if changes else self.model

    @property
    def folder(self) -> str:
        """The name of the run's folder."""
        text = "-".join([self.model, *(f"{name}={value}" for name, value in self.setting.items())])
        return "".join(c if c.isalnum() or c in "-=._" else "_" for c in text) + f"-seed{self.seed}"

    @property
    def text(self) -> str:
        """All options, as the run's process reads them."""
        return yaml.safe_dump(plain({**self.options, **self.setting, "model": self.model, "seed": self.seed}))


def grid(models: Sequence[str], seeds: Iterable[int], vary: Mapping | None = None, **options) -> list[Run]:
    """Every model with every combination of the values in `vary` (option: values) and every seed.

    A model that does not have an option of `vary` runs without it.  `options` are the same for all runs.
    """
    runs: dict[str, Run] = {}
    everywhere = [declarations.declared(model, str(options.get("dataset", ""))) for model in models]
    for name in vary or {}:
        if not any(name in declared for declared in everywhere):
            raise UserError(f"None of {', '.join(models)} has the option {name} that --vary names.")
    for model, declared in zip(models, everywhere, strict=True):
        names = [name for name in vary or {} if name in declared]
        for values in product(*((vary or {})[name] for name in names)):
            for seed in seeds:
                run = Run(model, seed, dict(zip(names, values, strict=True)), options)
                runs[run.folder] = run
    return list(runs.values())


def read_seeds(text: str, first: int = 2020) -> list[int]:
    """`5`: that many seeds from `first` on; `1,2,3`: these seeds."""
    values = [parse(item) for item in parse_strings(text)]
    if not values or not all(type(value) is int and value >= 0 for value in values) or values == [0]:
        raise UserError(f"--seeds is {text!r}: write how many, or the seeds between commas.")
    return list(range(first, first + values[0])) if len(values) == 1 and "," not in text else values


def read_vary(text: str) -> dict[str, list]:
    """`knn_k=5,10; beta=0.01,0.1` as `{option: values}`."""
    found = {}
    for part in filter(str.strip, text.split(";")):
        name, equals, values = part.partition("=")
        name = name.strip()
        if not equals:
            raise UserError(f"--vary has {part!r}: write option=value,value; option=value,value.")
        if name not in declarations.known_names():
            raise UserError(
                f"There is no option {name!r} (--vary){declarations.hint(name, declarations.known_names())}"
            )
        if name in ("model", "dataset", "seed"):
            raise UserError(f"--vary has {name}: a study has one data set; use --models and --seeds.")
        if name in found:
            raise UserError(f"--vary has {name} twice: write its values in one list.")
        found[name] = [parse(value) for value in parse_strings(values)]
        if not found[name]:
            raise UserError(f"--vary has no value for {name}: write {name}=value,value.")
    return found


def read_options(files: Sequence[str], given: Mapping) -> dict:
    """The options of the files and the command line as one dictionary that is good in any folder.

    Loads the files of `plugins`, whose options may be varied.
    """
    values: dict = {"data_path": "dataset"}
    for file in files:
        values.update(read_yaml(file))
    values.update(given)
    if values.get("resume"):
        raise UserError("resume continues one training: give it to recbole-micro train.")
    if isinstance(values.get("data_path"), str):
        values["data_path"] = os.path.abspath(values["data_path"])
    if values.get("plugins"):
        values["plugins"] = own_models.load(values["plugins"])
    return values


def check(runs: Iterable[Run]) -> None:
    """Raise UserError for options that cannot work, before anything runs; prepare a missing data set once."""
    checked = {(run.model, run.label): run for run in runs}
    with own_command_line({}):
        for run in checked.values():
            config = Config(config_dict=yaml.load(run.text, Loader=Loader))
            if hooks.missing_files(config):
                hooks.prepare(config["dataset"], Path(config["data_path"]))


def run_all(
    runs: Sequence[Run],
    out: str | Path,
    workers: int | None = None,
    command: Sequence[str] = WORKER,
    timings: Mapping | None = None,
) -> pd.DataFrame:
    """Run what has no result yet, `workers` at a time, sharing out the cores; the table of results.

    `workers` is one per core by default, one where there is a CUDA device.  A run that fails is reported, and
    the rest go on.  `command` is the program that gets a run's folder as its argument.  With `timings` (of
    `forecast`) the longest runs come first.
    """
    with alone_in(Path(out)):
        return run_missing(runs, Path(out), workers, command, timings)


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


def run_missing(
    runs: Sequence[Run], out: Path, workers: int | None, command: Sequence[str], timings: Mapping | None
) -> pd.DataFrame:
    """`run_all` in a folder that nobody else is at work in."""
    forecast = forecast_of(runs, out, timings)
    pending = forecast.longest_first(run for run in runs if not is_finished(run, out))
    pool = Pool(pending, out, *share(workers, len(runs)), command)
    done = len(runs) - len(pending)
    with tqdm(total=len(runs), initial=done, unit="run", disable=None) as bar, closing(pool.ended()) as ended:
        for run, process in ended:
            done += 1
            bar.update()
            bar.write(f"{done}/{len(runs)}: {finish(run, out, process, forecast)}", file=sys.stderr)
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


def share(workers: int | None, runs: int) -> tuple[int, int]:
    """(processes at a time, threads of each) for so many runs, finished ones counted.

    An interruption changes neither: the number of threads can change the last digits of a result.
    """
    cores = available_cores()
    workers = min(workers or (1 if torch.cuda.is_available() else cores), max(runs, 1))
    return workers, max(1, cores // workers)


class Pool:
    """Processes of runs, `workers` at a time with so many `threads` each."""

    def __init__(self, runs: Sequence[Run], out: Path, workers: int, threads: int, command: Sequence[str]):
        self.queue, self.active = deque(runs), {}
        self.out, self.workers, self.threads, self.command = out, workers, threads, command

    def ended(self) -> Iterator[tuple[Run, subprocess.Popen]]:
        """Start the runs in their order; each as soon as it has ended.  Closing it kills what still runs."""
        try:
            while self.queue or self.active:
                while self.queue and len(self.active) < self.workers:
                    run = self.queue.popleft()
                    self.active[start(run, self.out, self.command, self.threads)] = run, time.monotonic()
                time.sleep(0.05)
                for process in [process for process in self.active if process.poll() is not None]:
                    process.stdin.close()
                    yield self.active.pop(process)[0], process
        finally:
            for process in self.active:
                process.kill()
                process.wait()

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


def is_finished(run: Run, out: Path) -> bool:
    """Whether the run has a result; UserError where that is the result of other options."""
    folder = out / "runs" / run.folder
    if not (folder / RESULT).is_file():
        return False
    if (folder / OPTIONS).read_text(encoding="utf-8") != run.text:
        raise UserError(
            f"{folder} holds a finished run with other options: choose another --out, or remove that folder."
        )
    return True


def start(run: Run, out: Path, command: Sequence[str], threads: int) -> subprocess.Popen:
    """Start the run in a fresh folder."""
    folder = (out / "runs" / run.folder).resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_text(folder / OPTIONS, run.text)
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    environment |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    with open(folder / LOG, "wb") as log:
        return subprocess.Popen(
            [*command, str(folder)],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def finish(run: Run, out: Path, process: subprocess.Popen, forecast: Forecast) -> str:
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


def read_result(run: Run, out: Path) -> dict:
    """What the finished run has written."""
    return json.loads((out / "runs" / run.folder / RESULT).read_text(encoding="utf-8"))


def write_results(runs: Sequence[Run], out: Path) -> pd.DataFrame:
    """Write `results.csv`, one row per run, from what the folders hold; the table."""
    table = pd.DataFrame([row(run, out) for run in runs])
    write_text(out / RESULTS, table.to_csv(index=False))
    return table


def row(run: Run, out: Path) -> dict:
    """A run's line in the table: what it is, its state, validation and test metrics."""
    folder = out / "runs" / run.folder
    nested = {name: str(value) for name, value in run.setting.items() if isinstance(value, (list, Mapping))}
    setting = {**run.setting, **nested}
    cells = {"label": run.label, "model": run.model, **setting, "seed": run.seed}
    cells |= {"status": "missing", "folder": f"runs/{run.folder}", "error": ""}
    if (folder / ERROR).is_file():
        cells |= {"status": "failed", "error": (folder / ERROR).read_text(encoding="utf-8")}
    if (folder / RESULT).is_file():
        result = read_result(run, out)
        cells |= {"status": "finished", "trained epochs": result["epochs"], "protocol": result["protocol"]}
        cells |= {f"valid {name}": value for name, value in result["valid"].items()}
        cells |= {f"test {name}": value for name, value in result["test"].items()}
    return cells
