"""Plain tables."""

import pandas as pd
import pytest

from dataset_tools.__main__ import main
from dataset_tools.converters import plain_tables
from dataset_tools.dataset.reading import Dataset
from dataset_tools.errors import DataError

ROWS = {
    "who": ["007", "7", "a b", 'q"t', "é", "007"],
    "what": ["x,y", "0012", "0012", "tab\there", "x,y", "0012"],
    "stars": [5, 4, 3, 2, 1, 5],
    "when": ["2020-01-01", "2020-01-02T00:00:00+00:00", "3.5", "4", "5", "6"],
}
NAMES = dict(user="who", item="what", rating="stars", time="when")


def save(folder, kind, rows=ROWS, name="inter"):
    frame = pd.DataFrame(rows)
    path = folder / f"{name}.{kind}"
    if kind == "parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, sep="," if kind == "csv" else "\t")
    return path


def found(folder):
    rows = Dataset("toy", folder).interactions
    columns = (rows.user, rows.item, rows.rating, rows.timestamp)
    return [(rows.users[u], rows.items[i], r, t) for u, i, r, t in zip(*columns, strict=True)]


@pytest.mark.parametrize("kind", ["csv", "tsv", "parquet"])
def test_ids_stay_as_they_are_in_every_format(tmp_path, kind):
    plain_tables.convert(save(tmp_path, kind), "toy", tmp_path / "data", **NAMES)
    times = [1577836800.0, 1577923200.0, 3.5, 4.0, 5.0, 6.0]
    assert found(tmp_path / "data") == list(
        zip(*(ROWS[c] for c in ("who", "what", "stars")), times, strict=True)
    )


def test_numeric_ids_of_parquet_become_text(tmp_path):
    path = save(tmp_path, "parquet", {"who": [1, 2], "what": [10, 20]})
    plain_tables.convert(path, "toy", tmp_path / "data", user="who", item="what")
    assert Dataset("toy", tmp_path / "data").items == ["10", "20"]


def test_ratings_core_and_duplicates_are_applied_in_that_order(tmp_path):
    rows = [
        ("a", "x", 5),
        ("a", "x", 1),
        ("a", "y", 5),
        ("b", "x", 5),
        ("b", "y", 4),
        ("c", "x", 5),
        ("b", "z", 2),
    ]
    path = save(
        tmp_path,
        "csv",
        {"who": [r[0] for r in rows], "what": [r[1] for r in rows], "s": [r[2] for r in rows]},
    )
    options = dict(user="who", item="what", rating="s", min_rating=4, core=2)
    plain_tables.convert(path, "toy", tmp_path / "data", **options)
    rows = Dataset("toy", tmp_path / "data").interactions
    assert sorted((rows.users[u], rows.items[i]) for u, i in zip(rows.user, rows.item, strict=True)) == [
        ("a", "x"), ("a", "y"), ("b", "x"), ("b", "y"),
    ]  # fmt: skip


