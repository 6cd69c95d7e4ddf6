"""Tables in all the forms in which data sets are published."""

import bz2
import gzip
import json
import lzma
import shlex

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dataset_tools.__main__ import main
from dataset_tools.converters import plain_tables
from dataset_tools.dataset.provenance import read_steps
from dataset_tools.dataset.reading import Dataset
from dataset_tools.errors import DataError
from tests.support.converted import rows, summary

ROWS = [("u1", "007", 10), ("u1", "b", 20), ("u2", "b", 30)]
TEXT = "".join(f"{user},{item},{time}\n" for user, item, time in ROWS)


def run(*args, name="toy"):
    return main(
        [
            "convert",
            "table",
            *shlex.split(" ".join(map(str, args))),
            "--name",
            name,
            "--data-path",
            "data",
            "--force",
        ]
    )


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


PACKED = {
    "f.csv": bytes,
    "f.CSV": bytes,
    "f.csv.gz": gzip.compress,
    "f.csv.bz2": bz2.compress,
    "f.csv.xz": lzma.compress,
    "f.csv.zst": lambda data: pa.compress(data, codec="zstd", asbytes=True),
    "gzip-under-another-name.csv": gzip.compress,
    "f.dat": lambda data: data.replace(b",", b"\t"),
    "f.tsv": lambda data: data.replace(b",", b"\t"),
    "semicolons.csv": lambda data: data.replace(b",", b";"),
    "bom.csv": lambda data: b"\xef\xbb\xbf" + data,
}


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("name", PACKED)
def test_files_with_and_without_a_header_compressed_or_not(here, name, header):
    (here / name).write_bytes(PACKED[name](("user,item,time\n" * header + TEXT).encode()))
    roles = "--user user --item item --time time" if header else "--columns user,item,time"
    assert run("--interactions", name, roles) == 0
    assert rows("toy", "data") == [("u1", "007", 10.0), ("u1", "b", 20.0), ("u2", "b", 30.0)]


def test_columns_of_a_headerless_file_may_have_any_names_and_a_header_after_all_is_passed_over(here):
    (here / "f.csv").write_text(TEXT)
    assert run("--interactions f.csv --columns who,what,when --user who --item what") == 0
    assert rows("toy", "data") == [("u1", "007"), ("u1", "b"), ("u2", "b")]
    (here / "f.csv").write_text("user,item,time\n" + TEXT)
    assert run("--interactions f.csv --columns user,item,time") == 0
    assert len(rows("toy", "data")) == 3


def test_a_separator_of_several_characters(here):
    (here / "ratings.dat").write_text("1::10::5::978300760\n1::20::3::978302109\n")
    assert run("--interactions ratings.dat --separator :: --columns user,item,rating,time") == 0
    assert rows("toy", "data") == [("1", "10", 5.0, 978300760.0), ("1", "20", 3.0, 978302109.0)]


def test_lines_of_a_user_and_many_items(here):
    (here / "f.tsv").write_text("u1\t3 1 2\nu2\t1 \n")
    assert run("--interactions f.tsv --columns user,items --user user --item items --order-is-time") == 0
    assert rows("toy", "data") == [("u1", "3", 0.0), ("u1", "1", 1.0), ("u1", "2", 2.0), ("u2", "1", 3.0)]
    (here / "f.txt").write_text("1 3 1 2\n2 1 \n3\n")  # nothing but spaces between
    assert run("--interactions f.txt --columns user,items --separator ' '") == 0
    assert rows("toy", "data") == [("1", "3"), ("1", "1"), ("1", "2"), ("2", "1")]
    (here / "g.csv").write_text("who,what\nu1,3|1\n")
    assert run("--interactions g.csv --user who --item what --list-separator '|'") == 0
    assert rows("toy", "data") == [("u1", "3"), ("u1", "1")]


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_lists_of_items_and_times_side_by_side(here, kind):
    table = pd.DataFrame({"uid": [1, 2], "item_id": [[7, 8], [7]], "timestamp": [[5, 10], [15]]})
    if kind == "parquet":
        table.to_parquet("f.parquet")
    else:
        table.to_json("f.jsonl", orient="records", lines=True)
    assert run(f"--interactions f.{kind} --user uid --item item_id --time timestamp") == 0
    assert rows("toy", "data") == [("1", "7", 5.0), ("1", "8", 10.0), ("2", "7", 15.0)]


