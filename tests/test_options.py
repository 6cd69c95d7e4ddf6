"""Options: declarations in comments, checks, safe parsing."""

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from recbole_micro import options
from recbole_micro.errors import UserError
from recbole_micro.models.registry import MODELS
from recbole_micro.options import defaults
from recbole_micro.options.schema import Kind, Option, parse_declarations, parse_kind
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


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("int >= 0", [(0, 0), ("3", 3), (2.0, 2), ("1e2", 100), (np.int64(4), 4)], [-1, "x", 0.5, True]),
        ("int 0..5", [(5, 5), ("0", 0)], [6, -1]),
        ("float > 0", [("1e-3", 0.001), (1, 1.0), (np.float32(0.5), 0.5)], [0, float("nan"), "abc", [1]]),
        ("float 0..1", [(0, 0.0), (1, 1.0)], [1.001, -0.001, ".nan"]),
        ("bool", [("true", True), (False, False), ("False", False), (1, True)], ["no", 2, "", None]),
        ("choice a|off|c", [("a", "a"), ("off", "off")], ["b", "A", False]),
        ("list of str", [("a,b", ["a", "b"]), ("[007]", ["007"]), ("x", ["x"]), (("a",), ["a"])], [{"a": 1}]),
        ("list of int > 0", [("[10, 20]", [10, 20]), ("10,20", [10, 20]), (5, [5])], ["[0]", "x", [1.5]]),
        ("dict", [("{a: 1}", {"a": 1}), ({"b": 2}, {"b": 2})], ["a", [1]]),
        ("str", [("2018", "2018"), (2018, "2018"), ("1e-3", "1e-3"), ("'x'", "x")], [[1], {"a": 1}]),
        ("str or dict", [("full", "full"), ({"valid": "full"}, {"valid": "full"})], [["full"]]),
    ],
)  # fmt: skip
def test_kinds(kind, good, bad):
    option = Option("x", tuple(map(parse_kind, kind.split(" or "))), default=0)
    for given_value, value in good:
        read = option.read(given_value, "here")
        assert read == value
        assert type(read) is type(value)
    for value in bad:
        with pytest.raises(UserError, match=r"Option x is .*\(here\); allowed: "):
            option.read(value, "here")


def test_null_is_for_options_whose_default_is_null():
    modalities = Option("modalities", (parse_kind("list of str"),), default=None)
    assert modalities.read("~", "") is modalities.read(None, "") is modalities.read("None", "") is None
    with pytest.raises(UserError):
        Option("knn_k", (parse_kind("int >= 0"),), default=10).read(None, "")


@pytest.mark.parametrize("text", ["complex", "int = 3", "bool > 1", "list of things"])
def test_a_declaration_that_means_nothing_is_refused(text):
    with pytest.raises(ValueError, match="option"):
        parse_kind(text)


def test_declarations_with_nested_keys():
    lines = ["a: 1 # (int >= 0) First.", "d: # (dict) Second.", "  k: 2 # (int) K.", "  l: 3 # (int) L."]
    text = "\n".join([*lines, "b: [x]"])
    declared = parse_declarations(text, "f.yaml")
    assert declared["a"] == Option("a", (Kind("int", low=0),), 1, "First.", "f.yaml")
    assert list(declared["d"].keys) == ["k", "l"]
    assert declared["d"].keys["k"] == Option("d.k", (Kind("int"),), 2, "K.", "f.yaml")
    assert declared["b"].kinds == ()
    assert declared["d"].read("{k: 5}", "here") == {"k": 5}
    with pytest.raises(UserError, match=r"no key 'kk' \(here\); did you mean k\?"):
        declared["d"].read({"kk": 5}, "here")
    with pytest.raises(UserError, match=r"Option d.l is 'x' \(here\); allowed: whole number"):
        declared["d"].read({"l": "x"}, "here")


def own_files():
    folders = {folder: options.stems(folder) for folder in ("model", "dataset")}
    found = [f"{folder}/{name}.yaml" for folder, names in folders.items() for name in names]
    return ["overall.yaml", "launch.yaml", *found]


@pytest.mark.parametrize("file", own_files())
def test_every_shipped_option_is_declared_and_its_default_is_allowed(file):
    """Declared where its default stands, or in a file that this one refines."""
    stem = file.rpartition("/")[2].removesuffix(".yaml")
    declared = options.declared(stem, stem)
    for name in options.plugin_defaults(file).keys() - {"models"}:
        option, default = declared[name], options.plugin_defaults(file)[name]
        assert option.kinds, f"{name} in {file} has no (kind)"
        assert option.help, f"{name} in {file} has no help"
        assert option.read(default, file) == default


@pytest.mark.parametrize("dataset", options.stems("dataset"))
def test_data_sets_give_models_options_that_they_have_and_values_that_are_allowed(dataset):
    for model in options.model_names():
        for name, default in options.data_defaults(model, dataset).items():
            option = options.declared(model, dataset)[name]
            assert option.kinds and option.default == option.read(default, dataset) == default


@pytest.mark.parametrize("name", options.stems("preset"))
def test_presets_hold_known_options_and_allowed_values(name):
    values = dict(options.plugin_defaults(f"preset/{name}.yaml"))
    assert all(isinstance(line, str) for line in values.pop("notice", []))
    assert set(values.pop("models", [])) <= set(MODELS)
    every = {}
    for model in MODELS:
        every.update(options.declared(model, ""))
    for option, value in values.items():
        assert every[option].read(value, name) == value


@pytest.mark.parametrize("model", options.model_names())
def test_recbole_defaults_pass_their_own_checks(model):
    for option in options.declared(model, "ml-100k").values():
        if option.kinds:
            option.read(option.default, option.source)


def test_known_names_come_from_everywhere():
    known = options.known_names()
    assert {"knn_k", "n_layers", "ssl_tau", "topk", "load_col", "nproc", "config_files", "model"} <= known
    assert "notice" not in known
    assert "knn_kk" not in known


def test_presets_in_order_and_unknown():
    chosen = options.presets("paper,official")
    assert [chosen[name]["adjacency"] for name in chosen] == ["symmetric", "mean_self_loop"]
    assert options.presets(None) == {}
    with pytest.raises(UserError, match=r"no preset 'offical'; did you mean official\?"):
        options.presets(["offical"])
