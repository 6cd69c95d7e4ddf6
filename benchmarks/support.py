"""What the benchmarks share: arguments, child processes, time and memory, rows kept in CSV files."""

import argparse
import inspect
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
RESULTS = HERE / "results"
SHARED = ROOT.parent / "shared" / "data"


def parser(text: str | None) -> argparse.ArgumentParser:
    """A parser whose `--help` shows a script's docstring as it stands."""
    return argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)


class Child(NamedTuple):
    """What became of a child process; `signal` is the name of the one that ended it, else empty."""

    output: str
    errors: str
    code: int
    signal: str
    cpu: float


def run_child(
    command: Sequence[str],
    folder: str | Path,
    threads: int | None = None,
    cpu_limit: int | None = None,
    text: str = "",
    variables: Mapping[str, str] | None = None,
) -> Child:
    """Run a command that can import this checkout in a folder, with `text` as its standard input.

    `threads` of its libraries; without it, as the environment says.  `cpu_limit`: CPU seconds.  `variables`:
    others of the environment.
    """

    def limit() -> None:
        if cpu_limit is not None:
            resource.setrlimit(resource.RLIMIT_CPU, (cpu_limit, cpu_limit))

    path = os.pathsep.join([str(HERE), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, **(variables or {}), "PYTHONPATH": path}
    if threads is not None:
        environment |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    before = cpu_of_children()
    done = subprocess.run(  # nosec B603 # what a script of this folder asks for, without a shell
        command, cwd=folder, env=environment, input=text, capture_output=True, text=True, preexec_fn=limit
    )
    ended_by = signal.Signals(-done.returncode).name if done.returncode < 0 else ""
    return Child(done.stdout, done.stderr, done.returncode, ended_by, cpu_of_children() - before)


def call(function: Callable, *arguments, threads: int | None = None) -> Any:
    """What a function of a benchmark returns in a fresh process and an empty folder.

    Arguments and result travel as JSON.  The child has no command line, which RecBole would read.
    """
    asked = {
        "module": Path(inspect.getfile(function)).stem,
        "name": function.__name__,
        "arguments": arguments,
    }
    command = [sys.executable, "-W", "ignore", "-c", "import support; support.answer()"]
    with tempfile.TemporaryDirectory() as folder:
        done = run_child(command, folder, threads, text=json.dumps(asked))
    if done.code:
        sys.exit(f"{done.errors}{asked['name']} failed in a process of its own (exit code {done.code}).")
    return json.loads(done.output.splitlines()[-1])


def answer() -> None:
    """In the child of `call`: do what standard input asks for, print the result as the last line."""
    asked = json.load(sys.stdin)
    function = getattr(__import__(asked["module"]), asked["name"])
    print("\n" + json.dumps(function(*asked["arguments"])), flush=True)


def cpu_of_children() -> float:
    """CPU seconds of the child processes that have ended so far."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Clocked(NamedTuple):
    """What an action returned, its wall-clock and its CPU seconds."""

    value: Any
    seconds: float
    cpu: float


def clocked(action: Callable[[], Any]) -> Clocked:
    """Do it and take its time."""
    start, cpu = time.perf_counter(), time.process_time()
    value = action()
    return Clocked(value, time.perf_counter() - start, time.process_time() - cpu)


def peak_memory() -> int:
    """Largest resident size of this process so far, or since `forget_peak`, bytes (Linux)."""
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


def forget_peak() -> None:
    """Let `peak_memory` start from the present size (Linux)."""
    with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")


def kept(file: Path) -> pd.DataFrame:
    """The rows of a CSV file, none where it is absent; empty cells are empty texts."""
    return pd.read_csv(file, keep_default_na=False) if file.exists() else pd.DataFrame()


def keep(file: Path, row: dict) -> None:
    """Add a row, and columns that the file lacks, as soon as it is measured."""
    pd.concat([kept(file), pd.DataFrame([row])]).to_csv(file, index=False)


def finished(file: Path, key: dict) -> bool:
    """Whether the file has a row with these values."""
    rows = kept(file)
    return not rows.empty and bool((rows[list(key)] == pd.Series(key)).all(axis=1).any())


def add_run_arguments(arguments: argparse.ArgumentParser, file: str, seeds: str) -> None:
    """The data set, seeds and options of trainings whose rows are kept in a file of `results/`."""
    arguments.add_argument("--dataset", default="baby", metavar="NAME")
    arguments.add_argument("--data-path", type=Path, default=Path("dataset"), metavar="DIR")
    arguments.add_argument("--split-seed", type=int, default=0, metavar="N", help="which items are cold")
    arguments.add_argument("--seeds", default=seeds, metavar="N,N", help="of the trainings")
    arguments.add_argument(
        "--set", nargs="*", default=[], metavar="OPTION=VALUE", help="options, the same for all trainings"
    )
    arguments.add_argument("--out", type=Path, default=RESULTS / file, metavar="FILE")
    arguments.add_argument("--show", action="store_true", help="train nothing")


def run_missing(
    given: argparse.Namespace, dataset: str, rows: Sequence[str], measure: Callable[[str, dict], dict]
) -> None:
    """Keep what `measure(row, options)` finds, for every seed and row that --out does not have yet."""
    from recbole_micro.options.values import parse

    chosen = {option: parse(value) for option, _, value in (text.partition("=") for text in given.set)}
    options = text_of(chosen)
    for seed in map(int, given.seeds.split(",")):
        for row in rows:
            key = {"dataset": dataset, "row": row, "seed": seed, "options": options}
            if not finished(given.out, key):
                print(f"{row} {options}, seed {seed} ...", flush=True)
                more = {"data_path": str(given.data_path.resolve()), "show_progress": False, "seed": seed}
                keep(given.out, key | measure(row, {**more, **chosen}))


def text_of(settings: dict) -> str:
    """Settings as the tables have them: the same text for the same settings."""
    return json.dumps(settings, sort_keys=True)


def markdown(head: Sequence[str], rows: Sequence[Sequence]) -> str:
    """A table for the page of results."""
    lines = [f"| {' | '.join(map(str, cells))} |" for cells in (head, *rows)]
    return "\n".join([lines[0], f"|{'---|' * len(head)}", *lines[1:]])
