"""Tables read by columns gives what the way row by row gives, mistakes included."""

import codecs
import datetime
import gzip

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataset_tools.dataset.interactions import Builder
from dataset_tools.errors import DataError
from dataset_tools.formats.tables import text_batches
from dataset_tools.formats.tables.cells import OddError
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
    "lists to be compared": {
        "item": [[int(n)] * n for n in ITEM],
        "rating": [[m / 2 for m in range(n)] for n in ITEM],
        "time": [[20] * n for n in ITEM],
        "kind": [["a", "b", "1"] * 2 for n in ITEM],
    },
    "lists all to be compared": {
        "item": [[int(n)] * n for n in ITEM],
        "rating": [[m / 2 for m in range(n)] for n in ITEM],
        "time": [[20] * n for n in ITEM],
        "kind": [["a", "b", "1"][n % 3 :][:1] * n for n in ITEM],
    },
    "lists beside one item": {"kind": [["a"]] * N},
    "times beside one item": {"time": [[1, 2]] * N},
    "no list": {"item": [None, *([int(n)] for n in ITEM[1:])]},
    "a gap in a list": {"item": [[1, None], *([int(n)] for n in ITEM[1:])], "rating": 2.0 * np.arange(N)},
}
CONDITIONS = [None, "kind = 'a' or rating > 1", "kind = 1 and time >= 10", "user != 3"]


LINES = "".join(f"u{n},{m},{m / 2},{n},ab\n" for n, m in zip(USER, ITEM, strict=True))
HEAD = "user,item,rating,time,kind\n"
TEXTS = {
    "plain": LINES,
    "no line end at the end": LINES[:-1],
    "of Windows": LINES.replace("\n", "\r\n"),
    "of old Macs": LINES.replace("\n", "\r"),
    "blank lines": LINES.replace("\n", "\n\n"),
    "a line of a space": LINES + " \n" + LINES,
    "a mark of the byte order": "\ufeff" + LINES,
    "beyond ASCII": LINES.replace("u3", "ü 木"),
    "quotes": LINES.replace("u3", '"u3"'),
    "a quote inside": LINES.replace("u3", 'u"3'),
    "text beside a quote": LINES.replace("u3", '"u"3'),
    "a quote without end": LINES + '"a,1,2,3,4\n' + LINES,
    "a row too short": LINES + "a,b\n" + LINES,
    "a row too long": LINES + "a,1,2,3,4,5\n",
    "the header again": LINES + HEAD,
    "other text": LINES.encode().replace(b"u3", b"\xe9"),
    "other text beside": LINES.encode().replace(b"ab", b"\xe9"),
    "half a character at the end": LINES.encode()[:-2] + b"\xe6\x9c",
    "a zero byte": LINES.replace("u3", "u\0"),
    "a control character": LINES.replace("u3", "u\x01"),
    "numbers as people write them": LINES.replace(",1.0,", ", +1_0.0 ,").replace(",2.0,", ",2e0,"),
    "no number": LINES.replace(",1.0,", ",good,"),
    "nothing for a number": LINES.replace(",1.0,", ",,"),
    "infinity": LINES.replace(",1.0,", ",1e400,"),
    "nan": LINES.replace(",1.0,", ",nan,"),
    "hexadecimal": LINES.replace(",1.0,", ",0x1p3,"),
    "dates and numbers": LINES.replace(",3,ab", ",2020-01-03,ab"),
    "an id with a point": LINES.replace("u3", "12.0"),
    "a shortened id": LINES.replace("u3", "1.2E+11"),
    "an id that RecBole cannot read": LINES.replace("u3", "NA"),
    "no id": LINES.replace("u3", ""),
    "a space for an id": LINES.replace("u3", " "),
    "spaces around": LINES.replace(",", " , "),
    "nothing": "",
    "cut off": gzip.compress(LINES.encode())[:-9],
    "packed": gzip.compress(LINES.encode()),
}


