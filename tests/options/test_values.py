"""Values from text: safe parsing, YAML files."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from recbole_micro.errors import UserError
from recbole_micro.options import defaults
from recbole_micro.options.values import Loader, parse, parse_strings, read_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E-3", 0.001),
        (".5e-3", 0.0005),
        ("-2", -2),
        ("007", "007"),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("2018-01-01", "2018-01-01"),
        ("no", "no"),
        ("off", "off"),
        ("true", True),
        ("True", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("None", None),
        ("", ""),
        ("[a, 1e-3, None]", ["a", 0.001, None]),
        ("{a: b}", {"a": "b"}),
        ("{'RS':[0.8,0.1,0.1]}", {"RS": [0.8, 0.1, 0.1]}),
        ("{'user': (1, 2)}", {"user": [1, 2]}),
        ("(1, 2)", [1, 2]),
        ("(visual, textual)", ["visual", "textual"]),
        ("[0,inf)", "[0,inf)"),
        ("a: b", "a: b"),
        ("http://x", "http://x"),
        ("'quoted'", "quoted"),
    ],
)
def test_parse(text, value):
    assert parse(text) == value
    assert type(parse(text)) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('touch made')",
        "(__import__('os').system('touch made'), 1)",
        "[__import__('os').system('touch made')]",
        "!!python/object/apply:os.system ['touch made']",
        "[!!python/object/apply:os.system ['touch made']]",
        "1/0",
        "sys.exit",
    ],
)
def test_a_string_is_never_run(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    parse(text)
    assert not list(tmp_path.iterdir())


@given(st.text())
def test_parse_takes_any_text(text):
    value = parse(text)
    assert value is None or isinstance(value, (str, int, float, bool, list, dict))


@given(st.one_of(st.integers(), st.booleans(), st.floats(allow_nan=False, allow_infinity=False), st.none()))
def test_parse_reads_back_what_python_prints(value):
    assert parse(str(value)) == value


def test_parse_strings_keeps_spelling():
    assert parse_strings("[007, 1e-3, no]") == ["007", "1e-3", "no"]
    assert parse_strings("a,b") == parse_strings("(a, b)") == ["a", "b"]
    assert parse_strings("") == []
    with pytest.raises(UserError, match="no list of names"):
        parse_strings("[a, [b]]")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "is empty"),
        ("- a\n- b\n", "holds no mapping"),
        ("a: [1\n", r"no valid YAML: line 2, column 1: expected"),
        ("a: !!python/name:os.system x\n", "no valid YAML"),
        ("1: 2\n", "holds no mapping"),
    ],
)
def test_read_yaml_refuses(content, sentence, tmp_path):
    file = tmp_path / "options.yaml"
    file.write_text(content)
    with pytest.raises(UserError, match=sentence) as refused:
        read_yaml(file)
    assert str(file) in str(refused.value)


def test_read_yaml_names_a_missing_file(tmp_path):
    with pytest.raises(UserError, match=r"none\.yaml cannot be read"):
        read_yaml(tmp_path / "none.yaml")


def test_recbole_files_keep_their_values():
    """Our loader reads RecBole's own files as RecBole's does, but for one null that RecBole calls 'None'."""
    from recbole.config import Config

    theirs = Config._build_yaml_loader(None)
    differences = {}
    for file in defaults.RECBOLE_PROPERTIES.rglob("*.yaml"):
        text = file.read_text(encoding="utf-8")
        old, new = yaml.load(text, Loader=theirs), yaml.load(text, Loader=Loader)
        differences.update({key: (old[key], new[key]) for key in old or {} if old[key] != new[key]})
    assert differences == {"fredom_type": ("None", None)}
