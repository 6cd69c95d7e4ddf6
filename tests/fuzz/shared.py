"""What the fuzzing tests share: numbers of cases, named errors, a time limit, the corpus of what broke."""

import io
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, Phase, example, given, reject, settings
from hypothesis.errors import UnsatisfiedAssumption
from hypothesis.strategies import SearchStrategy

from dataset_tools.commands.command_line import main as tools
from dataset_tools.errors import LONGEST, DataError
from recbole_micro.errors import UserError

CORPUS = Path(__file__).parent / "corpus"
# Cases in the fast suite, and in the slow one (FUZZ_CASES changes the latter).
CASES = [200, pytest.param(int(os.environ.get("FUZZ_CASES", "10000")), marks=pytest.mark.slow)]
SECONDS = 20  # after which a case is given up: options may ask for a million layers


class TooLong(BaseException):
    """A case took more than SECONDS."""


def corpus(name: str) -> list:
    """The cases that once ended in a traceback."""
    return yaml.safe_load((CORPUS / f"{name}.yaml").read_text(encoding="utf-8")) or []


def fuzz(check: Callable, cases: SearchStrategy, count: int, known: list) -> None:
    """Hold `check` against the `known` cases and `count` others, in the fast suite always the same.

    Prints how many there were (`pytest -rP` shows it).
    """
    ended = {"cases": 0, f"given up after {SECONDS} s": 0}

    def one(case):
        try:
            with time_limit(SECONDS):
                check(case)
        except UnsatisfiedAssumption:
            ended[f"given up after {SECONDS} s"] += 1
            raise
        ended["cases"] += 1

    for case in known:
        one = example(case)(one)
    phases = (Phase.explicit, Phase.generate, Phase.shrink)
    settings(
        max_examples=count,
        deadline=None,
        database=None,
        derandomize=count <= 200,
        phases=phases,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )(given(cases)(one))()
    print(", ".join(f"{number} {what}" for what, number in ended.items()))


@contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    """Give a case up, neither good nor bad, that asks for work without end."""

    def stop(*_):
        raise TooLong

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    except TooLong:
        reject()
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def named_errors() -> Iterator[None]:
    """Let errors pass that the command line ends with in a sentence; any other is a failure."""
    try:
        yield
    except (UserError, DataError) as error:
        short(str(error))
    except OSError as error:
        if error.filename is None:
            raise
    except ImportError as error:
        if error.name is not None and not isinstance(error, ModuleNotFoundError):
            raise


def short(said: str) -> None:
    """An error is one line, of a length that can be read."""
    assert said.strip() and "\n" not in said.strip() and len(said) < 2 * LONGEST, said


def tool(argv: list[str], main: Callable[[list[str]], int] = tools) -> int:
    """The exit code of a command, which says in a sentence what is wrong where it is not 0."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            code = main(argv)
        except SystemExit as left:  # argparse
            code = int(left.code or 0)
    if code:
        last = err.getvalue().split("error: ", 1)
        assert code == 2 and len(last) == 2, (code, err.getvalue())
        short(last[1])
    return code


@contextmanager
def unchanged(folder: Path) -> Iterator[list[bool]]:
    """A folder is as it was, unless the list that this gives ends with True; nothing half-written stays."""
    before, passes = listing(folder), [False]
    yield passes
    after = listing(folder)
    assert passes[-1] or after == before, sorted(set(after) ^ set(before))
    assert not [name for name in after if name.endswith((".part", ".tmp")) or "/." in name], sorted(after)


def listing(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
