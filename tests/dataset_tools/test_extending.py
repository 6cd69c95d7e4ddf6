"""A converter and an encoder of one's own, those of docs/examples."""

import json
from pathlib import Path

import pytest

import dataset_tools
from dataset_tools.commands import main, plugins
from dataset_tools.converters import registry as layouts
from dataset_tools.features.encoders import registry as encoders

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
CONVERTER, ENCODER = str(EXAMPLES / "own_converter.py"), str(EXAMPLES / "own_encoder.py")


@pytest.fixture(autouse=True)
def registries(monkeypatch, tmp_path):
    """What a test registers is forgotten after it."""
    monkeypatch.setattr(layouts, "LAYOUTS", dict(layouts.LAYOUTS))
    monkeypatch.setattr(encoders, "TEXT", dict(encoders.TEXT))
    monkeypatch.setattr(plugins, "_loaded", set())
    monkeypatch.chdir(tmp_path)
    Path("pairs.txt").write_text("ann;x\nbob;y\nann;y\n")


def test_a_converter_of_one_s_own_on_the_command_line(capsys):
    command = ["--plugins", CONVERTER, "convert", "pairs", "--from", "pairs.txt", "--name", "toy"]
    assert main([*command, "--separator", ";", "--data_path", "d"]) == 0
    assert "2 users, 2 items, 3 interactions" in capsys.readouterr().out
    (step,) = json.loads(Path("d/toy/toy.source.json").read_text())["steps"]
    assert step["options"] == {"separator": ";"} and step["sources"][0]["file"] == "pairs.txt"
    with pytest.raises(SystemExit):
        main(["--plugins", CONVERTER, "convert", "pairs", "--help"])
    assert "what stands between user and item" in capsys.readouterr().out


def test_a_converter_of_one_s_own_from_python():
    plugins.run_plugin(Path(CONVERTER))
    folder = dataset_tools.convert("pairs", "pairs.txt", "toy", "d", separator=";")
    assert folder == Path("d/toy") and dataset_tools.Dataset("toy", "d").items == ["x", "y"]
    with pytest.raises(TypeError, match="seperator"):
        dataset_tools.convert("pairs", "pairs.txt", "toy", "d", seperator=";", force=True)


def test_an_encoder_of_one_s_own():
    Path("t.csv").write_text("user,item,words\nann,x,Aab\nbob,y,zz\n")
    table = [
        "convert",
        "table",
        "--interactions",
        "t.csv",
        "--user",
        "user",
        "--item",
        "item",
        "--name",
        "toy",
    ]
    assert main(["--plugins", ENCODER, *table, "--items", "t.csv", "--text=words", "--encoder=letters"]) == 0
    values, there = dataset_tools.Dataset("toy").matrix("textual")
    assert values.shape == (2, 26) and there.all()
    assert values[0, :3].tolist() == [2, 1, 0] and values[1, 25] == 2


def test_a_name_is_given_once():
    plugins.run_plugin(Path(CONVERTER))
    with pytest.raises(dataset_tools.DataError, match="There is a layout 'table' already"):
        dataset_tools.register_converter("table", layouts.find("pairs"))
    with pytest.raises(dataset_tools.DataError, match="There is an encoder 'tfidf' already"):
        dataset_tools.register_text_encoder("tfidf", lambda model, corpus: None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--plugins", "none.py", "inspect", "x"], "There is no file none.py; --plugins names a Python file"),
        (["--plugins", "pairs.txt", "inspect", "x"], "pairs.txt is no Python file; its name must end in .py"),
    ],
)
def test_a_file_that_is_no_plugin_is_one_sentence(capsys, arguments, message):
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("layout", list(layouts.LAYOUTS))
def test_every_layout_has_its_options_on_the_command_line_and_in_python(layout, capsys):
    converter = layouts.find(layout)
    with pytest.raises(SystemExit):
        main(["convert", layout, "--help"])
    printed = capsys.readouterr().out
    for name, parameter in converter.__signature__.parameters.items():
        assert name in converter.options.__dataclass_fields__ or name in ("name", "data_path", "force")
        assert parameter.name == name
    for field in converter.options.__dataclass_fields__.values():
        assert (field.metadata["option"].flag or "--" + field.name.replace("_", "-")) in printed


def test_an_unknown_layout_is_one_sentence():
    with pytest.raises(dataset_tools.DataError, match="There is no layout 'x'; choose micro, mmrec, amazon"):
        dataset_tools.convert("x", "a", "b")
