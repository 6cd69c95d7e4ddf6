"""Runs of a study on Ray: on a cluster of two workers, on a machine that sees the study's folder or not."""

import json
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec

import pytest

from recbole_micro import cli
from recbole_micro.errors import UserError
from recbole_micro.studies import cluster, pool
from recbole_micro.studies.results import is_finished
from tests.studies.shared import runs
from tests.support import processes

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")

HEAD = """
import sys, time, ray
found = ray.init(num_cpus=2, include_dashboard=False, object_store_memory=10**8, log_to_driver=False,
                 _temp_dir=sys.argv[1])
print(found.address_info["gcs_address"], flush=True)
time.sleep(600)
"""


@pytest.fixture
def address(stand_in, tmp_path_factory, monkeypatch):
    """The address of a Ray of two workers that somebody else has started."""
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "a secret of this test's, long enough")
    folder = tmp_path_factory.mktemp("r")
    (folder / "head.py").write_text(HEAD)
    head = processes.start(folder / "head.py", folder / "ray", stdout=subprocess.PIPE, cwd=folder)
    yield head.stdout.readline().strip()
    head.send_signal(signal.SIGINT)
    head.wait()
    head.stdout.close()


# A study on the cluster, and after that the words of a command line.
STUDY = """
import sys
from recbole_micro import cli
from recbole_micro.studies import cluster, pool
from tests.studies.shared import runs
address, out, command, words = sys.argv[1], sys.argv[2], sys.argv[3:6], sys.argv[6:]
pool.run_all(runs(), out, command=command, engine=cluster.Cluster(address))
sys.exit(cli.main(words) if words else 0)
"""


@needs_ray
@pytest.mark.slow
def test_a_study_on_a_cluster_fails_is_killed_and_goes_on_as_with_the_local_pool(
    stand_in, address, tmp_path, tiny_data
):
    """Its processes are fresh ones: Ray reads its token when it is imported."""
    command, calls = stand_in
    pool.run_all(runs(), tmp_path / "whole", command=command)
    out, before = tmp_path / "killed", len(calls.read_text().split())
    study = processes.start("-c", STUDY, address, out, *command, cwd=tmp_path)
    while len(list(out.glob("runs/*/result.json"))) < 2:
        assert study.poll() is None
        time.sleep(0.01)
    study.send_signal(signal.SIGKILL)
    study.wait()
    finished = sum(is_finished(run, out) for run in runs())
    assert 2 <= finished < 6
    started = len(calls.read_text().split()) - before

    argv = ["compare", "--models=BPR,MICRO", "--dataset=tiny", f"--data_path={tiny_data}", "--epochs=1"]
    argv += [
        "--topk=5",
        "--modalities=[smell]",
        "--engine=ray",
        f"--address={address}",
        f"--out={tmp_path / 'real'}",
    ]
    told = processes.run_python("-c", STUDY, address, out, *command, *argv, cwd=tmp_path)
    assert told.returncode == 1  # real trainings: MICRO has no such features
    assert len(calls.read_text().split()) - before - started == 6 - finished
    assert (out / "results.csv").read_bytes() == (tmp_path / "whole" / "results.csv").read_bytes()
    assert not list(out.rglob(cluster.MARK)) and not list(out.rglob("*.partial"))
    assert "| BPR |" in told.stdout and "MICRO, seed 2020 failed: error: The modality 'smell'" in told.stderr
    assert (tmp_path / "real" / "report.html").is_file()


@needs_ray
@pytest.mark.slow
def test_closing_ends_what_runs_on_a_ray_of_our_own(stand_in, tmp_path, monkeypatch):
    command, calls = stand_in
    monkeypatch.setenv("DIE", "wait")
    with cluster.Cluster() as engine:
        workers, threads = engine.shares(None, runs())
        assert workers * threads <= pool.available_cores()
        at_work = pool.Pool(runs(), tmp_path, workers, threads, command, engine)
        ended = at_work.ended()
        with pytest.raises(KeyboardInterrupt):
            interrupt = interrupted_when(lambda: list(tmp_path.rglob("waiting")))
            monkeypatch.setattr(pool.time, "sleep", interrupt)
            next(ended)
        started = list(at_work.active)
    assert started and all(task.returncode == -9 for task in started)
    assert not any(is_finished(run, tmp_path) for run in runs())


def interrupted_when(done):
    """A `sleep` that a user interrupts once, as soon as `done()`."""
    original, interrupts = time.sleep, []

    def sleep(seconds):
        if not interrupts and done():
            interrupts.append(seconds)
            raise KeyboardInterrupt
        original(seconds)

    return sleep


