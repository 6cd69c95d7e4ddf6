"""A killed training that is resumed has the result of the uninterrupted one, bit for bit (one thread)."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest
import torch

import recbole_micro
from recbole_micro import UserError, cli
from recbole_micro.checkpoint import last_file, load_checkpoint
from tests.support.processes import ROOT
from tests.support.tiny import QUICK, write_tiny

CASES = {
    "MICRO": {"model": "MICRO", "knn_k": 3},
    "MICRO, NGCF and dropout": {"model": "MICRO", "cf_model": "NGCF", "edge_dropout": 0.3, "knn_k": 3},
    "FREEDOM": {"model": "FREEDOM", "edge_dropout": 0.5, "knn_k": 3},
    "PGL": {"model": "PGL", "knn_k": 3},
    "LGMRec": {"model": "LGMRec"},
    "STAIR": {"model": "STAIR", "knn_k": 3},
    "LightGCN": {"model": "LightGCN"},
}
EPOCHS = 6
LONG = {"epochs": 400, "stopping_step": 1000, "state": "ERROR"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_tiny(tmp_path_factory.mktemp("data"))


def options(data, folder, case, **more):
    given = {**QUICK, "data_path": str(data), "checkpoint_dir": str(folder), "epochs": EPOCHS, "eval_step": 2}
    return {**given, "train_batch_size": 32, "dataset": "tiny", **CASES[case], **more}


class Killed(BaseException):
    """Stands for a kill, of which nothing makes a sentence."""


def killed_at(step, monkeypatch):
    """Let a training end in its step of this number, from 1."""
    from recbole_micro.training.trainer import PluginTrainer

    checked, seen = PluginTrainer.checked, []

    def counting(self, loss_func):
        inner = checked(self, loss_func)

        def calculate_loss(*arguments, **named):
            seen.append(1)
            if len(seen) == step:
                raise Killed
            return inner(*arguments, **named)

        return calculate_loss

    monkeypatch.setattr(PluginTrainer, "checked", counting)


def states_of(result):
    """What must be equal: the results, and the best weights and optimiser."""
    stored = load_checkpoint(result["checkpoint"])
    last = load_checkpoint(last_file(result["checkpoint"]))
    return dict(result["test_result"]), result["best_valid_result"], stored, last


def assert_equal(one, other):
    assert one[:2] == other[:2]
    for first, second in zip(one[2:], other[2:], strict=True):
        assert first["epoch"] == second["epoch"] and first["cur_step"] == second["cur_step"]
        assert first["best_valid_score"] == second["best_valid_score"]
        for name, value in first["state_dict"].items():
            assert torch.equal(value, second["state_dict"][name]), name
        moments = first["optimizer"]["state"], second["optimizer"]["state"]
        for key, values in moments[0].items():
            assert all(torch.equal(value, moments[1][key][name]) for name, value in values.items())


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("where", ["first epoch but one", "middle", "last epoch"])
def test_a_training_goes_on_to_the_same_result(data, tmp_path, monkeypatch, case, where):
    whole = recbole_micro.run(config_dict=options(data, tmp_path / "whole", case))
    batches = -(-len(recbole_micro.load(whole["checkpoint"]).train_data.dataset) // 32)
    step = {"first epoch but one": batches + 2, "middle": 3 * batches + 3, "last epoch": 6 * batches - 1}[
        where
    ]
    with monkeypatch.context() as patch:
        killed_at(step, patch)
        with pytest.raises(Killed):
            recbole_micro.run(config_dict=options(data, tmp_path / "killed", case))
    before = {file.name: file.read_bytes() for file in (tmp_path / "killed").iterdir()}
    again = recbole_micro.run(config_dict=options(data, tmp_path / "killed", case, resume="last"))
    assert_equal(states_of(again), states_of(whole))
    now = {file.name: file.read_bytes() for file in (tmp_path / "killed").iterdir()}
    assert {name: now[name] for name in before} == before, "what it came from is as it was"


def test_more_epochs_after_the_end_equal_one_training(data, tmp_path):
    whole = recbole_micro.run(config_dict=options(data, tmp_path / "whole", "MICRO"))
    first = recbole_micro.run(config_dict=options(data, tmp_path / "two", "MICRO", epochs=4))
    more = options(data, tmp_path / "two", "MICRO", resume=last_file(first["checkpoint"]))
    assert_equal(states_of(recbole_micro.run(config_dict=more)), states_of(whole))


def test_a_training_that_has_stopped_says_so(data, tmp_path):
    given = options(data, tmp_path, "MICRO", epochs=60, eval_step=1, stopping_step=1, learning_rate=0.3)
    result = recbole_micro.run(config_dict=given)
    with pytest.raises(UserError, match="has stopped for want of progress: set stopping_step .now 1. higher"):
        recbole_micro.run(config_dict={**given, "resume": last_file(result["checkpoint"])})


def test_without_save_last_there_is_the_best_state_alone(data, tmp_path):
    result = recbole_micro.run(config_dict=options(data, tmp_path, "MICRO", save_last=False))
    assert [file.name for file in tmp_path.iterdir()] == [os.path.basename(result["checkpoint"])]


def test_the_flag_takes_the_newest_of_model_and_data(data, tmp_path, capsys):
    for case in ("LightGCN", "FREEDOM"):
        recbole_micro.run(config_dict=options(data, tmp_path, case, epochs=2))
    line = [f"--{name}={value}" for name, value in options(data, tmp_path, "LightGCN", epochs=3).items()]
    assert cli.main(["train", *line, "--resume"]) == 0
    assert cli.main(["train", *line, "--resume=nosuch.pth"]) == 2
    assert (
        cli.main(["train", "--model=VBPR", "--dataset=tiny", f"--checkpoint_dir={tmp_path}", "--resume"]) == 2
    )
    assert "There is no training of VBPR on tiny in" in capsys.readouterr().err


def test_a_best_state_that_is_gone_is_one_sentence(data, tmp_path):
    result = recbole_micro.run(config_dict=options(data, tmp_path, "MICRO", epochs=4))
    os.unlink(result["checkpoint"])
    with pytest.raises(UserError, match="The best state .* is not beside"):
        recbole_micro.run(config_dict=options(data, tmp_path, "MICRO", resume="last"))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_is_one_sentence(data, tmp_path, monkeypatch, value):
    from recbole_micro.models import MICRO

    loss, seen = MICRO.calculate_loss, []

    def broken(self, interaction):
        seen.append(1)
        bpr, contrast, l2 = loss(self, interaction)
        return bpr, contrast * value if len(seen) == 20 else contrast, l2

    monkeypatch.setattr(MICRO, "calculate_loss", broken)
    with pytest.raises(
        UserError, match=r"epoch \d, batch \d+: contrast is (nan|inf)\.  Lower learning_rate"
    ) as error:
        recbole_micro.run(config_dict=options(data, tmp_path, "MICRO"))
    assert "raise tau" in str(error.value) and "the best state so far is in" in str(error.value)


CHILD = """
import json, sys
import torch
torch.set_num_threads(1)
import recbole_micro
recbole_micro.run(config_dict=json.loads(sys.argv[1]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_twenty_kills_at_random_moments(data, tmp_path, case):
    """SIGKILL, in the middle of an epoch and of a write: the result is the uninterrupted one's."""
    import json

    def start(**more):
        given = options(data, tmp_path / "killed", case, **LONG, **more)
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(
            [sys.executable, "-c", CHILD, json.dumps(given)], cwd=tmp_path, env=environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    whole = recbole_micro.run(config_dict=options(data, tmp_path / "whole", case, **LONG))
    chance, more, folder = random.Random(case), {}, tmp_path / "killed"
    for _ in range(20):
        before = len(list(folder.glob("*.last.pth")))
        process = start(**more)
        while process.poll() is None and len(list(folder.glob("*.last.pth"))) == before:
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.3))
        assert process.poll() is None, process.stderr.read()  # else it was over before 20 kills
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        more = {"resume": "last"}
    process = start(**more)
    assert process.wait() == 0, process.stderr.read()
    newest = max((tmp_path / "killed").glob("*.last.pth"), key=lambda file: file.stat().st_mtime)
    last, expected = load_checkpoint(newest), load_checkpoint(last_file(whole["checkpoint"]))
    assert last["epoch"] == expected["epoch"] and last["best_valid_score"] == expected["best_valid_score"]
    assert all(torch.equal(value, last["state_dict"][name]) for name, value in expected["state_dict"].items())
    print(f"{case}: equal after 20 kills")
