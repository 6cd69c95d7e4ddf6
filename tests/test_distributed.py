"""Several gloo processes against one: metrics, weights, graphs, checkpoints; launching and its errors."""

import contextlib
import json
import os
import socket
import subprocess
import sys

import pytest
import torch

from recbole_micro import cli, distributed, run
from recbole_micro.config import Config
from recbole_micro.errors import UserError
from tests import ddp_worker
from tests.tiny import QUICK, ROOT, python, write_tiny

USERS = 23  # RecBole would rank one user twice in two processes, and in three
RANKING = [
    "Recall", "MRR", "NDCG", "NDCG_hits", "Hit", "MAP", "Precision", "GAUC", "ItemCoverage",
    "AveragePopularity", "GiniIndex", "ShannonEntropy", "TailPercentage",
]  # fmt: skip
TORCHRUN = [sys.executable, "-m", "torch.distributed.run"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Folder with the tiny data set and a cold-start split of it."""
    from dataset_tools.__main__ import main

    folder = write_tiny(tmp_path_factory.mktemp("data"), users=USERS)
    assert main(["split", "tiny", "--cold", "0.3", "--seed", "2", "--data-path", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def given(data, tmp_path_factory):
    saved = tmp_path_factory.mktemp("saved")
    return {**QUICK, "data_path": str(data), "checkpoint_dir": str(saved), "eval_batch_size": 16 * 4}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


def torchrun(*arguments: str, cwd, **options) -> subprocess.Popen:
    """Start torchrun with two processes, or as `options` say."""
    options = {"nproc_per_node": "2", "master_addr": "127.0.0.1", "master_port": str(free_port()), **options}
    flags = [f"--{name}={value}" for name, value in options.items()]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("PYTEST_CURRENT_TEST", None)
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return subprocess.Popen([*TORCHRUN, *flags, *arguments], cwd=cwd, env=environment, **pipes)


def outputs(*processes: subprocess.Popen) -> list[str]:
    """What they print until they end by themselves; a hang is an error."""
    with contextlib.ExitStack() as stack:
        for process in processes:
            stack.callback(process.kill)
        return [process.communicate(timeout=200)[0] for process in processes]


def cases(given: dict) -> dict:
    """Everything that is measured on the same checkpoint."""
    ranking = {**given, "metrics": RANKING}
    sampled = {"split": {"RS": [0.5, 0.2, 0.3]}, "group_by": "user", "order": "RO"}
    values = {"metrics": ["AUC", "LogLoss"], "valid_metric": "AUC"}
    return {
        "all metrics": ["measure", "MICRO", "tiny", ranking, None],
        "cold start": ["measure", "MICRO", "tiny-cold", ranking, None],
        "sampled": ["measure", "MICRO", "tiny", {**ranking, "eval_args": {**sampled, "mode": "uni3"}}, None],
        "values": ["measure", "BPR", "tiny", {**given, **values, "eval_args": {**sampled, "mode": "pop3"}}, None],
        "one batch": ["measure", "MICRO", "tiny", {**given, "eval_batch_size": 16 * 64}, None],
    }


@pytest.fixture(scope="module")
def one(given):
    """The checkpoint and what one process measures on it."""
    checkpoint = run("MICRO", "tiny", config_dict=given)["checkpoint"]
    work = cases(given)
    work["all metrics"][-1] = work["sampled"][-1] = work["one batch"][-1] = checkpoint
    return work, {name: ddp_worker.measure(*arguments) for name, (_, *arguments) in work.items()}


def together(one, given, folder, processes: int) -> list[dict]:
    """What each of several processes measures, and trains."""
    trained = {**given, "epochs": 3, "edge_dropout": 0.5, "graph_learning": "first_batch"}
    work = {**one[0], "train": ["train", "MICRO", "tiny", trained]}
    (folder / "work.json").write_text(json.dumps(work))
    arguments = [str(ROOT / "tests" / "ddp_worker.py"), "work.json", "."]
    process = torchrun(*arguments, cwd=folder, nproc_per_node=str(processes))
    (printed,) = outputs(process)
    assert process.returncode == 0, printed
    return [json.loads((folder / f"rank{rank}.json").read_text()) for rank in range(processes)]


@pytest.fixture(scope="module")
def two(one, given, tmp_path_factory):
    return together(one, given, tmp_path_factory.mktemp("two"), 2)


def check_metrics(one: dict, several: list[dict]) -> None:
    for name, expected in one[1].items():
        assert len({value for result in expected.values() for value in result.values()}) > 2
        for rank in several:
            assert list(rank[name]) == list(expected)
            for part, result in expected.items():
                assert rank[name][part] == pytest.approx(result, abs=1e-9, rel=0), (name, part)


def check_training(several: list[dict]) -> None:
    """Weights, learned graphs and sampled edges are the same everywhere; so are decisions and files."""
    first, *others = (rank["train"] for rank in several)
    for result in (first, *others):
        assert len(result["differences"]) == 3
        assert all(len(row) == 10 and max(row) == 0 for row in result["differences"])  # weights, 3 graphs
    for other in others:
        for same in ("scores", "test", "file"):
            assert other[same] == first[same]
        assert other["own draws"] != first["own draws"]
    assert os.path.basename(first["file"]).endswith(".pth")


def test_two_processes_measure_what_one_measures(one, two):
    check_metrics(one, two)


def test_two_processes_keep_one_model(two, given):
    check_training(two)
    folder = given["checkpoint_dir"]
    assert os.path.isfile(two[0]["train"]["file"])
    assert not [name for name in os.listdir(folder) if not name.endswith(".pth")], "half-written files"
