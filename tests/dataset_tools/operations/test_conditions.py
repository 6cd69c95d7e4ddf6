"""Conditions on rows: a small grammar, and nothing that is run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_tools.errors import DataError
from dataset_tools.operations.conditions import Condition

ROW = {"ratio": "55", "like": "True", "kind": "skip", "gap": "", "zero": "0", "odd name": "x"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ratio >= 50", True),
        ("like = true and kind != 'skip'", False),
        ("not (like == 1) or kind in ('skip', \"x\")", True),
        ("ratio / zero > 0.5", False),
        ("gap > 0 or gap <= 0 or gap = 0 or gap != 0", False),
        ("gap = '' AND NOT kind = ''", True),
        ("-ratio + 110 / 2 = 0", True),
        ("`odd name` = 'x' and 5.5e1 == ratio", True),
        ("(ratio) * 2 >= 110", True),
        ("ratio in (1, 55.0)", True),
        ("kind < 'z'", False),
    ],
)
def test_what_is_decided(text, expected):
    assert Condition(text)(ROW) is expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it ends where a column or a value is expected"),
        ("ratio", "a comparison such as rating >= 4 is expected"),
        ("ratio > 1 and kind", "a comparison such as rating >= 4 is expected"),
        ("__import__('os').mkdir('pwned')", "mkdir.* is not understood"),
        ("ratio >= ", "it ends where"),
        ("(ratio > 1", "a parenthesis is not closed"),
        ("ratio > 1)", r"'\)' is not expected there"),
        ("ratio & 1", "'& 1' is not understood"),
        ("ratio in 3", 'after "in" a list'),
        ("1x > 2", "'1x > 2' is not understood"),
        ("ratio > 'a", "is not understood"),
        ("(" * 1000 + "ratio > 1", "more than 50 parentheses"),
        ("not " * 1000 + "ratio > 1", "more than 50 parentheses"),
        ("- " * 1000 + "ratio > 1", "more than 50 parentheses"),
        ("ratio > 1 or or", "a column or a value is expected where 'or' stands"),
    ],
)
def test_what_is_no_condition_is_one_sentence(text, message):
    with pytest.raises(DataError, match=message) as error:
        Condition(text)
    assert len(str(error.value)) < 300


@given(st.text(alphabet="ab1.('\")<>=!+-*/` ,not in or and", max_size=40))
def test_any_text_is_a_condition_or_a_sentence(text):
    try:
        found = Condition(text)
    except DataError:
        return
    assert found(dict.fromkeys(found.columns, "1")) in (True, False)