def test_json_lines(here):
    found = [{"u": "a", "i": 12, "n": {"x": 1}}, {"u": "b", "i": 13.0, "r": None, "w": True}, {"u": "b"}]
    (here / "f.jsonl.gz").write_bytes(gzip.compress("\n".join(map(json.dumps, found)).encode()))
    with pytest.raises(DataError, match="f.jsonl.gz, line 3: the item id '' cannot be used"):
        plain_tables.convert("f.jsonl.gz", "toy", "data", user="u", item="i")
    assert run("--interactions f.jsonl.gz --user u --item i --skip-bad") == 0
    assert rows("toy", "data") == [("a", "12"), ("b", "13")]
    with pytest.raises(DataError, match="f.jsonl.gz has no column 'x'; its first row has u, i, n"):
        plain_tables.convert("f.jsonl.gz", "new", "data", user="u", item="x", skip_bad=True)
    with pytest.raises(DataError, match="f.jsonl.gz, line 1: a dict stands where one value was expected"):
        plain_tables.convert("f.jsonl.gz", "new", "data", user="n", item="i")


def test_a_folder_of_parquet_files_in_the_order_of_their_numbers(here):
    for week in (10, 2):
        (here / "train" / f"week_{week}").mkdir(parents=True)
        pd.DataFrame({"user_id": [1], "item_id": [week]}).to_parquet(f"train/week_{week}/part-0.parquet")
    assert run("--interactions train --user user_id --item item_id --order-is-time") == 0
    assert rows("toy", "data") == [("1", "2", 0.0), ("1", "10", 1.0)]
    (record,) = read_steps(here / "data" / "toy", "toy")[-1]["sources"]
    assert (record["file"], record["files"]) == ("train/", 2)
    (here / "train" / "notes.csv").touch()
    (here / "train" / "_SUCCESS").touch()
    assert run("--interactions train --user user_id --item item_id --order-is-time") == 0
    remarks = summary("toy", "data")["remarks"]
    assert remarks == ["not read, being no Parquet: notes.csv"]
    (here / "empty").mkdir()
    with pytest.raises(DataError, match="The folder empty has no .parquet files"):
        plain_tables.convert("empty", "new", "data", user="u", item="i")


def test_a_split_that_is_there_stays_as_it_is(here):
    header = "user_id,parent_asin,rating,timestamp\n"
    for part, line in {
        "train": "A,B1,5.0,1588687728923\nA,B2,4.0,1588687728924",
        "valid": "A,B3,1.0,1588687728925",
        "test": "A,B1,2.0,1588687728926",
    }.items():
        (here / f"X.{part}.csv.gz").write_bytes(gzip.compress((header + line + "\n").encode()))
    parts = "--train X.train.csv.gz --valid X.valid.csv.gz --test X.test.csv.gz"
    assert (
        run(parts, "--user user_id --item parent_asin --rating rating --time timestamp --time-unit ms") == 0
    )
    assert rows("toy", "data") == [
        ("A", "B1", 5.0, 1588687728.923, 0), ("A", "B2", 4.0, 1588687728.924, 0),
        ("A", "B3", 1.0, 1588687728.925, 1), ("A", "B1", 2.0, 1588687728.926, 2),
    ]  # fmt: skip
    notes = summary("toy", "data")["notes"]
    assert notes == {"pairs of user and item are in several parts, kept as in the source": 1}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(train="f.csv", valid="f.csv"), "--test is missing; a split has the three files"),
        (dict(train="f.csv", valid="f.csv", test="f.csv", core=2), "--k-core would change the split"),
        (dict(train="f.csv", valid="f.csv", test="f.csv", split="paper"), "--split would change the split"),
        ({}, "--interactions is missing"),
        (dict(train="f.csv", valid="f.csv", test="none.csv"), "There is no file none.csv"),
        (dict(train="f.csv", valid="f.csv", test="head.csv"), "head.csv has no interactions"),
    ],
)
def test_half_a_split_is_refused(here, options, message):
    (here / "f.csv").write_text("user,item,time\n" + TEXT)
    (here / "head.csv").write_text("user,item,time\n")
    with pytest.raises(DataError, match=message):
        plain_tables.convert(None, "toy", "data", user="user", item="item", **options)
    assert not (here / "data").exists() or list((here / "data").iterdir()) == []


