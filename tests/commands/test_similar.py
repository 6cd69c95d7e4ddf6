"""`recbole-micro similar`: the nearest items on the screen and in files."""

import csv

import pandas as pd
import pytest

from recbole_micro import cli, load
from recbole_micro.inference import similar as module
from tests.support import shop


def test_one_items_neighbours_on_the_screen(checkpoint, capsys):
    assert (
        cli.main(["similar", f"--checkpoint={checkpoint('MICRO')}", "--item=i3", "--by=visual", "-k", "2"])
        == 0
    )
    said = capsys.readouterr()
    rows = list(csv.DictReader(said.out.splitlines()))
    assert [(row["item_id"], row["by"], row["rank"]) for row in rows] == [
        ("i3", by, rank) for by in ("visual", "visual:learned") for rank in "12"
    ]
    source = load(checkpoint("MICRO"))
    space = source.model.spaces()["visual"].values
    place = source.dataset.token2id("item_id", "i3")
    expected = module.torch.cosine_similarity(space[place][None], space)
    expected[[0, place]] = -2
    best = expected.topk(2)
    assert [row["neighbour"] for row in rows[:2]] == list(source.dataset.id2token("item_id", best.indices))
    assert [float(row["cosine"]) for row in rows[:2]] == pytest.approx(best.values.tolist(), abs=1e-5)
    titles = {f"i{i}": f"Item {i}" for i in range(shop.ITEMS)} | {"i7": shop.EVIL, "i8": ""}
    assert [row["title"] for row in rows] == [titles[row["neighbour"]] for row in rows]
    assert not said.err


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_all_items_go_to_a_file(checkpoint, kind, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ITEMS_AT_ONCE", 5)
    out = tmp_path / f"near.{kind}"
    assert cli.main(["similar", f"--checkpoint={checkpoint('MICRO')}", f"--out={out}", "--topk=3"]) == 0
    table = pd.read_csv(out, dtype=str) if kind == "csv" else pd.read_parquet(out)
    spaces = load(checkpoint("MICRO")).model.spaces()
    assert len(table) == 3 * shop.ITEMS * len(spaces) and set(table["by"]) == set(spaces)
    assert (table["item_id"] != table["neighbour"]).all()
    ranks = table.groupby(["item_id", "by"])["rank"].apply(lambda found: [int(rank) for rank in found])
    assert all(found == [1, 2, 3] for found in ranks)


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        ([], "--checkpoint=FILE"),
        (["--checkpoint=F"], "--item=ID, or --out=FILE"),
        (["--checkpoint=F", "--item=zz"], "shop has no item zz"),
        (
            ["--checkpoint=F", "--item=i1", "--by=audio"],
            "cannot compare items by 'audio': choose among textual",
        ),
        (["--checkpoint=F", "--item=i1", "-k", "0"], "topk is '0'"),
        (["--checkpoint=F", "--out=x.json"], "x.json: choose a .csv or .parquet file"),
        (["--checkpoint=N", "--item=i1"], "NeuMF has no vector of each item"),
    ],
)
def test_mistakes_are_one_sentence(checkpoint, argv, sentence, capsys):
    known = {"=F": "MICRO", "=N": "NeuMF"}
    for short, model in known.items():
        argv = [
            word.replace(short, f"={checkpoint(model)}") if word.endswith(short) else word for word in argv
        ]
    assert cli.main(["similar", *argv]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ") and sentence in error
