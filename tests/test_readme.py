"""The README and the pages of docs/ say what is so: the first two commands, the commands they name."""

import re
import shlex
from pathlib import Path

import pytest

from tests.support.processes import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(language: str, *pages: Path) -> list[str]:
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def test_two_commands_of_one_line_do_all_the_setting_up():
    first, second = blocks("sh", ROOT / "README.md")[:2]
    assert len(first.splitlines()) == len(second.splitlines()) == 1
    assert "run_recbole_micro.py --model=MICRO --dataset=ml-100k" in first and "pytest" in second


def commands() -> list[str]:
    lines = [line for block in blocks("bash", *PAGES) for line in block.replace("\\\n", " ").splitlines()]
    lines = dict.fromkeys(lines)  # a command may stand on several pages
    return [line for line in lines if line.startswith(("python -m dataset_tools", "recbole-micro"))]


@pytest.mark.parametrize("command", commands())
def test_every_command_exists(command, capsys):
    words = shlex.split(command)
    if words[0] == "recbole-micro":
        from recbole_micro import cli

        assert words[1] in cli.COMMANDS
        return
    from dataset_tools.__main__ import main

    with pytest.raises(SystemExit) as stop:
        main([*words[3:5], "--help"] if words[3] in ("convert", "export") else [words[3], "--help"])
    assert stop.value.code == 0 and "--data-path" in capsys.readouterr().out
