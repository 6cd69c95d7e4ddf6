"""Runs in processes: a killed study goes on, cores are shared out, one process works in a folder."""

import signal
import sys

import pandas as pd
import pytest

from recbole_micro import files
from recbole_micro.errors import UserError
from recbole_micro.studies import pool, report
from recbole_micro.studies import results as results_module
from recbole_micro.studies import runs as runs_module
from tests.studies.shared import runs
from tests.support import processes
from tests.support.processes import run_warm


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
from dataset_tools import files
from recbole_micro.studies import pool, results
from tests.studies.shared import runs
moment, out, command = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]
original, written = files.write_text, []

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def write_text(path, text):
    written.append(path.name)
    if path.name == moment and written.count(moment) == 3:
        path.with_name(f".{path.name}.1.partial").write_text(text[: len(text) // 2])
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
    ran = run_warm("-c", KILLED, moment, out, *command, cwd=tmp_path, **stop)
    assert ran.returncode == -signal.SIGKILL, ran.stderr
    torn = [path.name for path in out.rglob(".*.partial")]
    assert torn == ([] if moment == "training" else [f".{moment}.1.partial"])
    assert sum(results_module.is_finished(run, out) for run in runs()) == finished
    assert len(pd.read_csv(out / "results.csv")) == 6  # the last one that was written, whole
    assert (out / "runs" / third).is_dir()

    pool.run_all(runs(), out, workers=1, command=command)
    assert calls.read_text().split().count(third) == 1 + repeated
    assert len(calls.read_text().split()) == 6 + repeated
    pool.run_all(runs(), tmp_path / "whole", command=command)
    assert (out / "results.csv").read_bytes() == (tmp_path / "whole" / "results.csv").read_bytes()
    assert not list(out.rglob("*.partial"))


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
    sleeping = processes.stand_in(tmp_path, "import time; time.sleep(60)")
    with pytest.raises(KeyboardInterrupt):
        pool.run_all(runs(), tmp_path, workers=2, command=sleeping)
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