def outcome(path, condition, skip, order, header=()):
    roles = table_rows.roles((), "user", "item", "rating", None if order else "time")
    reader = table_rows.Reader(
        roles, header, time_unit="ms", order_is_time=order,
        condition=Condition(condition) if condition else None,
    )  # fmt: skip
    bad = BadRows(skip)
    try:
        found = reader.read([path], ["known"], bad)
    except DataError as error:
        return str(error)
    columns = [found.user, found.item, found.rating, found.timestamp]
    return found.users, found.items, [column.tolist() for column in columns], reader.left_out, bad.skipped


def row_by_row(*_):
    raise OddError("asked for")


SETTINGS = [(condition, skip, order) for condition in CONDITIONS for skip in (0, 1) for order in (0, 1)]


@pytest.mark.parametrize("kind", TABLES)
def test_both_ways_agree(tmp_path, monkeypatch, kind):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({**PLAIN, **TABLES[kind]}), path)
    monkeypatch.setattr(table_rows, "AT_ONCE", 7)
    by_columns = [outcome(path, *setting) for setting in SETTINGS]
    monkeypatch.setattr(table_rows.Reader, "_add_columns", row_by_row)
    assert by_columns == [outcome(path, *setting) for setting in SETTINGS]


@pytest.mark.parametrize("header", [(), HEAD.strip().split(",")], ids=["names in the file", "names given"])
@pytest.mark.parametrize("kind", TEXTS)
def test_both_ways_agree_about_text(tmp_path, monkeypatch, kind, header):
    text = TEXTS[kind] if isinstance(TEXTS[kind], bytes) else TEXTS[kind].encode()
    settings = [("kind = 'ab' and rating > 1", True, False), *SETTINGS[:4]]
    for head in (HEAD, "") if header else (HEAD,):
        if head and text[:2] == b"\x1f\x8b":
            text = gzip.compress(HEAD.encode()) + text
        elif head:
            mark = codecs.BOM_UTF8 if text.startswith(codecs.BOM_UTF8) else b""
            text = mark + HEAD.encode() + text.removeprefix(mark)
        (tmp_path / "t.csv").write_bytes(text)
        monkeypatch.setattr(text_batches, "BLOCK", 100)
        by_columns = [outcome(tmp_path / "t.csv", *setting, header) for setting in settings]
        with monkeypatch.context() as patch:
            patch.setattr(table_rows.Reader, "_add_columns", row_by_row)
            assert by_columns == [outcome(tmp_path / "t.csv", *setting, header) for setting in settings]


@pytest.mark.parametrize("head", ['"user",item,rating,time,kind\n', 'user,item,rating,time,"a\nb"\n'])
def test_both_ways_agree_about_a_quoted_header(tmp_path, monkeypatch, head):
    (tmp_path / "t.csv").write_text(head + LINES)
    by_columns = outcome(tmp_path / "t.csv", None, False, False)
    monkeypatch.setattr(table_rows.Reader, "_add_columns", row_by_row)
    assert len(by_columns[0]) > 1 and by_columns == outcome(tmp_path / "t.csv", None, False, False)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.text(alphabet='ab1,.\n\r"e- \tü', max_size=60), st.booleans())
def test_both_ways_agree_about_any_text(tmp_path, text, skip):
    (tmp_path / "t.csv").write_text("user,item,rating,time\nu,i,1,2\n" + text, newline="")
    by_columns = outcome(tmp_path / "t.csv", None, skip, False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table_rows.Reader, "_add_columns", row_by_row)
        assert by_columns == outcome(tmp_path / "t.csv", None, skip, False)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("ending", ["parquet", "csv", "tsv"])
def test_a_plain_table_is_read_by_columns_alone(tmp_path, monkeypatch, ending, packed):
    path = tmp_path / f"t.{ending}"
    if ending == "parquet":
        pq.write_table(pa.table(PLAIN), path)
    else:
        sep = "," if ending == "csv" else "\t"
        text = pd.DataFrame(PLAIN).to_csv(index=False, sep=sep).replace("kind", '"kind"').encode()
        path.write_bytes(gzip.compress(text) if packed else text)
    monkeypatch.setattr(table_rows.Reader, "_good", None)
    assert len(outcome(path, "kind = 'a'", False, False)[2][0]) == N // 2


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
