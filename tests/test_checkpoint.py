"""Checkpoints: plain data, written whole, read in a fresh process, and what is refused."""

import json
import os
import pickle
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from recbole.trainer.trainer import DecisionTreeTrainer, PretrainTrainer

import recbole_micro
from recbole_micro import checkpoint
from recbole_micro.errors import UserError
from recbole_micro.training import loading
from tests.support.processes import run_code
from tests.support.recbole_runs import COLUMNS, OPTIONS, make_config, prepare, scores

MODELS = ["BPR", "LightGCN", "NGCF", "ItemKNN", "EASE", "FM"]


@pytest.fixture(scope="module")
def trained(columns_data, tmp_path_factory):
    """Per model: the checkpoint of one epoch and the scores of the model that wrote it."""
    folder = tmp_path_factory.mktemp("saved")
    result = {}
    for name in MODELS:
        labelled = {"load_col": COLUMNS, "metrics": ["AUC"], "valid_metric": "AUC"} if name == "FM" else {}
        config = make_config(columns_data, name, checkpoint_dir=str(folder), **labelled)
        model, trainer, (train, valid, test), dataset = prepare(config)
        trainer.fit(train, valid, verbose=False)
        trainer.evaluate(test)
        result[name] = trainer.saved_model_file, scores(model, dataset)
    return result


def is_plain(value):
    if isinstance(value, dict):
        return all(type(key) is str and is_plain(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(is_plain, value))
    return value is None or type(value) in (bool, int, float, str)


@pytest.mark.parametrize("name", MODELS)
def test_checkpoint_is_plain_data(trained, name):
    state = torch.load(trained[name][0], weights_only=True)
    assert is_plain(state["config"])
    assert state["config"]["model"] == name and state["config"]["dataset"] == "tiny"
    assert not state["config"]["data_path"].endswith("tiny")
    assert type(state["best_valid_score"]) is float


LOAD = """
import importlib.machinery, json, sys, torch
sys.modules["ray"] = ray = type(sys)("ray")
ray.tune = sys.modules["ray.tune"] = type(sys)("ray.tune")
ray.__spec__ = importlib.machinery.ModuleSpec("ray", None)
from recbole.quick_start import load_data_and_model  # before the plugin mends it
import recbole_micro
from tests.support.recbole_runs import scores
for file in json.loads(sys.argv[1]):
    config, model, dataset, *_ = load_data_and_model(file)
    torch.save((config["embedding_size"], scores(model, dataset)), file + ".scores")
"""


def test_fresh_process_gives_the_same_scores(trained):
    files = [file for file, _ in trained.values()]
    ran = run_code(LOAD, json.dumps(files), "--embedding_size=7", cwd=Path.cwd())
    assert ran.returncode == 0, ran.stderr
    for file, expected in trained.values():
        embedding_size, found = torch.load(f"{file}.scores")
        assert embedding_size == 8  # the command line of the reader is not the writer's
        assert torch.equal(found, expected)


def test_runs_that_start_in_the_same_second_keep_files_of_their_own(columns_data, tmp_path, monkeypatch):
    monkeypatch.setattr("recbole.trainer.trainer.get_local_time", lambda: "Jan-01-2026_00-00-00")
    given = {**OPTIONS, "data_path": columns_data, "checkpoint_dir": str(tmp_path)}
    config = recbole_micro.Config("BPR", "tiny", config_dict=given)
    first, second = prepare(config)[1].saved_model_file, prepare(config)[1].saved_model_file
    assert first != second and {Path(file).parent for file in (first, second)} == {tmp_path}


def test_resume_continues_from_the_stored_state(columns_data, tmp_path):
    config = make_config(columns_data, epochs=2, checkpoint_dir=str(tmp_path))
    model, first, (train, valid, _), dataset = prepare(config)
    first.fit(train, valid, verbose=False)
    first._save_checkpoint(1, verbose=False)
    config["epochs"] = 3
    other, second, _, _ = prepare(config)
    assert not torch.equal(scores(other, dataset), scores(model, dataset))
    second.resume_checkpoint(first.saved_model_file)
    assert torch.equal(scores(other, dataset), scores(model, dataset))
    moments = [trainer.optimizer.state_dict()["state"][0]["exp_avg"] for trainer in (first, second)]
    assert torch.equal(*moments)
    second.fit(train, valid, verbose=False)
    assert list(second.train_loss_dict) == [2]


class Attack:
    def __reduce__(self):
        return open, ("attacked", "w")


def test_malicious_pickle_is_refused_and_does_not_run(trained, columns_data, tmp_path):
    file = str(tmp_path / "attack.pth")
    torch.save({**torch.load(trained["BPR"][0]), "other_parameter": Attack()}, file)
    _, trainer, (_, _, test), _ = prepare(make_config(columns_data))
    for read in (
        checkpoint.load_checkpoint,
        loading.load_data_and_model,
        trainer.resume_checkpoint,
        lambda path: trainer.evaluate(test, model_file=path),
    ):
        with pytest.raises(UserError, match="attack.pth holds Python objects"):
            read(file)
    assert not (tmp_path.cwd() / "attacked").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no checkpoint"),
        (b"PK\x03\x04 half", r"damaged \([^.]*\): train"),
        ([1, 2], "no config"),
        (b"", "empty or damaged"),
        (b"some text", "empty or damaged"),
        (pickle.dumps({"config": {}, "state_dict": print}), "not a checkpoint that recbole_micro wrote"),
    ],
)
def test_what_is_no_checkpoint_is_named(tmp_path, content, message):
    file = tmp_path / "file.pth"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content is not None:
        torch.save(content, file)
    with pytest.raises(UserError, match=message):
        checkpoint.load_checkpoint(file)


