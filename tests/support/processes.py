"""Child processes of tests: Python with the checkout on its path, and ports to meet at."""

import multiprocessing
import os
import runpy
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "run_recbole_micro.py"


def surroundings(**changed: str) -> dict[str, str]:
    """This process's environment without pytest's mark, with the checkout on the path, with these changes."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    return {**inherited, "PYTHONPATH": str(ROOT), **changed}


def start(*words, cwd: Path | str | None = None, **more) -> subprocess.Popen:
    """Start Python with these words, what follows `python` on a command line; `more` is for Popen."""
    command = [sys.executable, *map(str, words)]
    return subprocess.Popen(command, cwd=cwd, env=surroundings(), text=True, **more)


def run_python(
    *words, cwd: Path | str | None = None, program: str = sys.executable, **environment: str
) -> subprocess.CompletedProcess:
    """Run Python (or another program) with these words to its end; what it prints is kept."""
    return subprocess.run(
        [program, *map(str, words)],
        cwd=cwd,
        env=surroundings(**environment),
        capture_output=True,
        text=True,
        timeout=300,
    )


def run_code(code: str, *arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess:
    """Run a script of this text in a fresh interpreter, with arguments as on a command line."""
    script = Path(cwd) / "script.py"
    script.write_text(code)
    return run_python(script, *arguments, cwd=cwd, **environment)


# Processes that are forked from one that has done nothing but the imports, whose seconds are spent once: they
# know no more than fresh ones.  Not for tests of the imports themselves.
WARM = multiprocessing.get_context("forkserver")
WARM.set_forkserver_preload(["recbole_micro.cli", "recbole_micro.studies.pool"])


@contextmanager
def working(target: Callable, *arguments) -> Iterator[multiprocessing.Process]:
    """A warm process that calls a function of a module with these arguments, until the end of the block."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))  # for the first one, with which the imports begin
        process = WARM.Process(target=target, args=arguments, daemon=True)
        process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()


def run_warm(*words, cwd: Path | str | None = None, **environment: str) -> subprocess.CompletedProcess:
    """`run_python` for a script, or for `-c` and a text, in a warm process."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = [*map(str, words)], str(cwd or Path.cwd()), folder, surroundings(**environment)
        with working(_warm, *arguments) as process:
            process.join(300)
            if process.exitcode is None:
                raise subprocess.TimeoutExpired(words, 300)
        out, err = (Path(folder, name).read_text(encoding="utf-8") for name in ("out", "err"))
    return subprocess.CompletedProcess(words, process.exitcode, out, err)


def _warm(words: list[str], cwd: str, folder: str, environment: dict[str, str]) -> None:
    """What the forked process does."""
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(Path(folder, name), os.O_WRONLY | os.O_CREAT), number)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    multiprocessing.current_process().daemon = False  # it may start processes of its own
    if words[0] == "-c":
        sys.argv = ["-c", *words[2:]]
        exec(words[1], {"__name__": "__main__"})
    else:
        sys.argv = words
        sys.path.insert(0, str(Path(words[0]).parent))  # as `python SCRIPT` does
        runpy.run_path(words[0], run_name="__main__")


def run_shell(script: str, cwd: Path | str | None = None) -> subprocess.CompletedProcess:
    """Run a script of bash."""
    return run_python("-c", script, cwd=cwd, program="bash")


def stand_in(folder: Path, code: str) -> list[str]:
    """The command of a program that stands for another one: a quick start without site-packages."""
    script = folder / "stand_in.py"
    script.write_text(code)
    return [sys.executable, "-S", str(script)]


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


@contextmanager
def taken_port() -> Iterator[int]:
    """A port of this machine that somebody listens on."""
    with socket.socket() as taken:
        taken.bind(("localhost", 0))
        taken.listen()
        yield taken.getsockname()[1]