def test_a_machine_without_the_folder_sends_the_files(stand_in, tmp_path):
    """The same program and files, whether the machine sees the run's folder or not."""
    command, _ = stand_in
    words = ["" if word == sys.executable else word for word in command]
    run = runs()[0]
    folder = pool.fresh_folder(run, tmp_path)
    (folder / cluster.MARK).write_text("x")
    assert cluster.run_there(str(folder), "x", run.text, words, 1, 0) == (0, {})
    here = {path.name: path.read_bytes() for path in folder.iterdir()}
    for other in (str(tmp_path / "nowhere"), str(folder)):  # a folder of that name with another mark
        code, files = cluster.run_there(other, "y", run.text, words, 1, 0)
        assert code == 0 and {**files, "options.yaml": run.text.encode()} == {
            name: content for name, content in here.items() if name != cluster.MARK
        }
    assert not (tmp_path / "nowhere").exists()


class GivenRay:
    """A Ray whose tasks have ended with this answer, or error."""

    class exceptions:
        class RayError(Exception):
            pass

    def __init__(self, answer):
        self.answer = answer

    def wait(self, references, timeout):
        return references, []

    def get(self, reference):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_files_that_travel_become_the_run(tmp_path):
    run = runs()[0]
    folder = pool.fresh_folder(run, tmp_path)
    result = {"epochs": 2, "protocol": "recbole", "valid": {}, "test": {}}
    files = {"result.json": json.dumps(result).encode(), "run.log": b"trained\n"}
    task = cluster.Task(GivenRay((0, files)), None, folder)
    assert task.poll() == 0
    task.close()
    assert "finished" in pool.finish_run(run, tmp_path, task, pool.forecast_of([], tmp_path))
    assert sorted(os.listdir(folder)) == ["options.yaml", "result.json", "run.log"]


def test_a_machine_that_dies_is_a_failed_run(tmp_path):
    run = runs()[0]
    task = cluster.Task(
        GivenRay(GivenRay.exceptions.RayError("node\ndied")), None, pool.fresh_folder(run, tmp_path)
    )
    assert task.poll() == 1
    told = pool.finish_run(run, tmp_path, task, pool.forecast_of([], tmp_path))
    assert "failed: error: its process on the cluster ended: node died" in told


def test_what_a_training_gets():
    shares = cluster.shares
    assert shares({"CPU": 8.0}, "0", None, None, None) == ({"cpu": 1, "gpu": 0}, 8)
    assert shares({"CPU": 8.0}, "0", None, 2, None) == ({"cpu": 4, "gpu": 0}, 2)
    assert shares({"CPU": 8.0}, "0", None, None, 3) == ({"cpu": 3, "gpu": 0}, 2)
    assert shares({"CPU": 8.0, "GPU": 2.0}, "0", None, None, None) == ({"cpu": 4, "gpu": 1}, 2)
    assert shares({"CPU": 8.0, "GPU": 2.0}, "", None, 4, None) == ({"cpu": 2, "gpu": 0}, 4)
    assert shares({"CPU": 64.0}, "0", "auto", 4, None) == ({"cpu": 1, "gpu": 0}, 4)
    with pytest.raises(UserError, match="--threads is 9, but Ray has 8 cores"):
        shares({"CPU": 8.0}, "0", None, None, 9)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--engine=spark"], "no engine 'spark': choose local or ray"),
        (["--address=auto"], "--address belongs to the engine ray: add --engine=ray"),
        (["--threads=2"], "--threads belongs to the engine ray"),
        (["--engine=ray", "--threads=x"], "Option threads is 'x'"),
        pytest.param(["--engine=ray", "--address=ray://a:1"], "is Ray's client", marks=needs_ray),
    ],
)
def test_mistakes(more, sentence, tiny_data, tmp_path, capsys):
    argv = ["compare", "--models=BPR", "--dataset=tiny", f"--data_path={tiny_data}", f"--out={tmp_path}/out"]
    assert cli.main([*argv, *more]) == 2
    assert sentence in capsys.readouterr().err
    if "is Ray's" not in sentence:
        assert cli.main(["reproduce", "--table=6", "--dataset=baby", f"--data_path={tiny_data}", *more]) == 2
        assert sentence in capsys.readouterr().err


def test_without_ray(monkeypatch, tiny_data, tmp_path, capsys):
    monkeypatch.setattr(cluster, "find_spec", lambda name: None)
    argv = ["compare", "--models=BPR", "--dataset=tiny", f"--data_path={tiny_data}", "--engine=ray"]
    assert cli.main([*argv, f"--out={tmp_path}/out"]) == 2
    assert 'needs Ray Tune: pip install "ray[tune]>=2.50"' in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert cluster.REQUIREMENT in (processes.ROOT / "setup.py").read_text()
