"""`recbole-micro evaluate`: others' lists on the screen, and as rows of a study."""

import json
import re

import pandas as pd
import pytest

from recbole_micro import cli, load, recommend
from tests.support import shop


@pytest.fixture(scope="module")
def lists(shop_data, trained, tmp_path_factory):
    """A file of a model's lists, its test result, and the options that say how it was measured."""
    options, result = shop.options(shop_data), trained("MICRO")
    file = tmp_path_factory.mktemp("lists") / "theirs.csv"
    recommend(load(result["checkpoint"]), k=5, exclude_seen=["train", "valid"]).to_csv(file, index=False)
    same = ("topk", "metric_decimal_place", "data_path")
    return file, result["test_result"], [f"--{name}={options[name]}" for name in same]


def evaluate(*argv) -> int:
    return cli.main(["evaluate", "--dataset=shop", *argv])


def test_the_screen_shows_the_models_own_metrics(lists, capsys):
    file, expected, options = lists
    assert evaluate(f"--lists={file}", *options, "--beyond") == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[0] == f"Test results of {file} on shop, protocol recbole"
    shown = dict(re.findall(r"  (.+): (\S+)", said.out))
    for name, value in expected.items():
        assert float(
            shown[{"recall@5": "Recall@5", "ndcg@5": "NDCG@5", "precision@5": "Precision@5"}[name]]
        ) == (pytest.approx(value, abs=1e-4))
    assert {"Item coverage@5", "Gini index@5", "Average popularity@5", "Tail percentage@5"} < set(shown)
    assert not said.err


def test_rows_of_a_study(lists, tmp_path, capsys):
    file, expected, options = lists
    out = tmp_path / "study"
    for label in ("theirs", "A & B", "theirs"):  # the last one replaces the first
        assert evaluate(f"--lists={file}", *options, f"--out={out}", f"--label={label}") == 0
    table = pd.read_csv(out / "results.csv")
    assert sorted(table["label"]) == ["A & B", "theirs"] and set(table["status"]) == {"finished"}
    assert table["test recall@5"].tolist() == pytest.approx([expected["recall@5"]] * 2)
    users = pd.read_parquet(out / table["folder"][0] / "users.parquet")
    assert len(users) == 24 and users["recall@5"].mean() == pytest.approx(expected["recall@5"])
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "A &amp; B" in page and "theirs" in capsys.readouterr().out
    assert evaluate(f"--lists={file}", *options, f"--out={out}", "--protocol=paper") == 2
    assert "has results under protocol recbole: add --protocol=recbole" in capsys.readouterr().err


@pytest.mark.slow
def test_a_row_stays_when_the_study_goes_on(lists, study_of_one, capsys):
    file, expected, options = lists
    out = study_of_one
    assert evaluate(f"--lists={file}", *options, f"--out={out}", "--label=peer") == 0
    table = pd.read_csv(out / "results.csv")
    assert table["label"].tolist() == ["BPR", "peer"]
    assert (out / "significance.csv").read_text().startswith("metric,best,other")
    again = ["compare", "--models=BPR", "--dataset=shop", f"--out={out}", *options, "--epochs=1", "--gpu_id="]
    assert cli.main(again) == 0
    assert pd.read_csv(out / "results.csv")["label"].tolist() == ["BPR", "peer"]
    assert "| peer |" in (out / "table.md").read_text(encoding="utf-8")
    assert evaluate(f"--lists={file}", *options, f"--out={out}", "--label=BPR") == 2
    assert "has trained BPR: choose another --label" in capsys.readouterr().err


@pytest.fixture
def study_of_one(lists, tmp_path):
    """A finished study of one model, trained once in a process of its own."""
    options = [*lists[2], "--epochs=1", "--gpu_id="]
    out = tmp_path / "study"
    assert cli.main(["compare", "--models=BPR", "--dataset=shop", f"--out={out}", *options]) == 0
    return out


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        ([], "--lists=FILE or --scores=FILE"),
        (["--lists=F", "--scores=F"], "--lists=FILE or --scores=FILE"),
        (["--lists=none.csv"], "There is no file none.csv"),
        (["--scores=none.npz"], "There is no file none.npz"),
        (["--lists=F", "--topk=50"], "topk is 50"),
        (["--lists=F", "--protcol=paper"], "did you mean protocol?"),
        (["--lists=F", "--eval_args={mode: uni100}"], "set mode: full in eval_args"),
    ],
)
def test_mistakes_are_one_sentence(lists, argv, sentence, capsys):
    file, _, options = lists
    given = [word.removesuffix("=F") + f"={file}" if word.endswith("=F") else word for word in argv]
    names = {word.partition("=")[0] for word in given}
    rest = [word for word in options if word.partition("=")[0] not in names]
    assert evaluate(*given, *rest) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ") and sentence in error


def test_a_study_of_another_data_set_is_refused(lists, tmp_path, capsys):
    file, _, options = lists
    folder = tmp_path / "given" / "x"
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(json.dumps({"dataset": "baby"}))
    assert evaluate(f"--lists={file}", *options, f"--out={tmp_path}") == 2
    assert "is a study of baby, not of shop" in capsys.readouterr().err
