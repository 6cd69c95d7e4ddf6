"""The README says what is so: its option table, its first two commands, the commands it names."""

import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_the_option_table_is_the_option_file():
    lines = (ROOT / "properties" / "model" / "MICRO.yaml").read_text(encoding="utf-8").splitlines()
    declared = [re.fullmatch(r"(\w+): (\S.*?)\s+# \((.*?)\) (.*)", line) for line in lines]
    rows = [f"| `{m[1]}` | {m[2]} | {m[3].replace('|', ', ')} | {m[4]} |" for m in declared if m is not None]
    assert len(rows) > 20
    assert [line for line in README.splitlines() if line.startswith("| `") and line in rows] == rows


def test_two_commands_of_one_line_do_all_the_setting_up():
    first, second = blocks("sh")[:2]
    assert len(first.splitlines()) == len(second.splitlines()) == 1
    assert "run_recbole_micro.py --model=MICRO --dataset=ml-100k" in first and "pytest" in second


def commands() -> list[str]:
    lines = [line for block in blocks("bash") for line in block.splitlines()]
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
        main([*words[3:5], "--help"] if words[3] == "convert" else [words[3], "--help"])
    assert stop.value.code == 0 and "--data-path" in capsys.readouterr().out
