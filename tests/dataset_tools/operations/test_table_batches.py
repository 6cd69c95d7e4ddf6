"""Parquet read by columns gives what the way row by row gives, mistakes included."""

import datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dataset_tools.dataset.interactions import Builder
from dataset_tools.errors import DataError
from dataset_tools.formats.text_file import BadRows
from dataset_tools.operations import table_batches, table_rows
from dataset_tools.operations.conditions import Condition

N = 40
GENERATOR = np.random.default_rng(0)
USER, ITEM = GENERATOR.integers(0, 9, N), GENERATOR.integers(0, 7, N)
DAYS = [datetime.date(2020, 1, 1 + int(n)) for n in ITEM]
MOMENTS = [datetime.datetime(2020, 1, 1, 5, 6, int(n), 123456) for n in USER]
PLAIN = {"user": USER, "item": ITEM, "rating": ITEM / 2, "time": np.arange(N), "kind": ["a", "b"] * (N // 2)}
TABLES = {
    "whole numbers": {},
    "unsigned": {"user": USER.astype("u4"), "item": (ITEM + 2**62).astype("u8")},
    "texts": {"user": [f"u{n}" for n in USER], "item": [f"ü {n}" for n in ITEM]},
    "categories": {"user": pa.array([f"u{n}" for n in USER]).dictionary_encode()},
    "whole floats": {"item": ITEM.astype(float)},
    "float32 ratings": {"rating": (ITEM / 3).astype("f4")},
    "ratings as text": {"rating": [f"{n}.5" for n in ITEM]},
    "days": {"time": DAYS},
    "moments": {"time": pa.array(MOMENTS, pa.timestamp("ns"))},
    "moments of a zone": {"time": pa.array(MOMENTS, pa.timestamp("us", "Asia/Tokyo"))},
    "dates as text": {"time": [f"2020-01-0{n + 1}T05:00:00Z" for n in ITEM]},
    "truths": {"kind": [bool(n % 2) for n in USER]},
    "gaps in a condition": {"kind": ["a", None] * (N // 2)},
    "a missing id": {"user": [None, *USER[1:].tolist()]},
    "an id that RecBole cannot read": {"item": ["NA", *map(str, ITEM[1:])]},
    "a fraction": {"item": [1.5, *ITEM[1:].tolist()]},
    "a missing rating": {"rating": [None, *(ITEM[1:] / 2)]},
    "infinity": {"time": [float("inf"), *range(1, N)]},
    "no number": {"rating": ["x"] * N},
    "moments for ratings": {"rating": pa.array(MOMENTS, pa.timestamp("us"))},
    "days for ratings": {"rating": DAYS},
    "lists": {"item": [[int(n), 99] for n in ITEM], "rating": [[1.0, 2.0]] * N, "time": [[1, 2]] * N},
}
CONDITIONS = [None, "kind = 'a' or rating > 1", "kind = 1 and time >= 10", "user != 3"]


def outcome(path, condition, skip, order):
    roles = table_rows.roles((), "user", "item", "rating", None if order else "time")
    reader = table_rows.Reader(
        roles, time_unit="ms", order_is_time=order, condition=Condition(condition) if condition else None
    )
    bad = BadRows(skip)
    try:
        found = reader.read([path], ["known"], bad)
    except DataError as error:
        return str(error)
    columns = [found.user, found.item, found.rating, found.timestamp]
    return found.users, found.items, [column.tolist() for column in columns], reader.left_out, bad.skipped


@pytest.mark.parametrize("kind", TABLES)
def test_both_ways_agree(tmp_path, monkeypatch, kind):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({**PLAIN, **TABLES[kind]}), path)
    monkeypatch.setattr(table_rows, "AT_ONCE", 7)
    settings = [
        (condition, skip, order) for condition in CONDITIONS for skip in (False, True) for order in (0, 1)
    ]
    by_columns = [outcome(path, *setting) for setting in settings]
    monkeypatch.setattr(table_rows.Reader, "_add_columns", lambda *_: False)
    assert by_columns == [outcome(path, *setting) for setting in settings]


def test_a_plain_table_is_read_by_columns_alone(tmp_path, monkeypatch):
    pq.write_table(pa.table(PLAIN), tmp_path / "t.parquet")
    monkeypatch.setattr(table_rows.Reader, "_good", None)
    assert len(outcome(tmp_path / "t.parquet", "kind = 'a'", False, False)[2][0]) == N // 2


def test_what_was_added_since_a_mark_is_forgotten():
    builder = Builder(rating=True, timestamp=True, part=True)
    builder.add("u", "a", 1.0, 2.0, 1)
    mark = builder.mark()
    builder.extend(["v", "u"], np.array([0, 1]), ["b"], np.array([0, 0]), np.ones(2), np.ones(2), 2)
    assert len(builder) == 3
    builder.back(mark)
    builder.extend(["u"], np.array([0]), ["c"], np.array([0]), np.array([5.0]), None, 0)
    found = builder.build()
    assert (found.users, found.items) == (["u"], ["a", "c"])
    assert found.rating.tolist() == [1, 5] and found.timestamp.tolist() == [2, 0]
    assert found.part.tolist() == [1, 0]


def test_a_condition_is_asked_once_of_equal_values():
    asked = []

    class Counting(Condition):
        def __call__(self, row):
            asked.append(row)
            return super().__call__(row)

    batch = pa.record_batch({"user": USER, "item": ITEM, "kind": PLAIN["kind"]})
    plan = table_batches.Plan("user", "item", None, None, Counting("kind = 'a'"), 1.0)
    assert table_batches.add_batch(batch, plan, Builder(), False, 0) == N // 2 and len(asked) == 2