def test_items_bring_titles_texts_images_and_unused_items(tmp_path):
    items = {
        "what": ["x,y", "0012", "tab\there", "unused"], "name": ["A", "B", "C", "D"],
        "about": ["red  shoe", "red\nhat", "blue hat", ""], "pic": ["a.jpg", "", "c.jpg", "d.jpg"],
    }  # fmt: skip
    args = ["--user", "who", "--item", "what", "--items", str(save(tmp_path, "csv", items, "items"))]
    args += [
        "--title",
        "name",
        "--text",
        "name,about",
        "--image",
        "pic",
        "--name",
        "toy",
        "--data-path",
        "data",
    ]
    assert main(["convert", "table", "--interactions", str(save(tmp_path, "csv")), *args]) == 0
    dataset = Dataset("toy", "data")
    assert dataset.titles() == {"0012": "B", "tab\there": "C", "unused": "D", "x,y": "A"}
    assert list(dataset.texts(["text", "image"])) == [
        "B red hat",
        "C blue hat c.jpg",
        "D d.jpg",
        "A red shoe a.jpg",
    ]
    assert dataset.modalities == ["textual"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "inter.csv is empty"),
        (
            "who,what,stars\na,b,1\n",
            "inter.csv has no column 'when'; its columns are who, what, stars; `convert table --columns`",
        ),
        (
            "who,what,stars,when\na,b,1,2\na,c,1\n",
            "inter.csv, line 3: the row has 3 fields instead of 4; repair",
        ),
        ("who,what,stars,when\na,b,good,2\n", "inter.csv, line 2: 'good' is not a number"),
        (
            "who,what,stars,when\na,b,1,yesterday\n",
            "inter.csv, line 2: 'yesterday' is no time, neither a number nor an ISO date",
        ),
        ("who,what,stars,when\na,b,nan,2\n", "inter.csv, line 2: nan is not a finite number"),
        ("who,what,stars,when\na,b,1,inf\n", "inter.csv, line 2: inf is not a finite number"),
        (
            "who,what,stars,when\na,,1,2\n",
            "inter.csv, line 2: the item id '' cannot be used because it is blank",
        ),
        (
            "who,what,stars,when\na,nan,1,2\n",
            "inter.csv, line 2: the item id 'nan' cannot be used because RecBole reads it as a missing",
        ),
        ("who,what,stars,when\n", "inter.csv has no interactions"),
        ("who,what,stars,when,who\n", "inter.csv has two columns 'who'; rename one"),
        (
            'who,what,stars,when\na,b,1,2\n"a,b,1,2\n',
            "inter.csv, line 3: a quote opens in this row and never",
        ),
        ('who,what,stars,when\n"a" b,c,1,2\n', "inter.csv, line 2: text stands beside a quoted field"),
    ],
)
def test_broken_input_is_one_sentence_and_leaves_nothing(tmp_path, text, message):
    (tmp_path / "inter.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        plain_tables.convert(tmp_path / "inter.csv", "toy", tmp_path / "data", **NAMES)
    data = tmp_path / "data"
    assert not data.exists() or list(data.iterdir()) == []


@pytest.mark.parametrize("core", [[], ["--k-core", "1"]])
def test_a_table_of_other_items_is_refused(tmp_path, core, capsys):
    items = save(tmp_path, "csv", {"what": ["12", "13"], "name": ["A", "B"]}, "items")
    args = ["--user", "who", "--item", "what", "--items", str(items), "--title", "name", "--name", "toy"]
    args += ["--interactions", str(save(tmp_path, "csv")), "--data-path", str(tmp_path / "data"), *core]
    assert main(["convert", "table", *args]) == 2
    assert "items.csv" in (said := capsys.readouterr().err) and "is an item of" in said
    assert not (tmp_path / "data" / "toy").exists()


def test_skip_bad_counts(tmp_path, capsys):
    (tmp_path / "inter.csv").write_text("who,what,stars\na,b,1\na,c\nb,b,x\nNA,b,1\nb,c,2\na,b,3\n")
    args = [
        "--interactions",
        str(tmp_path / "inter.csv"),
        "--user",
        "who",
        "--item",
        "what",
        "--rating",
        "stars",
    ]
    assert main(["convert", "table", *args, "--skip-bad", "--name", "toy", "--data-path", "data"]) == 0
    printed = capsys.readouterr().out
    assert "3 broken rows left out" in printed and "1 repeated interactions dropped" in printed


def test_binary_ids_of_parquet_are_text_and_nulls_are_refused_with_their_row(tmp_path):
    path = save(tmp_path, "parquet", {"who": [b"007", b"\xc3\xa9"], "what": ["a", "b"]})
    plain_tables.convert(path, "toy", tmp_path / "data", user="who", item="what")
    assert Dataset("toy", tmp_path / "data").users == ["007", "é"]
    path = save(tmp_path, "parquet", {"who": ["a", None], "what": ["a", "b"]})
    with pytest.raises(DataError, match="inter.parquet, row 2: the user id '' cannot be used"):
        plain_tables.convert(path, "nulls", tmp_path / "data", user="who", item="what")


def test_of_a_core_only_its_items_are_read_from_the_table_of_items(tmp_path):
    inter = save(tmp_path, "csv", {"who": ["a", "a", "b", "b", "b"], "what": ["x", "y", "x", "y", "z"]})
    items = save(tmp_path, "tsv", {"what": ["z", "z", "y"], "name": ["Z", "Z again", "Y"]}, "items")
    plain_tables.convert(
        inter, "toy", tmp_path / "data", user="who", item="what", core=2, items=items, title="name"
    )
    assert Dataset("toy", tmp_path / "data").titles() == {"x": "", "y": "Y"}


def test_a_second_row_of_an_item_is_refused(tmp_path):
    items = save(tmp_path, "csv", {"what": ["a", "a"], "name": ["A", "B"]}, "items")
    with pytest.raises(DataError, match="items.csv, line 3: the item 'a' has a second row"):
        plain_tables.convert(
            save(tmp_path, "csv"), "toy", "data", user="who", item="what", items=items, title="name"
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(min_rating=3.0), "--min-rating needs --rating"),
        (dict(title="name"), "--title, --text and --image name columns of --items, which is missing"),
    ],
)
def test_options_that_need_others_say_so(tmp_path, options, message):
    with pytest.raises(DataError, match=message):
        plain_tables.convert(save(tmp_path, "csv"), "toy", "data", user="who", item="what", **options)