@pytest.mark.parametrize(
    ("text", "unit", "seconds"),
    [
        ("1588687728923", "ms", 1588687728.923),
        ("1588687728923000", "us", 1588687728.923),
        ("-86400000", "ms", -86400.0),
        ("2020-05-05", "s", 1588636800.0),
        ("1969-12-31T00:00:00Z", "ms", -86400.0),
        ("2020-05-05 14:08:48+02:00", "s", 1588680528.0),
    ],
)
def test_times_become_seconds(here, text, unit, seconds):
    (here / "f.csv").write_text(f"a,b,{text}\n")
    assert run("--interactions f.csv --columns user,item,time --time-unit", unit) == 0
    assert rows("toy", "data") == [("a", "b", seconds)]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "Asia/Tokyo"])
def test_moments_of_parquet_become_seconds_in_utc(here, unit, zone):
    moment = pa.array(
        [1588687728 * {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]], pa.timestamp(unit, zone)
    )
    pq.write_table(pa.table({"user": ["a"], "item": ["b"], "time": moment}), "f.parquet")
    assert run("--interactions f.parquet --user user --item item --time time --time-unit ms") == 0
    assert rows("toy", "data") == [("a", "b", 1588687728.0)]


def test_times_that_are_no_seconds_are_remarked(here, capsys):
    (here / "f.csv").write_text("a,b,1588687728923\n")
    assert run("--interactions f.csv --columns user,item,time") == 0
    assert "the times in time are no seconds" in capsys.readouterr().out
    assert rows("toy", "data") == [("a", "b", 1588687728923.0)]


EVENTS = "a,x,1,30\na,x,2,10\na,x,5,20\nb,x,4,1\n"


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("first", [("a", "x", 2.0, 10.0), ("b", "x", 4.0, 1.0)]),
        ("last", [("a", "x", 1.0, 30.0), ("b", "x", 4.0, 1.0)]),
        ("sum", [("a", "x", 8.0, 30.0), ("b", "x", 4.0, 1.0)]),
        ("count", [("a", "x", 3.0, 30.0), ("b", "x", 1.0, 1.0)]),
    ],
)
def test_several_events_of_a_pair(here, how, expected):
    (here / "f.csv").write_text(EVENTS)
    assert run("--interactions f.csv --columns user,item,rating,time --events", how) == 0
    assert rows("toy", "data") == expected


def test_events_are_counted_without_ratings_and_a_least_number_chooses(here):
    (here / "f.csv").write_text(EVENTS)
    columns = "--interactions f.csv --columns user,item,stars,when --time when --events"
    assert run(columns, "count --min-rating 2") == 0
    assert rows("toy", "data") == [("a", "x", 3.0, 30.0)]
    assert run(columns, "sum") == 2


