"""Tokens on their way into RecBole and back."""

from string import ascii_letters

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dataset_tools.dataset.interactions import Interactions
from dataset_tools.errors import DataError
from dataset_tools.formats.atomic import (
    MISSING,
    check_tokens,
    number,
    numbers,
    quote,
    read_header,
    read_table,
    write_columns,
    write_table,
)
from tests.support.tokens import acceptable, tokens


@settings(max_examples=150, deadline=None)
@given(st.lists(tokens.filter(acceptable), min_size=1, max_size=6, unique=True))
@example(["007", "7", "07", "7.0", "1e3"])
@example(['"', '""', '"x', 'x"', 'a"b"c', "tab\tin", "line\nin", " a", "a ", "a"])
def test_every_accepted_token_survives_recbole_s_reader(tmp_path_factory, ids):
    path = tmp_path_factory.mktemp("a") / "x.inter"
    write_table(path, ["user_id:token", "item_id:token"], ([quote(i), quote(f"u{i}")] for i in ids))
    # what RecBole 1.2's Dataset._load_feat calls
    frame = pd.read_csv(
        path, delimiter="\t", usecols=["user_id:token"], dtype={"user_id:token": str}, engine="python"
    )
    assert frame["user_id:token"].tolist() == ids
    ours = list(read_table(path, ["user_id", "item_id"]))
    assert ours == [[i, f"u{i}"] for i in ids]


@pytest.mark.parametrize("token", sorted(MISSING) + ["[PAD]", "a\0", "a\rb", "\x1c", "\ud800", " ", "\u2028"])
def test_tokens_that_recbole_would_change_are_refused(token):
    with pytest.raises(
        DataError, match="^The item id .* cannot be used because .*; rename it in the source.$"
    ):
        check_tokens(["fine", token], "item")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_read_back_exactly(value):
    assert float(number(value)) == value


def test_whole_numbers_have_no_point():
    assert [number(5.0), number(np.float64(1.0e9)), number(0.5)] == ["5", "1000000000", "0.5"]


def test_a_missing_column_names_those_that_are_there(tmp_path):
    write_table(tmp_path / "x.item", ["item_id:token", "title:token_seq"], [["a", "b"]])
    assert read_header(tmp_path / "x.item") == [("item_id", "token"), ("title", "token_seq")]
    with pytest.raises(DataError, match="x.item has no column 'year'; its columns are item_id, title"):
        list(read_table(tmp_path / "x.item", ["year"]))


def test_a_short_row_names_its_line(tmp_path):
    (tmp_path / "x.item").write_text(f"item_id:token\ttitle:token\na\tb\n{ascii_letters}\n")
    with pytest.raises(DataError, match="x.item, line 3: 1 fields where the header has 2"):
        list(read_table(tmp_path / "x.item", ["item_id"]))


def test_numbers_by_columns_are_those_one_by_one():
    generator = np.random.default_rng(0)
    sizes = np.exp(generator.uniform(np.log(1e-3), np.log(1e10), 2000))
    special = [0.0, -0.0, 1e16, 2.0**53, 2.0**53 + 2, -3.0, 1e300, 5e-324, 1e-5, 0.001, 1e10 - 0.5]
    for values in (np.round(sizes, 3), -sizes, np.floor(sizes), np.array(special), np.array([0.5, 1.0])):
        assert numbers(values).to_pylist() == [number(value) for value in values]


def test_columns_are_written_as_rows_are(tmp_path):
    users = ['a"b', "tab\there", "ü", "x"]
    found = Interactions(
        users,
        ["i", "k"],
        np.array([3, 0, 1, 2, 0]),
        np.array([0, 1, 0, 1, 0]),
        np.arange(5) / 2,
        np.arange(5.0),
    )
    rows = [
        [quote(users[user]), found.items[item], number(rating), number(time)]
        for user, item, rating, time in zip(
            found.user, found.item, found.rating, found.timestamp, strict=True
        )
    ]
    write_table(tmp_path / "rows", found.header(), rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dataset_tools.dataset.interactions.AT_ONCE", 2)
        write_columns(tmp_path / "columns", found.header(), found.columns_of_text())
    assert (tmp_path / "columns").read_bytes() == (tmp_path / "rows").read_bytes()
