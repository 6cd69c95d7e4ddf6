"""Child processes of tests: Python with the checkout on its path, and ports to meet at."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
