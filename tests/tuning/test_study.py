"""`recbole-micro tune`: interrupted searches, the winner, and what may not see the test set."""

import json
import re

import pandas as pd
import pytest
import yaml

from recbole_micro import cli
from recbole_micro.errors import UserError
from recbole_micro.tuning import study
from tests.support.processes import stand_in
from tests.support.tiny import QUICK, write_tiny

SPACE = {"choice": {"embedding_size": [4, 8, 16]}, "uniform": {"learning_rate": [0.001, 0.1]}}
OPTIONS = {"model": "BPR", "dataset": "tiny", "seed": 3, "topk": [5], "valid_metric": "Recall@5"}


# A program that stands for the training of the winner.
WINNER = """
import json, pathlib, sys
result = {"epochs": 2, "protocol": "recbole", "valid": {"recall@5": 0.5}, "test": {"recall@5": 0.25}}
(pathlib.Path(sys.argv[1]) / "result.json").write_text(json.dumps(result))
"""


@pytest.fixture
def winner(tmp_path):
    return stand_in(tmp_path, WINNER)


class Objective:
    """The best is embedding_size 8 and a learning rate of 0.05; the process dies at trial number `die`."""

    def __init__(self, die: int = -1):
        self.die, self.calls = die, 0

    def __call__(self, config, files):
        assert config["model"] == "BPR" and config["dataset"] == "tiny"
        self.calls += 1
        if self.calls == self.die:
            raise KeyboardInterrupt
        distance = abs(config["embedding_size"] - 8) + abs(config["learning_rate"] - 0.05)
        result = {"model": "BPR", "best_valid_score": 1 / (1 + distance), "valid_score_bigger": True}
        result |= {"best_valid_result": {"recall@5": 1 / (1 + distance)}, "epochs": 2}
        return result | {"test_result": {}}


@pytest.mark.parametrize("algo", ["random", "tpe"])
@pytest.mark.parametrize("die", [1, 4])
def test_an_interrupted_search_goes_on_to_the_same_end(algo, die, tmp_path, winner):
    arguments = {"space": SPACE, "options": OPTIONS, "algo": algo, "trials": 6, "command": winner}
    study.tune(**arguments, out=tmp_path / "whole", objective=Objective())

    with pytest.raises(KeyboardInterrupt):
        study.tune(**arguments, out=tmp_path / "killed", objective=Objective(die))
    kept = tmp_path / "killed" / "trials.jsonl"
    if kept.is_file():
        kept.write_text(kept.read_text() + '{"params": {"embed')
    objective = Objective()
    study.tune(**arguments, out=tmp_path / "killed", objective=objective)
    assert objective.calls == 6 - (die - 1)
    for name in ("trials.csv", "trials.jsonl", "best.yaml", "winner/results.csv"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()

    objective = Objective()
    study.tune(**arguments, out=tmp_path / "killed", objective=objective)
    assert objective.calls == 0
    study.tune(**(arguments | {"trials": 8}), out=tmp_path / "killed", objective=objective)
    assert objective.calls == 2


def test_what_a_search_writes(tmp_path, winner):
    space = {"choice": {"embedding_size": [4, 8], "learning_rate": [0.01, 0.05]}}
    table = study.tune(space, OPTIONS, tmp_path, "exhaustive", objective=Objective(), command=winner)
    assert table["test recall@5"].tolist() == [0.25]
    trials = pd.read_csv(tmp_path / "trials.csv")
    assert list(trials.columns) == [
        *("trial", "embedding_size", "learning_rate"),
        *("state", "score", "protocol", "epochs", "valid recall@5"),
    ]
    assert set(trials["protocol"]) == {"recbole"}
    assert sorted(zip(trials["embedding_size"], trials["learning_rate"], strict=True)) == [
        (4, 0.01),
        (4, 0.05),
        (8, 0.01),
        (8, 0.05),
    ]
    text = (tmp_path / "best.yaml").read_text()
    assert text.startswith("# The best of 4 trials, validation score 1.000000 [protocol: recbole]")
    assert yaml.safe_load(text) == {**OPTIONS, "embedding_size": 8, "learning_rate": 0.05}
    assert (tmp_path / "study.png").stat().st_size > 5000
    with pytest.raises(UserError, match="holds a study with other options: choose another --out"):
        study.tune(SPACE, OPTIONS, tmp_path, "random", objective=Objective(), command=winner)


def test_an_unknown_search_leaves_no_study_behind(tmp_path):
    with pytest.raises(UserError, match="no search 'grid'"):
        study.tune(SPACE, OPTIONS, tmp_path / "out", "grid")
    assert not (tmp_path / "out").exists()


def test_tune_selects_on_validation_and_tests_the_winner_once(tiny_data, tmp_path, evaluated, capsys):
    """The whole command; no trial evaluates the test set, the winner's own process does."""
    file, space = tmp_path / "quick.yaml", tmp_path / "space.yaml"
    file.write_text(yaml.safe_dump(QUICK))
    space.write_text("choice:\n  embedding_size: [4, 8]\n")
    argv = ["tune", "--model=BPR", "--dataset=tiny", f"--space={space}", "--algo=exhaustive"]
    argv += [
        f"--data_path={tiny_data}",
        f"--config_files={file}",
        f"--out={tmp_path}/out",
    ]
    assert cli.main(argv) == 0
    assert evaluated == ["valid"] * 2 * QUICK["epochs"]
    printed = capsys.readouterr().out
    best = yaml.safe_load((tmp_path / "out" / "best.yaml").read_text())
    assert "test recall@5: 0." in printed and best["embedding_size"] in (4, 8)
    measured = [line for line in printed.splitlines() if re.search("recall@5|score|finished:", line)]
    assert len(measured) >= 4 and all("protocol: recbole" in line for line in measured)
    results = pd.read_csv(tmp_path / "out" / "winner" / "results.csv")
    folder = tmp_path / "out" / "winner" / results["folder"].iloc[0]
    tested = json.loads((folder / "result.json").read_text())
    trials = pd.read_csv(tmp_path / "out" / "trials.csv")
    # The winner's own training is the trial's again.
    assert tested["best_valid_score"] == pytest.approx(trials["score"].max(), abs=1e-6)


def test_values_that_an_option_cannot_have_are_refused_before_the_first_trial(tiny_data, tmp_path):
    given = {**OPTIONS, "model": "MICRO", "dataset": "tiny", "data_path": str(tiny_data)}
    for space in ({"choice": {"adjacency": ["mean", "sym"]}}, {"uniform": {"beta": [-1, 1]}}):
        with pytest.raises(UserError, match="in the search space"):
            study.tune(space, given, tmp_path / "out", objective=None)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["--dataset=tiny"], "needs --model=NAME and --dataset=NAME"),
        (["--model=NeuMF", "--dataset=tiny"], "There is no search space for NeuMF: .* --space=FILE"),
        (["--model=BPR", "--dataset=tiny", "--trials=0"], "Option trials is '0'"),
        (["--model=MICRO", "--dataset=tiny", "--algo=grid"], "no search 'grid'"),
    ],
)
def test_mistakes(argv, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_tiny(tmp_path / "dataset")
    assert cli.main(["tune", *argv]) == 2
    assert re.search(sentence, capsys.readouterr().err)
