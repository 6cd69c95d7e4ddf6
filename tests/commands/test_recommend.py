"""`recbole-micro recommend`: files of every kind, users, filters, mistakes, and what training says of it."""

import csv
import json
import logging
import re
import shlex

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from dataset_tools.features.feature_file import FeatureWriter
from recbole_micro import cli, load, recommend, run
from recbole_micro.inference import recommend as lists
from tests.support import shop
from tests.support.logs import plain
from tests.support.tiny import WIDTHS


@pytest.fixture
def asked(checkpoint):
    return ["recommend", f"--checkpoint={checkpoint('MICRO')}"]


def rows(text: str) -> list[dict]:
    return list(csv.DictReader(text.splitlines()))


def test_every_kind_of_file_has_the_same_lists(asked, checkpoint, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(lists, "USERS_AT_ONCE", 5)  # several portions
    for kind in ("csv", "json", "jsonl", "parquet"):
        assert cli.main([*asked, "--topk=3", f"--out={tmp_path}/lists.{kind}"]) == 0
    said = capsys.readouterr()
    assert not said.out and "=" not in said.err  # no configuration
    assert cli.main([*asked, "--topk=3"]) == 0
    expected = recommend(checkpoint("MICRO"), k=3)
    screen = rows(capsys.readouterr().out)
    table = pd.DataFrame(screen)
    assert list(table) == ["user_id", "rank", "item_id", "score", "title"]
    assert table[["user_id", "item_id"]].equals(expected[["user_id", "item_id"]].astype(str))
    assert np.allclose(table["score"].astype(float), expected["score"], atol=1e-6)
    titles = {row["item_id"]: row["title"] for row in screen}
    usual = {item: title for item, title in titles.items() if item not in ("i7", "i8")}
    assert len(usual) > 3 and all(title == f"Item {item[1:]}" for item, title in usual.items())
    assert rows((tmp_path / "lists.csv").read_text()) == screen
    found = pq.ParquetFile(tmp_path / "lists.parquet")
    assert found.num_row_groups == 5
    assert (
        found.read()
        .to_pandas()
        .astype(str)[["user_id", "rank", "item_id", "title"]]
        .equals(table[["user_id", "rank", "item_id", "title"]].astype(str))
    )
    lines = [json.loads(line) for line in (tmp_path / "lists.jsonl").read_text().splitlines()]
    assert lines == json.loads((tmp_path / "lists.json").read_text())
    assert [[entry["user_id"], item["item_id"]] for entry in lines for item in entry["items"]] == (
        table[["user_id", "item_id"]].to_numpy().tolist()
    )
    assert set(lines[0]["items"][0]) == {"item_id", "score", "title"}
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"lists.{kind}" for kind in ("csv", "json", "jsonl", "parquet")
    ]


