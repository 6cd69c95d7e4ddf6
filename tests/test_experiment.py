"""Grids of runs in processes: resuming, failures, per-user metrics."""

import functools
import signal
import sys

import pandas as pd
import pytest
import yaml
from recbole.utils.case_study import full_sort_topk

from recbole_micro import cli, files
from recbole_micro.errors import UserError
from recbole_micro.studies import pool, report, worker
from recbole_micro.studies import results as results_module
from recbole_micro.studies import runs as runs_module
from recbole_micro.training import loading
from tests.tiny import QUICK, python, write_tiny

# A program that stands for a training: its result follows from its options; some calls die on the way.
STAND_IN = """
import json, os, sys
from pathlib import Path
folder = Path(sys.argv[1])
text = (folder / "options.yaml").read_text()
calls = Path(os.environ["CALLS"])
with open(calls, "a") as file:
    file.write(folder.name + "\\n")
die = os.environ.get("DIE", "")
if os.environ.get("ONLY", "") in folder.name:
    if die == "start":
        os._exit(9)
    (folder / "epochs.csv").write_text("epoch,train_loss\\n1,0.5\\n")
    if die == "middle":
        (folder / "result.json.part").write_text('{"valid": {')
        os._exit(9)
    if die == "wait":
        (folder / "waiting").write_text("")
        sys.stdin.read()  # to the end of the parent
        os._exit(3)
    if die == "late":
        (folder / "users.parquet").write_bytes(b"half")
        os._exit(9)
value = sum(map(ord, text)) % 97 / 97
(folder / "epochs.csv").write_text("epoch,train_loss,recall@5\\n1,0.5,0.25\\n2,0.4,0.5\\n")
result = {"epochs": 2, "protocol": "recbole", "valid_metric": "Recall@5"}
result |= {"valid": {"recall@5": value}, "test": {"recall@5": value / 2}}
(folder / "result.json.part").write_text(json.dumps(result))
os.replace(folder / "result.json.part", folder / "result.json")
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """The command of the stand-in, and the file that counts its calls."""
    (tmp_path / "stand_in.py").write_text(STAND_IN)
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    return [sys.executable, "-S", str(tmp_path / "stand_in.py")], tmp_path / "calls"


def runs():
    return runs_module.grid(["BPR", "MICRO"], [1, 2], {"knn_k": [2, 3]}, dataset="tiny", epochs=2)


def test_the_grid_varies_only_options_that_a_model_has():
    assert [(run.label, run.seed) for run in runs()] == [
        ("BPR", 1),
        ("BPR", 2),
        *((f"MICRO (knn_k={k})", seed) for k in (2, 3) for seed in (1, 2)),
    ]
    assert yaml.safe_load(runs()[-1].text) == {
        "model": "MICRO",
        "seed": 2,
        "knn_k": 3,
        "dataset": "tiny",
        "epochs": 2,
    }


@pytest.mark.parametrize("die", ["start", "middle", "late"])
def test_a_killed_study_goes_on_to_the_same_table(die, stand_in, tmp_path, monkeypatch):
    command, calls = stand_in
    whole = pool.run_all(runs(), tmp_path / "whole", command=command)
    assert set(whole["status"]) == {"finished"}
    calls.unlink()

    monkeypatch.setenv("DIE", die)
    monkeypatch.setenv("ONLY", "knn_k=2")
    table = pool.run_all(runs(), tmp_path / "killed", workers=2, command=command)
    assert list(table["status"]) == ["finished", "finished", "failed", "failed", "finished", "finished"]
    monkeypatch.delenv("DIE")
    calls.unlink()
    pool.run_all(runs(), tmp_path / "killed", command=command)
    assert sorted(calls.read_text().split()) == ["MICRO-knn_k=2-seed1", "MICRO-knn_k=2-seed2"]
    results = [(tmp_path / name / "results.csv").read_bytes() for name in ("killed", "whole")]
    assert results[0] == results[1]

    pool.run_all(runs(), tmp_path / "killed", command=command)
    assert len(calls.read_text().split()) == 2


# A study that kills itself: while a run trains, as one starts, or between runs, halfway through a file.
KILLED = """
import os, signal, sys, threading, time
from pathlib import Path
from recbole_micro import files
from recbole_micro.studies import pool, results
from tests.test_experiment import runs
moment, out, command = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]
original, written = files.write_text, []

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def write_text(path, text):
    written.append(path.name)
    if path.name == moment and written.count(moment) == 3:
        path.with_name(path.name + ".part").write_text(text[: len(text) // 2])
        die()
    original(path, text)

def watch():
    while not list(out.glob("runs/*/waiting")):
        time.sleep(0.02)
    die()

pool.write_text = results.write_text = write_text
if moment == "training":
    threading.Thread(target=watch, daemon=True).start()
pool.run_all(runs(), out, workers=1, command=command)
"""


@pytest.mark.parametrize(
    ("moment", "finished", "repeated"),
    [("training", 2, 1), ("options.yaml", 2, 0), ("results.csv", 3, 0)],
)
def test_a_study_whose_parent_is_killed_goes_on_to_the_same_table(
    moment, finished, repeated, stand_in, tmp_path
):
    command, calls = stand_in
    out, third = tmp_path / "killed", "MICRO-knn_k=2-seed1"
    stop = {"DIE": "wait", "ONLY": third} if moment == "training" else {}
    ran = python(KILLED, moment, str(out), *command, cwd=tmp_path, **stop)
    assert ran.returncode == -signal.SIGKILL, ran.stderr
    torn = [path.name for path in out.rglob("*.part")]
    assert torn == ([] if moment == "training" else [f"{moment}.part"])
    assert sum(results_module.is_finished(run, out) for run in runs()) == finished
    assert len(pd.read_csv(out / "results.csv")) == 6  # the last one that was written, whole
    assert (out / "runs" / third).is_dir()

    pool.run_all(runs(), out, workers=1, command=command)
    assert calls.read_text().split().count(third) == 1 + repeated
    assert len(calls.read_text().split()) == 6 + repeated
    pool.run_all(runs(), tmp_path / "whole", command=command)
    assert (out / "results.csv").read_bytes() == (tmp_path / "whole" / "results.csv").read_bytes()
    assert not list(out.rglob("*.part"))


def test_workers_are_killed_with_the_parent(tmp_path, monkeypatch):
    """An interrupted parent leaves no process behind, and none of its folders counts as finished."""
    started = []
    original = pool.start_run

    def start(*arguments):
        started.append(original(*arguments))
        return started[-1]

    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(pool, "start_run", start)
    monkeypatch.setattr(pool.time, "sleep", interrupt)
    script = tmp_path / "sleep.py"
    script.write_text("import time; time.sleep(60)")
    with pytest.raises(KeyboardInterrupt):
        pool.run_all(runs(), tmp_path, workers=2, command=[sys.executable, "-S", str(script)])
    assert len(started) == 2 and all(process.returncode for process in started)
    assert not any(results_module.is_finished(run, tmp_path) for run in runs())


def test_cores_are_shared_out(stand_in, tmp_path, monkeypatch):
    command, _ = stand_in
    seen = []
    original = pool.start_run
    monkeypatch.setattr(pool, "available_cores", lambda: 4)
    monkeypatch.setattr(pool.torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(pool, "start_run", lambda *a: seen.append(a[-1]) or original(*a))
    pool.run_all(runs()[:1], tmp_path / "one", command=command)
    pool.run_all(runs()[:3], tmp_path / "two", workers=2, command=command)
    pool.run_all(runs(), tmp_path / "all", command=command)
    assert seen == [4, 2, 2, 2, *[1] * 6]


def test_results_of_other_options_are_not_mixed_in(stand_in, tmp_path):
    command, _ = stand_in
    pool.run_all(runs(), tmp_path, command=command)
    others = runs_module.grid(["BPR"], [1], dataset="tiny", epochs=3)
    with pytest.raises(UserError, match="BPR-seed1 holds a finished run with other options: choose another"):
        pool.run_all(others, tmp_path, command=command)


def test_one_process_at_a_time_is_at_work_in_a_folder(stand_in, tmp_path):
    command, _ = stand_in
    with files.alone_in(tmp_path), pytest.raises(UserError, match="Another process is at work in"):
        pool.run_all(runs(), tmp_path, command=command)
    assert (pool.run_all(runs(), tmp_path, command=command)["status"] == "finished").all()


def test_options_that_are_lists_can_be_varied(stand_in, tmp_path):
    command, _ = stand_in
    vary = runs_module.read_vary("modalities='[visual]','[visual, textual]'")
    table = pool.run_all(runs_module.grid(["MICRO"], [1], vary, dataset="tiny"), tmp_path, command=command)
    assert list(table["modalities"]) == ["['visual']", "['visual', 'textual']"]
    report.write(table, tmp_path, "tiny")


@pytest.mark.parametrize(("text", "seeds"), [("3", [7, 8, 9]), ("1,5", [1, 5]), ("4,", [4])])
def test_seeds(text, seeds):
    assert runs_module.read_seeds(text, first=7) == seeds


@pytest.mark.parametrize("text", ["0", "a", "-1", "1.5", ""])
def test_refused_seeds(text):
    with pytest.raises(UserError, match="--seeds is "):
        runs_module.read_seeds(text)


def test_vary():
    assert runs_module.read_vary("knn_k=5,10; preset=visual,textual;tau=0.5") == {
        "knn_k": [5, 10],
        "preset": ["visual", "textual"],
        "tau": [0.5],
    }
    with pytest.raises(UserError, match="no option 'knnk' .*did you mean knn_k"):
        runs_module.read_vary("knnk=5")
    with pytest.raises(UserError, match="--vary has 'knn_k': write option=value"):
        runs_module.read_vary("knn_k")


@pytest.fixture
def tiny(tmp_path):
    return {**QUICK, "dataset": "tiny", "data_path": str(write_tiny(tmp_path / "data"))}


def test_per_user_metrics_are_what_recbole_averages(tiny, tmp_path):
    metrics = ["Recall", "NDCG", "Precision", "Hit", "MRR", "MAP"]
    tiny |= {"model": "BPR", "topk": [3, 5], "metrics": metrics, "protocol": "paper"}
    (tmp_path / "options.yaml").write_text(yaml.safe_dump(tiny))
    result = worker.train_in(tmp_path)
    users = pd.read_parquet(tmp_path / "users.parquet")
    assert users["user"].is_unique and set(users["user"]) <= {f"u{user}" for user in range(24)}
    assert set(users.columns) == {"user", *result["test"]}
    assert len(result["test"]) == 12
    for name, value in result["test"].items():
        assert users[name].mean() == pytest.approx(value, abs=1e-9)

    # User by user through RecBole's top-k lists.
    _, model, dataset, _, _, test_data = loading.load(str(tmp_path / result["checkpoint"]))
    ids = dataset.token2id("user_id", list(users["user"]))
    _, best = full_sort_topk(ids, model, test_data, k=5)
    for user, items, recall in zip(ids, best.tolist(), users["recall@5"], strict=True):
        positive = set(test_data.uid2positive_item[user].tolist())
        assert len(positive & set(items)) / len(positive) == pytest.approx(recall)

    epochs = pd.read_csv(tmp_path / "epochs.csv")
    assert list(epochs["epoch"]) == [1, 2] and epochs["train_loss"].notna().all()
    assert epochs["recall@5"].max() == pytest.approx(result["best_valid_score"], abs=1e-9)
    assert result["protocol"] == "paper"
    assert yaml.safe_load((tmp_path / "config.yaml").read_text())["embedding_size"] == 8


def test_a_run_without_test_interactions_ends_before_training(tiny, tmp_path):
    split = {"split": {"RS": [0.8, 0.2, 0.0]}}
    (tmp_path / "options.yaml").write_text(yaml.safe_dump({**tiny, "model": "BPR", "eval_args": split}))
    with pytest.raises(UserError, match="tiny has no test interactions to compare models by"):
        worker.train_in(tmp_path)
    assert not list(tmp_path.glob("*.pth"))


def test_epochs_without_validation_have_empty_cells(tmp_path):
    worker.write_epochs(tmp_path / "epochs.csv", {0: 1.5, 1: 1.25}, {1: {"recall@5": 0.5}})
    text = (tmp_path / "epochs.csv").read_text()
    assert text == "epoch,train_loss,recall@5\n1,1.5,\n2,1.25,0.5\n"


def test_compare_writes_a_report_and_only_redraws_it(tmp_path, stand_in, monkeypatch, capsys):
    command, calls = stand_in
    monkeypatch.setattr(pool, "run_all", functools.partial(pool.run_all, command=command))
    argv = ["compare", "--models=BPR,MICRO", "--dataset", "tiny", "--seeds=2", "--vary", "knn_k=2,3"]
    argv += [f"--data_path={write_tiny(tmp_path / 'data')}", f"--out={tmp_path / 'out'}", "--epochs=1"]
    assert cli.main(argv) == 0
    assert "| MICRO (knn_k=3) |" in capsys.readouterr().out
    assert len(calls.read_text().split()) == 6
    (tmp_path / "out" / "report.html").unlink()
    assert cli.main(argv) == 0
    assert len(calls.read_text().split()) == 6
    assert (tmp_path / "out" / "report.html").is_file()


def test_compare_says_when_a_run_has_failed(tmp_path, stand_in, monkeypatch, capsys):
    command, _ = stand_in
    monkeypatch.setattr(pool, "run_all", functools.partial(pool.run_all, command=command))
    monkeypatch.setenv("DIE", "start")
    monkeypatch.setenv("ONLY", "MICRO")
    data = write_tiny(tmp_path / "data")
    assert cli.main(["compare", "--models=BPR,MICRO", "--dataset=tiny", f"--data_path={data}"]) == 1
    printed = capsys.readouterr()
    assert "MICRO, seed 2020 failed: exit code 9" in printed.err
    assert "| BPR |" in printed.out and "| MICRO |" not in printed.out


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["--dataset=tiny"], "needs --models=NAME,NAME and --dataset"),
        (["--models=Micro", "--dataset=tiny"], "no model 'Micro'; did you mean MICRO"),
        (["--models=BPR", "--dataset=tiny", "--epoch=3"], "no option --epoch; did you mean epochs"),
        (["--models=BPR", "--models=BPR"], "--models is given twice"),
        (["--models"], "--models needs a value"),
        (["--models=BPR", "--dataset=tiny", "--resume=x.pth"], "resume continues one training"),
        (["--models=BPR", "--dataset=tiny", "--workers=0"], "Option workers is '0'"),
        (["--models=BPR", "--dataset=absent"], "The data set absent is not in "),
        (["--models=BPR", "--dataset=tiny", "--vary=knn_k=1,2"], "None of BPR has the option knn_k"),
        (["--models=BPR", "--dataset=tiny", "--vary=embedding_size="], "no value for embedding_size"),
        (["--models=BPR", "--dataset=tiny", "--vary=seed=1,2"], "use --models and --seeds"),
    ],
)
def test_mistakes_are_seen_before_anything_runs(argv, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_tiny(tmp_path / "dataset")
    monkeypatch.setattr(pool, "start_run", lambda *arguments: 1 / 0)
    assert cli.main(["compare", *argv]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.slow
def test_real_runs_are_killed_fail_and_finish(tiny, tmp_path):
    """BPR is killed in its second epoch and MICRO has no such features; the next call repeats both."""
    killer = tmp_path / "killer.py"
    killer.write_text(
        "import os, sys\n"
        "from recbole.trainer import Trainer\n"
        "from recbole_micro.studies import worker\n"
        "original = Trainer._train_epoch\n"
        "def _train_epoch(self, data, epoch, *more):\n"
        "    return os._exit(9) if epoch == 1 else original(self, data, epoch, *more)\n"
        "Trainer._train_epoch = _train_epoch\n"
        "sys.exit(worker.main(sys.argv[1:]))\n"
    )
    runs = runs_module.grid(["BPR"], [1], **tiny) + runs_module.grid(
        ["MICRO"], [1], **tiny, modalities=["smell"]
    )
    out = tmp_path / "out"
    table = pool.run_all(runs, out, command=[sys.executable, str(killer)])
    assert list(table["status"]) == ["failed", "failed"]
    assert "smell" in table["error"].iloc[1]
    assert (out / table["folder"].iloc[0] / "run.log").stat().st_size > 0
    table = pool.run_all(runs, out)
    assert list(table["status"]) == ["finished", "failed"]
    pool.run_all(runs[:1], tmp_path / "whole")
    killed, whole = (pd.read_csv(folder / "results.csv") for folder in (out, tmp_path / "whole"))
    pd.testing.assert_frame_equal(killed[:1][whole.columns], whole, check_dtype=False)
    for name in ("users.parquet", "epochs.csv", "config.yaml"):
        assert (out / table["folder"].iloc[0] / name).is_file()
