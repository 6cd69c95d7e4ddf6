"""Whose the rows are: the order of the source, or refused."""

import json
import re
import shlex

import numpy as np
import pandas as pd
import pytest

from dataset_tools.__main__ import main
from dataset_tools.dataset.folder import DatasetFolder
from dataset_tools.dataset.reading import Dataset

ITEMS = [f"i{n}" for n in range(12)]  # sorted as text i1, i10, i11, i2


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("f.npy", np.arange(24.0).reshape(12, 2))
    pd.DataFrame({"item": ITEMS, "title": "t"}).to_csv("items.csv", index=False)
    pd.DataFrame({"user": "u", "item": ITEMS}).to_csv("inter.csv", index=False)
    (tmp_path / "in").mkdir()


def features(*options):
    return main(
        [
            "features",
            "--input",
            "f.npy",
            "--modality",
            "visual",
            "--name",
            "toy",
            "--data-path",
            "d",
            *options,
        ]
    )


def convert(layout, *options):
    assert main(["convert", layout, *options, "--name", "toy", "--data-path", "d"]) == 0


def check_rows():
    dataset = Dataset("toy", "d")
    values, _ = dataset.matrix("visual")
    assert {item: row[0] for item, row in zip(dataset.items, values, strict=True)} == {
        item: 2.0 * n for n, item in enumerate(ITEMS)
    }


def test_after_a_table_the_advice_of_the_refusal_is_what_works(capsys):
    convert(
        "table",
        "--interactions",
        "inter.csv",
        "--user",
        "user",
        "--item",
        "item",
        "--items",
        "items.csv",
        "--title",
        "title",
    )
    assert features("--row-order") == 2
    said = capsys.readouterr().err
    assert "The items of toy are sorted by id, not in the order of their source" in said and len(said) < 300
    advice = re.search(r"--ids \S+ --ids-key \S+", said)[0]
    assert features(*shlex.split(advice)) == 0
    check_rows()


def test_without_a_table_of_items_a_list_is_advised(capsys):
    convert("table", "--interactions", "inter.csv", "--user", "user", "--item", "item")
    assert features("--row-order") == 2
    assert "with --ids LIST, one id per line." in capsys.readouterr().err
    with open("ids.txt", "w") as file:
        file.write("\n".join(ITEMS))
    assert features("--ids", "ids.txt") == 0
    check_rows()


def test_a_split_of_sorted_items_is_refused_too(capsys):
    convert("table", "--interactions", "inter.csv", "--user", "user", "--item", "item")
    assert main(["split", "toy", "--data-path", "d", "--to-name", "other"]) == 0
    assert (
        main(
            [
                "features",
                "--input",
                "f.npy",
                "--modality",
                "v",
                "--name",
                "other",
                "--data-path",
                "d",
                "--row-order",
            ]
        )
        == 2
    )
    assert "The items of other are sorted by id" in capsys.readouterr().err


@pytest.mark.parametrize("mapping", [True, False])
def test_a_layout_of_numbered_items_has_the_source_s_order(mapping):
    with open("in/x.inter", "w") as file:
        file.write("userID\titemID\n" + "".join(f"0\t{n}\n" for n in range(12)))
    if mapping:
        with open("in/i_id_mapping.csv", "w") as file:
            file.write(
                "asin\titemID\n" + "".join(f"{item}\t{n}\n" for n, item in reversed(list(enumerate(ITEMS))))
            )
    convert("mmrec", "--from", "in")
    assert features("--row-order") == 0
    if mapping:
        check_rows()
    assert Dataset("toy", "d").matrix("visual")[0][:, 0].tolist() == [2.0 * n for n in range(12)]


def test_numbers_with_gaps_have_no_row_order(capsys):
    with open("in/x.inter", "w") as file:
        file.write("userID\titemID\n" + "".join(f"0\t{7 * n}\n" for n in range(12)))
    convert("mmrec", "--from", "in")
    assert features("--row-order") == 2
    assert "with --ids LIST" in capsys.readouterr().err


def test_a_file_of_the_user_s_own_is_the_source():
    with DatasetFolder("d", "toy") as folder:
        folder.write_items(ITEMS)
        (folder.path / "toy.inter").write_text("user_id:token\titem_id:token\nu\ti1\n")
    assert features("--row-order") == 0
    check_rows()


def test_items_that_only_have_interactions_have_no_place(capsys):
    with DatasetFolder("d", "toy") as folder:
        folder.write_items(ITEMS[:11])
        (folder.path / "toy.inter").write_text("user_id:token\titem_id:token\nu\ti11\n")
    assert features("--row-order") == 2
    assert "not all in toy.item (1 only have interactions)" in capsys.readouterr().err


def test_a_record_of_old_tells_by_its_command():
    test_a_file_of_the_user_s_own_is_the_source()
    for command, code in (("convert micro", 0), ("convert table", 2), ("prepare baby", 2)):
        step = {"command": command, "options": {}, "sources": [], "summary": {}}
        with open("d/toy/toy.source.json", "w") as file:
            json.dump({"name": "toy", "steps": [step]}, file)
        assert features("--row-order", "--force") == code


IDS = {
    "ids.csv": (lambda: pd.DataFrame({"n": range(12), "asin": ITEMS}).to_csv("ids.csv", index=False), "asin"),
    "ids.parquet": (lambda: pd.DataFrame({"asin": ITEMS}).to_parquet("ids.parquet"), "asin"),
    "ids.jsonl": (
        lambda: pd.DataFrame({"asin": ITEMS}).to_json("ids.jsonl", orient="records", lines=True),
        "asin",
    ),
    "ids.npy": (lambda: np.save("ids.npy", np.array(ITEMS)), None),
}


@pytest.mark.parametrize("name", IDS)
def test_ids_come_from_tables_and_arrays(name):
    make, key = IDS[name]
    make()
    convert("table", "--interactions", "inter.csv", "--user", "user", "--item", "item")
    assert features("--ids", name, *(["--ids-key", key] if key else [])) == 0
    check_rows()


def test_features_of_other_items_are_remarked(capsys):
    generator = np.random.default_rng(0)
    group = generator.integers(0, 4, 120)
    pairs = [
        (u, i) for u in range(200) for i in generator.choice(np.flatnonzero(group == u % 4), 6, replace=False)
    ]
    pd.DataFrame(pairs, columns=["user", "item"]).to_csv("inter.csv", index=False)
    values = np.eye(4)[group] + 0.1 * generator.standard_normal((120, 4))
    np.save("f.npy", values)
    with open("ids.txt", "w") as file:
        file.write("\n".join(map(str, range(120))))
    convert("table", "--interactions", "inter.csv", "--user", "user", "--item", "item")
    assert features("--ids", "ids.txt") == 0
    assert "WARNING" not in capsys.readouterr().out
    np.save("f.npy", generator.permutation(values))
    assert features("--ids", "ids.txt", "--force") == 0
    assert "WARNING: the nearest neighbours in visual are no more co-interacted" in capsys.readouterr().out
