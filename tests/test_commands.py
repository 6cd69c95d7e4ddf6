"""Every command of the README, docs/ and `--help` runs as it stands, or is marked here as one that cannot.

The commands of a block run in their order in a folder of their own, where the data sets and files that the
pages name are tiny (`tests.support.reader`).  A command that stands in several blocks runs once.
"""

import contextlib
import io
import re
import shlex
import subprocess

import pytest

from dataset_tools.commands import command_line
from recbole_micro import cli
from recbole_micro.evaluation import metrics
from recbole_micro.options import defaults, user_models
from tests.support import reader
from tests.support.processes import ROOT, start
from tests.test_readme import PAGES, blocks

if not (ROOT / "docs" / "index.md").is_file():
    pytest.skip("an installed package has no docs/", allow_module_level=True)

# Why a command does not run here: the first of these that it matches says it.
NOT_HERE = {
    r"^pip install|pytest": ".ci/run runs these in a new environment",
    r"prepare baby": "downloads gigabytes",
    r"--text wordllama|<model>": "encoders fetch their models; tests of dataset_tools have tiny ones",
    r"\b(DIR|NAME|LIST)\b": "the words in capitals stand for what the reader has",
    r"\b(HOST|FIRST)\b": "several machines",
    r"^torchrun|--nproc": "several processes: tests/test_distributed.py starts them, with few epochs",
    r"RAY_AUTH|^ray start|--address=auto": "a cluster",
}
MODULE = ("python -m dataset_tools", "recbole-micro data")  # are the same
SERVES = "serve"
READY = "http://127.0.0.1:"


def commands() -> dict[str, list[list[str]]]:
    """The commands of each block of each page, without comments, each where it stands first."""
    found: dict[str, list[list[str]]] = {}
    known: set[str] = set()
    for page in PAGES:
        for block in [block for language in ("sh", "bash") for block in blocks(language, page)]:
            lines = [re.sub(r"\s# .*$", "", line) for line in block.replace("\\\n", " ").splitlines()]
            lines = [re.sub(r"\s+", " ", line).strip() for line in lines]
            new = [line for line in dict.fromkeys(lines) if line and line not in known]
            known.update(new)
            found.setdefault(page.name, []).extend([new] if new else [])
    return {page: found for page, found in found.items() if found}


COMMANDS = commands()
HELP = "--help"


def examples() -> list[list[str]]:
    """The examples at the end of each command's help that stand on no page, a block each."""
    made = [["data", module.__name__.rpartition(".")[2]] for module in command_line.COMMANDS]
    named = {"add_features": "features", "export_dataset": "export", "inspect_dataset": "inspect"}
    asked = [[name] for name in cli.COMMANDS] + [[name, named.get(part, part)] for name, part in made]
    known = {command.replace(*MODULE) for page in COMMANDS.values() for block in page for command in block}
    found: dict[str, None] = {}
    for words in asked:
        with contextlib.redirect_stdout(io.StringIO()) as said:
            assert cli.main([*words, HELP]) == 0
        example = said.getvalue().partition("Example:")[2]
        lines = re.findall(r"recbole-micro .*(?:\n(?!\s*recbole-micro).+)*", example)
        assert lines, words
        found |= dict.fromkeys(" ".join(line.split()) for line in lines)
    return [[command] for command in found if command not in known]


def reason(command: str) -> str | None:
    """Why a command cannot run here; None where it can."""
    return next((why for pattern, why in NOT_HERE.items() if re.search(pattern, command)), None)


def test_every_mark_is_needed_and_most_commands_run():
    everything = [command for page in COMMANDS.values() for block in page for command in block]
    for pattern, why in NOT_HERE.items():
        assert any(reason(command) == why and re.search(pattern, command) for command in everything), pattern
    runs = [command for command in everything if reason(command) is None]
    assert len(runs) > 35 and len(runs) > 2 * (len(everything) - len(runs))


@pytest.fixture
def registries(monkeypatch):
    """Whatever plugins register is forgotten after the test."""
    from recbole.evaluator import register

    monkeypatch.setattr(user_models, "_loaded", {})
    tables = [register.metrics_dict, register.metric_information, register.metric_types, metrics.METRICS]
    before = [dict(table) for table in tables]
    yield
    for table, known in zip(tables, before, strict=True):
        table.clear()
        table.update(known)


def run(command: str, capfd) -> None:
    """Run a command; AssertionError where it fails."""
    for part in command.split("&&"):
        words = shlex.split(part)
        program, rest = words[0], words[1:]
        if rest[:1] == [SERVES]:
            served(rest)
        else:
            assert in_this_process(program, rest) == 0, f"{command}\n{capfd.readouterr().err[-2000:]}"


def in_this_process(program: str, words: list[str]) -> int:
    """The exit code of a command that needs no process of its own."""
    if program == "recbole-micro":
        return cli.main(words)
    assert program == "python", program
    if words[0] == "run_recbole_micro.py":
        return cli.main(["train", *words[1:]])
    assert words[:2] == ["-m", "dataset_tools"], words
    return cli.main(["data", *words[2:]])


def served(words: list[str]) -> None:
    """Start a server at a free port and see that it answers; over standard input it ends with that."""
    over_streams = "--mcp" in words
    if any(word.startswith("--mcp") for word in words):
        pytest.importorskip("mcp")
    words = words if over_streams else [*words, "--port=0"]
    code = "import sys; from recbole_micro.cli import main; sys.exit(main())"
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with start("-c", code, *words, **pipes) as process:
        if over_streams:
            _, said = process.communicate("", timeout=120)
            assert process.returncode == 0, said
        else:
            line = process.stdout.readline()
            process.terminate()
            assert READY in line, process.stderr.read()


@pytest.mark.slow
@pytest.mark.parametrize("page", [*COMMANDS, HELP])
def test_the_commands_of_a_page_run(page, tmp_path, monkeypatch, capfd, registries):
    monkeypatch.setitem(defaults.plugin_defaults("overall.yaml"), "epochs", 2)  # of those that name none
    blocks = examples() if page == HELP else COMMANDS[page]
    asked = [[command for command in block if reason(command) is None] for block in blocks]
    if not any(asked):
        pytest.skip("all of them are marked")
    for number, block in enumerate(filter(None, asked)):
        folder = tmp_path / str(number)
        folder.mkdir()
        monkeypatch.chdir(folder)
        reader.make(folder, "\n".join(block))
        for command in block:
            run(command, capfd)


def test_pages_with_commands_are_read():
    assert {"README.md", "after_training.md", "serving.md", "studies.md", "data.md"} <= set(COMMANDS)
