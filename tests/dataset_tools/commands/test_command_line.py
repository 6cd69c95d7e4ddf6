"""python -m dataset_tools."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dataset_tools.commands.command_line import main, parser
from dataset_tools.converters import registry
from dataset_tools.dataset.reading import Dataset
from tests.support.processes import run_python, run_shell


def commands(parser, path=()):
    actions = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    if not actions:
        yield path
    for action in actions:
        for name, child in action.choices.items():
            yield from commands(child, (*path, name))


@pytest.mark.parametrize("command", list(commands(parser())), ids=" ".join)
def test_every_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([*command, "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert "--data-path" in text or "--to" in text


def test_every_layout_has_its_row_in_the_docs():
    page = Path(__file__).resolve().parents[3] / "docs" / "data.md"
    table = page.read_text(encoding="utf-8").partition("## Layouts")[2].partition("## Any table")[0]
    for layout in registry.LAYOUTS:
        assert f"| `{layout} --" in table, layout


def test_the_converters_import_no_heavy_package():
    heavy = "{'torch', 'recbole', 'sklearn', 'matplotlib'}"
    code = f"import sys, dataset_tools.commands; assert not {heavy} & set(sys.modules)"
    ran = run_python("-c", code)
    assert ran.returncode == 0, ran.stderr


def test_an_interrupted_command_says_so(monkeypatch, capsys):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("dataset_tools.dataset.catalog.prepare", stop)
    assert main(["prepare", "ml-100k"]) == 130
    assert capsys.readouterr().err == "interrupted: what was there before is unchanged\n"


def test_options_of_a_download_are_refused_where_nothing_is_downloaded(tmp_path, capsys):
    assert main(["prepare", "ml-100k", "--raw", "x", "--data-path", str(tmp_path)]) == 2
    assert "ml-100k comes with RecBole; leave out --raw" in capsys.readouterr().err


@pytest.mark.parametrize("core", ["-1", "two", "2.5"])
def test_a_core_is_a_whole_number(core, capsys):
    with pytest.raises(SystemExit):
        main(["convert", "amazon2023", "--reviews", "r", "--meta", "m", "--name", "n", f"--k-core={core}"])
    assert f"argument --k-core: {core!r} is no whole number >= 0" in capsys.readouterr().err


def test_a_reader_that_stops_is_no_mistake(tmp_path, write_micro):
    write_micro(tmp_path / "src")
    assert (
        main(["convert", "micro", "--from", str(tmp_path / "src"), "--name", "toy", "--data-path", "d"]) == 0
    )
    command = f"{sys.executable} -m dataset_tools inspect toy --data-path d | true"
    run = run_shell(f"set -o pipefail; {command}")
    assert run.returncode == 0 and run.stderr == ""


def test_a_mistake_is_one_line_and_code_2(tmp_path):
    run = run_python("-m", "dataset_tools", "inspect", "nothing", "--data-path", tmp_path)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith(f"error: There is no data set {tmp_path / 'nothing'}; make it with")
    assert len(run.stderr.splitlines()) == 1


def test_convert_features_inspect(tmp_path, write_micro, capsys):
    source = write_micro(tmp_path / "src", features=())
    where = ["--name", "toy", "--data-path", "data"]
    assert main(["convert", "micro", "--from", str(source), *where]) == 0
    assert "4 users, 5 items, 10 interactions" in capsys.readouterr().out
    np.save("f.npy", np.eye(5))
    assert main(["features", "--input", "f.npy", "--row-order", "--modality", "visual", *where]) == 0
    assert "visual: 5 items (100.0%) with 5 columns" in capsys.readouterr().out
    assert main(["inspect", "toy", "--data-path", "data"]) == 0
    assert "fixed split: train 7, valid 2, test 1" in capsys.readouterr().out
    assert main(["features", "--as-text", "--modality", "visual", *where]) == 0
    assert main(["convert", "micro", "--from", str(source), *where]) == 2
    assert (
        capsys.readouterr().err
        == "error: data/toy is there already; replace it with --force or choose another name.\n"
    )


@pytest.mark.parametrize(
    "options", ["--data-path d --row-order", "--data_path d --row_order", "--data_path=d --row_o"]
)
def test_dashes_and_underscores_are_alike(options):
    found = parser().parse_args(
        ["features", *options.split(), "--modality", "m_x", "--input=a_b", "--name=n_n"]
    )
    assert (found.data_path, found.row_order) == ("d", True)
    assert (found.modality, found.input, found.name) == ("m_x", "a_b", "n_n")


def test_the_program_s_name_in_the_usage_can_be_another(capsys):
    with pytest.raises(SystemExit):
        main(["split", "--help"], prog="recbole-micro data")
    assert capsys.readouterr().out.startswith("usage: recbole-micro data split")


def test_the_old_name_of_an_option_is_taken_but_not_shown(capsys):
    assert parser().parse_args(["features", "--npy", "f", "--modality", "m", "--name", "n"]).input == "f"
    with pytest.raises(SystemExit):
        main(["features", "--help"])
    assert "--npy" not in capsys.readouterr().out


LOCALES = {
    "C": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "cp1252": {"PYTHONIOENCODING": "cp1252", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "cp936": {"PYTHONIOENCODING": "cp936:strict"},
}


@pytest.mark.parametrize("locale", LOCALES)
def test_files_are_utf_8_and_any_character_is_shown_in_every_locale(tmp_path, monkeypatch, locale):
    monkeypatch.chdir(tmp_path)
    items = [f"杨é{n}" for n in range(3)]
    text = "用户,项目,名\n" + "".join(f"ü{n % 2},{item},😀 red shoe {n}\n" for n, item in enumerate(items))
    (tmp_path / "f.csv").write_text(text, encoding="utf-8")
    np.save("v.npy", np.eye(3))
    (tmp_path / "ids.txt").write_text("\n".join(items), encoding="utf-8")
    folder = tmp_path / "one"
    folder.mkdir()
    for item in items:
        np.save(folder / f"{item}.npy", np.ones(2))
    where = ["--name", "toy"]
    convert = ["convert", "table", "--interactions", "f.csv", "--user", "用户", "--item", "项目", *where]
    convert += ["--items", "f.csv", "--title", "名", "--text", "名"]
    others = (
        ["features", "--input", "v.npy", "--ids", "ids.txt", "--modality", "visual", *where],
        ["features", "--input", "one", "--modality", "stems", *where],
        ["features", "--modality", "visual", "--as-text", *where],
        ["split", "toy"],
        ["export", "mmrec", "--to", "out", *where],
        ["inspect", "toy"],
        ["encode", "--text", "tfidf", "--columns", "title", "--modality", "words", *where],
    )
    code = (
        f"from dataset_tools import main; assert main() == 0; [main(one) == 0 or exit(3) for one in {others}]"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, *convert],
        env={**os.environ, **LOCALES[locale]},
        capture_output=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr.decode(errors="replace")
    dataset = Dataset("toy", tmp_path / "dataset")
    assert dataset.items == items and dataset.titles()[items[0]] == "😀 red shoe 0"
    assert dataset.modalities == ["stems", "textual", "visual", "words"]