def test_where_chooses_rows(here, capsys):
    frame = pd.DataFrame(
        {
            "uid": [1, 2, 3, 4],
            "item_id": [1, 2, 3, 4],
            "played": [49, 50, None, 120],
            "like": [True, True, True, False],
        }
    )
    frame.to_parquet("f.parquet")
    arguments = "--interactions f.parquet --user uid --item item_id --where"
    assert run(arguments, "'played >= 50'") == 0
    assert rows("toy", "data") == [("2", "2"), ("4", "4")]
    assert "2 rows left out by --where" in capsys.readouterr().out
    assert run(arguments, "'like = true and not (played > 49 or uid in (3, 5))'") == 0
    assert rows("toy", "data") == [("1", "1")]
    assert run(arguments, "'played > 1000'") == 2
    assert "f.parquet has no row with played > 1000; loosen --where" in capsys.readouterr().err
    assert run(arguments, "'plaid > 1'") == 2
    assert "f.parquet has no column 'plaid'; its columns are uid" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        ("parquet", [[1], [2]], None),
        ("parquet", [{"x": 1}, {"x": 2}], "the column 'item' holds struct"),
        ("parquet", [[[1]], [[2]]], "the column 'item' holds list"),
        ("parquet", [1.5, 2.0], "f.parquet, row 1: the id 1.5 is no whole number"),
        ("parquet", [1e17, 2.0], "f.parquet, row 1: the id 100000000000000000 has lost digits"),
        ("parquet", [12.0, None], "f.parquet, row 2: the item id '' cannot be used"),
        ("csv", [12.0, None], "f.csv, line 2: the id '12.0' is a whole number with a decimal point"),
        ("csv", ["1.23E+12", "x"], "f.csv, line 2: the id '1.23E.12' has lost digits, as spreadsheets"),
    ],
)  # fmt: skip
def test_ids_that_something_has_changed_are_refused(here, kind, values, message):
    frame = pd.DataFrame({"user": ["a", "b"], "item": values})
    frame.to_parquet("f.parquet") if kind == "parquet" else frame.to_csv("f.csv", index=False)
    if message is None:
        plain_tables.convert(f"f.{kind}", "toy", "data", user="user", item="item")
        assert rows("toy", "data") == [("a", "1"), ("b", "2")]
        return
    with pytest.raises(DataError, match=message) as error:
        plain_tables.convert(f"f.{kind}", "toy", "data", user="user", item="item")
    assert len(str(error.value)) < 400


@pytest.mark.parametrize("values", [[12.0, 13.0], pd.Categorical(["12", "13"]), pd.Categorical([12, 13])])
def test_whole_numbers_and_categories_of_parquet_are_ids(here, values):
    pd.DataFrame({"user": ["a", "b"], "item": values}).to_parquet("f.parquet")
    plain_tables.convert("f.parquet", "toy", "data", user="user", item="item")
    assert rows("toy", "data") == [("a", "12"), ("b", "13")]


def test_items_without_a_header_and_with_a_key_of_their_own(here):
    (here / "f.csv").write_text(TEXT)
    (here / "items.csv").write_text('007,"A, b #1"\nb,B\n')
    assert (
        run(
            "--interactions f.csv --columns user,item,time --items items.csv --title title",
            "--item-columns item,title",
        )
        == 0
    )
    assert Dataset("toy", "data").titles() == {"007": "A, b #1", "b": "B"}
    (here / "items.csv").write_text("videoID,title\n007,A\n")
    assert (
        run(
            "--interactions f.csv --columns user,item,time --items items.csv --item-key videoID --title title"
        )
        == 0
    )
    assert Dataset("toy", "data").titles() == {"007": "A", "b": ""}


def test_where_every_row_is_broken_the_first_is_named(here, capsys):
    (here / "f.csv").write_text("a,b,c\na,b,c\n")
    assert run("--interactions f.csv --columns user,item,time --skip-bad") == 2
    assert (
        "f.csv has no row that can be used; the first: f.csv, line 1: 'c' is no time"
        in capsys.readouterr().err
    )


def test_a_name_with_brackets_is_a_name(here):
    (here / "f.csv").write_text(TEXT)
    (here / "items.csv").write_text("item,title\n007,red shoe\nb,blue hat\n")
    for _ in range(2):
        assert (
            run(
                "--interactions f.csv --columns user,item,time --items items.csv --text title",
                name="toy[5core]",
            )
            == 0
        )
    assert Dataset("toy[5core]", "data").modalities == ["textual"]
    assert main(["split", "toy[5core]", "--data-path", "data"]) == 0