def test_a_failure_leaves_the_old_file(asked, tmp_path, monkeypatch):
    out = tmp_path / "lists.csv"
    out.write_text("old")
    monkeypatch.setattr(lists, "as_lists", lambda *arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cli.main([*asked, f"--out={out}"])
    assert [path.name for path in tmp_path.iterdir()] == ["lists.csv"] and out.read_text() == "old"


def test_new_items_are_ranked_too(asked, tmp_path, capsys):
    for modality, width in WIDTHS.items():
        with FeatureWriter(tmp_path / f"more.{modality}.parquet", modality, width) as writer:
            writer.write(["fresh"], np.ones((1, width), dtype=np.float32))
    out = tmp_path / "lists.csv"
    assert cli.main([*asked, "--users", "u1,u5", "--topk=30", f"--new-items={tmp_path}", f"--out={out}"]) == 0
    found = rows(out.read_text())
    assert [row["user_id"] for row in found] == ["u1"] * 7 + ["u5"] * 7  # 6 unseen, 1 new
    assert sum(row["item_id"] == "fresh" for row in found) == 2
    capsys.readouterr()
    assert cli.main([*asked, "--users=u1", f"--new-items={tmp_path}", "--filter=year > 0"]) == 0
    said = capsys.readouterr()
    assert "fresh" not in said.out and "leaves out the 1 new items" in said.err


def test_unknown_users_are_counted_and_listed(asked, tmp_path, capsys):
    file, out = tmp_path / "users.txt", tmp_path / "lists.csv"
    file.write_text("u3\nnobody\nu4\n[PAD]\n\n")
    assert cli.main([*asked, f"--users_file={file}", f"--out={out}", "--topk=2"]) == 0
    assert [row["user_id"] for row in rows(out.read_text())] == ["u3", "u3", "u4", "u4"]
    beside = tmp_path / "lists.csv.unknown.txt"
    assert capsys.readouterr().err == f"2 of 4 users are unknown ({beside} lists them).\n"
    assert beside.read_text() == "nobody\n[PAD]\n"
    assert cli.main([*asked, f"--users_file={file}", f"--out={out}", "--strict"]) == 2
    assert "no user nobody, [PAD]" in capsys.readouterr().err
    assert cli.main([*asked, "--users=u3", f"--out={out}"]) == 0
    assert not beside.exists()
    assert cli.main([*asked, "--users=u3,nobody", "--topk=1"]) == 0
    assert capsys.readouterr().err == "1 of 2 users are unknown (first: nobody).\n"


def listed(asked, capsys, *more) -> set[str]:
    assert cli.main([*asked, "--topk=100", *more]) == 0
    return {row["item_id"] for row in rows(capsys.readouterr().out)}


def test_items_are_chosen_by_lists_and_conditions(asked, tmp_path, capsys):
    file = tmp_path / "items.txt"
    file.write_text("i1\ni2\ni3\nunknown\n")
    assert cli.main([*asked, f"--items={file}", "--seen"]) == 0
    said = capsys.readouterr()
    assert {row["item_id"] for row in rows(said.out)} == {"i1", "i2", "i3"}
    assert said.err == f"{file}: 1 of its ids are no items here (first: unknown).\n"
    everything = {f"i{i}" for i in range(shop.ITEMS)}
    assert listed(asked, capsys, "--seen", f"--without={file}") == everything - {"i1", "i2", "i3"}
    dramas = {f"i{i}" for i in range(0, shop.ITEMS, 3)}
    assert listed(asked, capsys, "--seen", "--filter", 'genre == "Drama"') == dramas
    even = {f"i{i}" for i in range(0, shop.ITEMS, 2)}
    condition = '--filter=genre in ("Drama", "Comedy") and genre != "Short" and year < 1999'
    assert listed(asked, capsys, "--seen", condition) == {
        f"i{i}" for i in range(9) if i % 3 < 2 and f"i{i}" not in even
    }
    assert listed(asked, capsys, "--seen", '--filter=title = "Item 4"') == {"i4"}


def test_seen_items_are_kept_on_request(asked, checkpoint, capsys):
    assert len(listed(asked, capsys, "--users=u3")) == 6
    assert len(listed(asked, capsys, "--users=u3", "--seen")) == shop.ITEMS


@pytest.mark.parametrize(
    "choice, name",
    [
        (["mmr"], "mmr"),
        (["calibrated"], "calibrated by genre"),
        (["calibrated", "--categories=title"], "calibrated by title"),
    ],
)
def test_reranking_says_its_price(asked, choice, name, capsys):
    words = [f"--rerank={choice[0]}", *choice[1:], "--hide=train"]
    assert cli.main([*asked, "--topk=3", "--users=u1", *words]) == 0
    said = capsys.readouterr()
    assert len(rows(said.out)) == 3
    number = r"\d\.\d{4} to \d\.\d{4} \([+-]\d+\.\d%\)"
    share = r"\d+\.\d% to \d+\.\d%"
    assert re.fullmatch(
        rf"{name} on the test set: Recall@3 {number}, NDCG@3 {number}, items in any list {share}, "
        r"similarity within a list -?\d\.\d+ to -?\d\.\d+\.\n",
        said.err,
    )


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        ([], "--checkpoint=FILE"),
        (["--checkpoint=none.pth"], "no checkpoint none.pth"),
        (["--checkpoint=F", "--out=x.txt"], "x.txt: choose a .csv, .json, .jsonl or .parquet"),
        (["--checkpoint=F", "--out=nowhere/x.csv"], "no folder nowhere for --out"),
        (["--checkpoint=F", "--data_path=nowhere"], "data set shop is not in nowhere"),
        (["--checkpoint=F", "--users=u1,zz", "--strict"], "shop has no user zz"),
        (["--checkpoint=F", "--users=zz"], "shop has no user zz"),
        (["--checkpoint=F", "--users=u1", "--users_file=x"], "both name users"),
        (["--checkpoint=F", "--users_file=x"], "There is no file x"),
        (["--checkpoint=F", "--topk=0"], "topk is '0'"),
        (["--checkpoint=F", "--model=MICRO"], "'--model=MICRO' is unknown"),
        (["--checkpoint=F", "--user=u1"], "'--user=u1' is unknown; did you mean users?"),
        (["--checkpoint=F", "--zzz=1"], "'--zzz=1' is unknown; recbole-micro recommend --help lists them."),
        (["--checkpoint=F", "--new_items=."], "no feature file"),
        (["--checkpoint=F", "--hide=tst"], "--hide is 'tst'"),
        (["--checkpoint=F", "--hide=test", "--seen"], "keep one"),
        (["--checkpoint=F", "--rerank=mrr"], "choose mmr or calibrated"),
        (["--checkpoint=F", "--rerank=mmr", "--diversity=2"], "diversity"),
        (["--checkpoint=F", "--rerank=mmr", "--categories=genre"], "belongs to --rerank=calibrated"),
        (["--checkpoint=F", "--diversity=0.1"], "belongs to --rerank"),
        (["--checkpoint=F", "--filter=gnre = 'Drama'"], "did you mean genre?"),
        (["--checkpoint=F", "--filter=__import__('os')"], "--filter \"__import__('os')\": "),
        (["--checkpoint=F", "--filter=year > 3000"], "No item is left to recommend by --filter=year > 3000:"),
    ],
)
def test_mistakes_are_one_sentence(checkpoint, argv, sentence, capsys):
    argv = [argument.replace("=F", f"={checkpoint('MICRO')}") for argument in argv]
    assert cli.main(["recommend", *argv]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ") and sentence in error


def test_training_ends_with_the_command_that_recommends(shop_data, caplog, capsys, monkeypatch):
    monkeypatch.chdir(shop_data)
    with caplog.at_level(logging.INFO):
        given = shop.options(shop_data, checkpoint_dir="my models", epochs=1)
        result = run("BPR", "shop", config_dict=given)
    line = plain(caplog.messages[-1]).splitlines()[-1]
    words = shlex.split(line)
    assert words[:2] == ["recbole-micro", "recommend"] and f"--checkpoint={result['checkpoint']}" in words
    assert cli.main(words[1:]) == 0
    assert len(load(result["checkpoint"]).dataset.field2id_token["user_id"]) - 1 == len(
        set(re.findall(r"^u\d+", (shop_data / "lists.csv").read_text(), re.MULTILINE))
    )