def test_interrupted_writing_keeps_the_old_checkpoint(tmp_path, monkeypatch):
    def fail(state, file):
        file.write(b"half")
        raise OSError("disk full")

    file = tmp_path / "model.pth"
    checkpoint.write({"config": {}, "state_dict": {}}, file)
    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        checkpoint.write({"config": {"x": 1}, "state_dict": {}}, file)
    assert checkpoint.load_checkpoint(file)["config"] == {}
    assert list(tmp_path.iterdir()) == [file]


def test_pretraining_and_trees_write_plain_data(columns_data, tmp_path):
    config = make_config(columns_data)
    model, trainer, _, _ = prepare(config)
    PretrainTrainer(config, model).save_pretrained_model(3, str(tmp_path / "pretrained.pth"))
    state = torch.load(tmp_path / "pretrained.pth", weights_only=True)
    assert state["epoch"] == 3 and state["state_dict"].keys() == model.state_dict().keys()

    tree = SimpleNamespace(
        config=config, cur_step=0, best_valid_score=np.float64(0.5),
        temp_best_file="best.model", saved_model_file=str(tmp_path / "tree.pth"),
    )  # fmt: skip
    DecisionTreeTrainer._save_checkpoint(tree, 1)
    assert torch.load(tmp_path / "tree.pth", weights_only=True)["state_dict"] == "best.model"


@pytest.mark.parametrize("kind", [sp.csr_matrix, sp.csc_matrix, sp.lil_matrix, sp.csr_array, np.asarray])
def test_matrices_survive_packing(kind):
    matrix = kind(np.eye(3, 4, dtype=np.float32))
    again = checkpoint.unpack(checkpoint.pack({"a": [matrix, 1]}))["a"][0]
    assert type(again) is type(matrix) and again.dtype == np.float32
    assert np.array_equal(again @ np.eye(4), np.eye(3, 4))


def test_plain_config_leaves_out_what_is_not_plain(columns_data, caplog):
    config = make_config(columns_data)
    config["topk"], config["callback"] = np.array([5]), print
    values = checkpoint.plain_config(config)
    assert values["topk"] == [5] and "callback" not in values
    assert "callback is left out" in caplog.text


def test_machines_that_share_a_folder_write_one_file(tmp_path, monkeypatch):
    path, save = tmp_path / "model.pth", torch.save

    def while_another_writes(state, part):
        save(state, part)
        monkeypatch.setattr(torch, "save", save)
        checkpoint.write({"by": "the other"}, path)

    monkeypatch.setattr(torch, "save", while_another_writes)
    checkpoint.write({"by": "this one"}, path)
    assert torch.load(path) == {"by": "this one"}
    assert os.listdir(tmp_path) == ["model.pth"]
