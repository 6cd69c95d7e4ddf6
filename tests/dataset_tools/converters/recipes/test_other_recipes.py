"""PixelRec, NineRec and Amazon's benchmark in the layouts of their authors."""

import gzip
import json
import shutil

import pytest

from dataset_tools.converters.amazon import benchmark2023
from dataset_tools.converters.recipes import ninerec, pixelrec
from dataset_tools.dataset.reading import Dataset
from dataset_tools.errors import DataError
from tests.support.converted import rows, summary


@pytest.fixture(autouse=True)
def source(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def write_pixel(source):
    (source / "interaction").mkdir()
    text = "item_id,user_id,timestamp\ni5,u1,1600000000000\ni0,u1,1600000001000\ni5,u2,1600000002000\n"
    (source / "interaction" / "Pixel50K.csv").write_text(text)
    header = "item_id,view_number,comment_number,title,tag,description\n"
    (source / "Pixel50K_info.csv").write_text(
        header + 'i0,1,2,"Red, hat",hats,"a\nred hat"\ni5,1,2,Shoe,,\ni9,1,1,No,,\n'
    )
    (source / "cover").mkdir()


def test_pixelrec_has_the_item_first(source):
    write_pixel(source)
    pixelrec.convert(source, "x", "d", text="tfidf")
    assert rows() == [("u1", "i5", 1.6e9), ("u1", "i0", 1.6e9 + 1), ("u2", "i5", 1.6e9 + 2)]
    dataset = Dataset("x", "d")
    assert dataset.titles() == {"i0": "Red, hat", "i5": "Shoe"}
    assert list(dataset.texts(["text"])) == ["Red, hat hats a red hat", "Shoe"]
    assert summary()["remarks"] == [
        "not read, as not needed: cover/",
        "DIFFERENT from what is published of Pixel50K: 50,000 users, 82,865 items, 989,494 interactions",
    ]


def test_of_several_pixelrec_files_one_is_chosen(source):
    write_pixel(source)
    (source / "interaction" / "Pixel1M.csv").write_text("item_id,user_id,timestamp\ni5,u1,16\n")
    several = r"interaction/Pixel1M.csv, interaction/Pixel50K.csv\); choose one with --size"
    with pytest.raises(DataError, match=f"in has more than one table of interactions .*{several}"):
        pixelrec.convert(source, "x", "d")
    with pytest.raises(DataError, match="in has no table of 1K with a header item_id,user_id,timestamp"):
        pixelrec.convert(source, "x", "d", size="1K")
    pixelrec.convert(source, "x", "d", size="1M")
    assert rows() == [("u1", "i5", 16.0)]
    assert summary()["remarks"][0].endswith("needed: cover/, interaction/Pixel50K.csv")


@pytest.mark.parametrize(
    "text", ["v3,u1,1600000000\nv4,u2,1600000001\n", "u1,v3,1600000000\nu2,v4,1600000001\n"]
)
def test_ninerec_s_columns_are_told_by_the_prefix(source, text):
    (source / "Bili_2M_pair.csv").write_text(text)
    (source / "Bili_2M_item.csv").write_text(
        "v3,中文,English words\nv4,另一,Others\nv9,无,None here\n", encoding="utf-8"
    )
    (source / "Bili_2M_behaviour.tsv").write_text("u1\tv3\n")
    ninerec.convert(source, "x", "d")
    assert rows() == [("u1", "v3", 1.6e9), ("u2", "v4", 1.6e9 + 1)]
    assert Dataset("x", "d").titles() == {"v3": "English words", "v4": "Others", "v9": "None here"}
    assert summary()["remarks"] == ["not read, as not needed: Bili_2M_behaviour.tsv"]
    ninerec.convert(source, "x", "d", language="chinese", force=True)
    assert Dataset("x", "d").titles()["v3"] == "中文"


@pytest.mark.parametrize("text", ["u1,v3\nu2,v3\n", "u1, v3\nu2, v3\n", "v3,u1\nv3 , u2\n"])
def test_ninerec_without_times(source, text):
    """The read-me's rows have a space after the comma, which is no part of the id."""
    (source / "QB_pair.csv").write_text(text)
    (source / "QB_item.csv").write_text("v3,x,Words\n")
    ninerec.convert(source, "x", "d")
    assert rows() == [("u1", "v3"), ("u2", "v3")] and Dataset("x", "d").titles() == {"v3": "Words"}


def test_ninerec_s_lines_of_a_user_are_read_where_there_are_no_pairs(source):
    (source / "QB_behaviour.tsv").write_text("u1\tv4 v3\nu2\tv3\n")
    ninerec.convert(source, "x", "d")
    assert rows() == [("u1", "v4", 0.0), ("u1", "v3", 1.0), ("u2", "v3", 2.0)]
    (source / "QB_behaviour.tsv").write_text("u1\tv4 u3\n")
    with pytest.raises(DataError, match="line 1: u1, v4 u3 are no user .* --columns user,items --name NAME"):
        ninerec.convert(source, "y", "d")


def test_of_several_sets_in_folders_one_is_named(source):
    for name in ("QB", "TN"):
        (source / name).mkdir()
        (source / name / f"{name}_pair.csv").write_text("u1,v3\n")
    with pytest.raises(DataError, match=r"\(QB/QB_pair.csv, TN/TN_pair.csv\); name the folder of one with"):
        ninerec.convert(source, "x", "d")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "u1,v3\nv4,u2\n",
            "line 2: item before user, but user before item in the rows above; such a mixture",
        ),
        ("u1,v3\nu2,u4\n", "line 2: u2, u4 are no user u... and item v..."),
        ("1,3\n", "line 1: 1, 3 are no user .* --columns user,item --name NAME"),
        ("", "QB_pair.csv has no interactions|is empty"),
    ],
)
def test_a_mixture_of_ninerec_s_orders_is_refused(source, tmp_path, text, message):
    (source / "QB_pair.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        ninerec.convert(source, "x", "d")
    assert not (tmp_path / "d").exists() or list((tmp_path / "d").iterdir()) == []


HEADER = "user_id,parent_asin,rating,timestamp"


def write_benchmark(source, history=False):
    lines = {
        "train": "A,B1,5.0,1588687728923",
        "valid": "A,B2,3.0,1628643414042",
        "test": "A,B3,1.0,1658002729837",
    }
    for part, line in lines.items():
        text = f"{HEADER}{',history' * history}\n{line}{',B0 B9' * history}\n"
        (source / f"All_Beauty.{part}.csv.gz").write_bytes(gzip.compress(text.encode()))


@pytest.mark.parametrize("history", [False, True])
def test_amazon_s_published_split_stays_as_it_is(source, history):
    write_benchmark(source, history)
    meta = [
        {
            "parent_asin": "B1",
            "title": "Soap",
            "categories": ["All Beauty", "Bath"],
            "store": None,
            "description": [],
            "features": [],
            "images": [{"thumb": "https://example.org/t.jpg", "hi_res": None}],
        },
        {"parent_asin": "B7", "title": "Other"},
    ]
    (source / "meta.jsonl.gz").write_bytes(gzip.compress("\n".join(map(json.dumps, meta)).encode()))
    benchmark2023.convert(source, "All_Beauty", "x", "d", meta=source / "meta.jsonl.gz", text="tfidf")
    assert rows() == [
        ("A", "B1", 5.0, 1588687728.923, 0), ("A", "B2", 3.0, 1628643414.042, 1),
        ("A", "B3", 1.0, 1658002729.837, 2),
    ]  # fmt: skip
    dataset = Dataset("x", "d")
    assert dataset.titles() == {"B1": "Soap", "B2": "", "B3": ""}
    assert next(dataset.texts(["text"])).split() == ["Soap", "All", "Beauty", "Bath"]
    assert list(dataset.texts(["image"])) == ["https://example.org/t.jpg", "", ""]
    (source / "meta.jsonl.gz").write_bytes(gzip.compress(json.dumps(meta[1]).encode()))
    with pytest.raises(DataError, match="meta.jsonl.gz tells of no item in .*name the category's own file"):
        benchmark2023.convert(source, "All_Beauty", "y", "d", meta=source / "meta.jsonl.gz")


def test_amazon_s_whole_table_has_no_split(source):
    (source / "All_Beauty.csv").write_text(f"{HEADER}\nA,B1,5.0,1588687728923\n")
    benchmark2023.convert(source, "All_Beauty", "x", "d")
    assert rows() == [("A", "B1", 5.0, 1588687728.923)]
    with pytest.raises(DataError, match="in has no Books.train.csv.gz and no Books.csv.gz"):
        benchmark2023.convert(source, "Books", "y", "d")
    for name in ("last_out", "timestamp"):
        (source / name).mkdir()
        write_benchmark(source / name)
    with pytest.raises(DataError, match=r"has All_Beauty in 3 folders \(\., last_out, timestamp\); name one"):
        benchmark2023.convert(source, "All_Beauty", "y", "d")
    for name in ("last_out", "timestamp"):
        shutil.rmtree(source / name)
    write_benchmark(source)
    (source / "All_Beauty.valid.csv.gz").unlink()
    with pytest.raises(DataError, match="--valid is missing"):
        benchmark2023.convert(source, "All_Beauty", "y", "d")
