"""Declarations of options in comments, and the checks of their kinds."""

import numpy as np
import pytest

from recbole_micro.errors import UserError
from recbole_micro.options.schema import Kind, Option, parse_declarations, parse_kind


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
