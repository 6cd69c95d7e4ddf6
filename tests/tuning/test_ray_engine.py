"""`recbole-micro tune --engine=ray`: two trials, pruning, a killed study, what a trial gets."""

import signal
import time
from importlib.util import find_spec
from types import SimpleNamespace

import pandas as pd
import pytest
import yaml

from recbole_micro import cli
from recbole_micro.errors import UserError
from recbole_micro.studies import cluster
from recbole_micro.tuning import hyperopt_engine, ray_engine
from recbole_micro.tuning.trials import FAILED, FINISHED, PRUNED, Journal
from tests.support import processes, world
from tests.support.tiny import QUICK

SPACE = {
    "choice": {"train_batch_size": [64, 128]},
    "quniform": {"embedding_size": [4, 16, 4]},
    "loguniform": {"learning_rate": [1e-3, 1e-1]},
    "uniform": {"weight_decay": [0.0, 1e-4]},
}
needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")


def command(folder, *more: str) -> list[str]:
    """A search of two trials on the synthetic world."""
    world.build(folder / "data")
    (folder / "quick.yaml").write_text(yaml.safe_dump({**QUICK, "embedding_size": 8}))
    (folder / "space.yaml").write_text(yaml.safe_dump(SPACE))
    argv = ["tune", "--model=BPR", "--dataset=world", f"--data_path={folder}/data", "--trials=2"]
    return [*argv, "--epochs=2", f"--config_files={folder}/quick.yaml", f"--space={folder}/space.yaml", *more]


@pytest.mark.parametrize("engine", ["hyperopt", pytest.param("ray", marks=[needs_ray, pytest.mark.slow])])
def test_two_trials_on_the_synthetic_world(engine, tmp_path, capsys):
    out = tmp_path / "out"
    argv = command(tmp_path, f"--engine={engine}", "--algo=random", f"--out={out}")
    assert cli.main(argv) == 0
    printed = capsys.readouterr().out
    trials = pd.read_csv(out / "trials.csv")
    drawn = ["train_batch_size", "embedding_size", "learning_rate", "weight_decay"]
    measures = [name for name in trials.columns if name.startswith("valid ")]
    told = ["state", "score", "protocol", "epochs"]
    assert sorted(trials.columns) == sorted(["trial", *drawn, *told, *measures])
    assert trials["trial"].tolist() == [1, 2] and set(trials["state"]) <= {FINISHED, PRUNED}
    assert trials["embedding_size"].isin([4, 8, 12, 16]).all()
    assert trials["learning_rate"].between(1e-3, 1e-1).all()
    assert "trial 1 (" in printed and "(2 of 2 ended)" in printed and "test recall@5: 0." in printed
    winner = pd.read_csv(out / "winner" / "results.csv")
    assert winner["valid recall@5"].iloc[0] == pytest.approx(trials["score"].max(), abs=1e-6)
    assert (out / "study.png").stat().st_size > 5000
    best = yaml.safe_load((out / "best.yaml").read_text())
    assert type(best["embedding_size"]) is int and best["model"] == "BPR"
    before = (out / "trials.csv").read_bytes()
    assert cli.main(argv) == 0  # a finished study: nothing is trained, Ray does not even start
    assert (out / "trials.csv").read_bytes() == before


OWN_MODEL = """
from recbole.model.general_recommender import BPR
from recbole_micro.errors import UserError

class Moody(BPR):
    defaults = {"mood": "good"}

    def __init__(self, config, dataset):
        super().__init__(config, dataset)
        if config["mood"] == "bad":
            raise RuntimeError("in a bad mood")
        if config["mood"] == "wrong":
            raise UserError("mood is wrong: choose good or bad.")
"""


@needs_ray
@pytest.mark.slow
def test_workers_know_models_of_ones_own_and_what_went_wrong(own_models, tmp_path, capfd):
    """A trial that fails is kept; a mistake that all trials would meet ends the study with its text."""
    file = tmp_path / "moody.py"
    file.write_text(OWN_MODEL)
    for moods, code in ((["good", "bad"], 0), (["wrong"], 2)):
        out = tmp_path / moods[0]
        argv = command(tmp_path, "--engine=ray", "--algo=exhaustive", f"--out={out}", f"--plugins={file}")
        (tmp_path / "space.yaml").write_text(yaml.safe_dump({"choice": {"mood": moods}}))
        argv = ["--model=Moody" if argument == "--model=BPR" else argument for argument in argv]
        assert cli.main(argv) == code
    trials = pd.read_csv(tmp_path / "good" / "trials.csv").set_index("mood")
    assert trials["state"].to_dict() == {"good": FINISHED, "bad": FAILED}
    assert yaml.safe_load((tmp_path / "good" / "best.yaml").read_text())["mood"] == "good"
    told = capfd.readouterr()
    assert "RuntimeError: in a bad mood" in told.out
    assert told.err.endswith("error: mood is wrong: choose good or bad.\n")


@needs_ray
@pytest.mark.slow
@pytest.mark.parametrize("algo", ["random", "bayes"])
@pytest.mark.parametrize("engine", ["hyperopt", "ray"])
def test_a_killed_study_ends_as_if_it_had_not_been(engine, algo, tmp_path):
    more = ["--workers=1", "--grace=1"] if engine == "ray" else []
    argv = command(tmp_path, f"--engine={engine}", f"--algo={algo}", *more)
    argv = ["--trials=5" if argument == "--trials=2" else argument for argument in argv]
    code = "import sys; from recbole_micro.cli import main; sys.exit(main(sys.argv[1:]))"

    def start(out):
        return processes.start("-c", code, *argv, f"--out={out}", cwd=tmp_path)

    assert start(tmp_path / "whole").wait() == 0
    killed = start(tmp_path / "killed")
    kept = tmp_path / "killed" / "trials.jsonl"
    while not kept.is_file() or kept.read_text().count("\n") < 2:
        assert killed.poll() is None
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert kept.read_text().count("\n") < 5
    assert start(tmp_path / "killed").wait() == 0
    if engine == "ray":
        assert PRUNED in pd.read_csv(tmp_path / "whole" / "trials.csv")["state"].to_list()
    for name in ("trials.csv", "trials.jsonl", "best.yaml"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@needs_ray
@pytest.mark.parametrize("algo", ["random", "bayes"])
def test_a_journal_leads_to_the_next_draw(algo, tmp_path):
    """Without Ray running: draw, tell, begin anew from the journal, with all of its lines and without one."""
    hooks = ("on_trial_add", "on_trial_result", "on_trial_remove")
    asha = SimpleNamespace(**dict.fromkeys(hooks, lambda *_: None))
    journal = Journal(tmp_path / "trials.jsonl")

    def draws():
        drawing = ray_engine.drawing(hyperopt_engine.build_search(SPACE, algo, 30), "max", 3, journal)
        drawing.replay(asha)
        return drawing

    first = draws()
    for number in range(1, 26):
        params = first.suggest(f"t{number}")["params"]
        result = {"best_valid_score": params["learning_rate"], "valid_score_bigger": True}
        result |= {"state": FINISHED, "best_valid_result": {}, "epochs": 2}
        first.on_trial_complete(f"t{number}", result)
        journal.add(params, result, number, first.drawn[f"t{number}"]["after"])
    wanted = first.suggest("next")
    assert draws().suggest("next") == wanted
    lost = journal.trials.pop(11)  # it was still running when the study was killed
    for line in journal.trials[11:]:
        line["after"] -= 1
    assert draws().suggest("again")["params"] == lost["params"]


def test_rungs_and_grace():
    config = {"epochs": 300, "eval_step": 3}
    assert ray_engine.grace_period(config) == 10 and ray_engine.grace_period(config, 50) == 50
    assert ray_engine.rungs(config, 10) == {"grace_period": 10, "max_t": 297, "reduction_factor": 3}
    assert ray_engine.rungs(config, 300)["grace_period"] == 301  # no rung at all
    assert ray_engine.rungs({"epochs": 2, "eval_step": 1}, 1)["max_t"] == 1


def test_without_ray(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(cluster, "find_spec", lambda name: None)
    assert cli.main(command(tmp_path, "--engine=ray", f"--out={tmp_path}/out")) == 2
    assert "needs Ray Tune" in capsys.readouterr().err and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--engine=spark"], "no engine 'spark': choose one of hyperopt, ray"),
        (["--workers=2"], "--workers belongs to the engine ray"),
        (["--algo=exhaustive"], "takes choices alone: list values of learning_rate, embedding_size"),
        pytest.param(["--engine=ray", "--address=ray://a:1"], "is Ray's client", marks=needs_ray),
    ],
)
def test_mistakes(more, sentence, tmp_path, capsys):
    assert cli.main([*command(tmp_path, f"--out={tmp_path}/out"), *more]) == 2
    assert sentence in capsys.readouterr().err


def test_a_failing_trial_is_a_row_and_a_mistake_ends_the_search():
    def fails(config, files):
        raise ValueError("Training loss\nis nan")

    result = ray_engine.measured(fails, {}, bigger=True)
    assert result["state"] == FAILED and result["error"] == "ValueError: Training loss is nan"

    def mistaken(config, files):
        raise UserError("knn_k is -1")

    with pytest.raises(UserError, match="knn_k is -1"):
        ray_engine.measured(mistaken, {}, bigger=True)
