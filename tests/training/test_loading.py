"""Reading a checkpoint to score with, and to go on training from."""

import logging
import os
import re
import shutil

import pyarrow.parquet as pq
import pytest
import torch
from recbole.data.interaction import Interaction
from recbole.quick_start import load_data_and_model

from recbole_micro import Config, load, run
from recbole_micro.checkpoint import load_checkpoint
from recbole_micro.errors import UserError
from recbole_micro.training.experiment import build
from tests.support.logs import plain
from tests.support.processes import run_warm
from tests.support.tiny import write_tiny

SCORES = """
import sys
import torch
from recbole.data.interaction import Interaction
from recbole.quick_start import load_data_and_model

model = load_data_and_model(sys.argv[1])[1].eval()
torch.save(model.full_sort_predict(Interaction({"user_id": torch.arange(1, 25)})), "scores.pt")
"""


def test_a_checkpoint_scores_the_same_in_a_fresh_process(given, tmp_path):
    checkpoint = run("MICRO", "tiny", config_dict=given)["checkpoint"]
    for loaded in (load(checkpoint), load_data_and_model(checkpoint)):
        scores = loaded[1].eval().full_sort_predict(Interaction({"user_id": torch.arange(1, 25)}))
    ran = run_warm("-c", SCORES, checkpoint, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    torch.testing.assert_close(torch.load(tmp_path / "scores.pt"), scores, rtol=0, atol=0)


def test_resuming_continues_and_leaves_the_file(given, tmp_path, caplog):
    first = run("MICRO", "tiny", config_dict={**given, "learning_rate": 0.01})["checkpoint"]
    kept = shutil.copyfile(first, tmp_path / "kept.pth")
    before = kept.read_bytes()
    trained = load_checkpoint(kept)
    caplog.clear()
    with caplog.at_level(logging.INFO):
        resumed = run(config_dict={"resume": str(kept), "epochs": 5, "gpu_id": ""})
    assert kept.read_bytes() == before
    assert resumed["checkpoint"] != str(kept)
    after = load_checkpoint(resumed["checkpoint"])
    assert after["config"]["learning_rate"] == 0.01
    assert resumed["best_valid_score"] >= trained["best_valid_score"]
    assert resumed["best_valid_result"]["recall@5"] == resumed["best_valid_score"]
    epochs = re.findall(r"epoch (\d+) training", plain(caplog.text))
    assert epochs == [str(epoch) for epoch in range(trained["epoch"] + 1, 5)]


def test_a_resumed_checkpoint_stands_for_itself(given, monkeypatch):
    first = run("BPR", "tiny", config_dict={**given, "epochs": 1})["checkpoint"]
    monkeypatch.setattr("recbole.trainer.trainer.calculate_valid_score", lambda *_: 1.0)  # so it is written
    second = run(config_dict={"resume": first, "epochs": 2, "gpu_id": ""})["checkpoint"]
    assert load_checkpoint(second)["epoch"] == 1
    os.unlink(first)
    load(second)


def test_resuming_takes_the_options_of_this_run(given):
    first = run("MICRO", "tiny", config_dict=given)["checkpoint"]
    changed = {"learning_rate": 0.5, "weight_decay": 0.25, "preset": "without_contrast", "epochs": 9}
    config = Config(config_dict={"resume": first, "gpu_id": "", **changed})
    assert config["beta"] == 0
    trainer = build(config).trainer
    trainer.resume_checkpoint(first)
    group = trainer.optimizer.param_groups[0]
    assert (group["lr"], group["weight_decay"]) == (0.5, 0.25)
    assert len(trainer.optimizer.state_dict()["state"]) > 0
    assert run(config_dict={"resume": first, "epochs": 9, "gpu_id": "", "learner": "sgd"})["test_result"]


def test_resuming_on_another_split_is_refused(given):
    first = run("BPR", "tiny", config_dict={**given, "epochs": 1})["checkpoint"]
    again = {"resume": first, "epochs": 2, "gpu_id": ""}
    with pytest.raises(UserError, match="trained with another seed: the data would be split"):
        run(config_dict={**again, "seed": 7})
    with pytest.raises(UserError, match="another split in eval_args"):
        run(config_dict={**again, "eval_args": {"split": {"RS": [0.6, 0.2, 0.2]}}})
    assert run(config_dict={**again, "seed": 2020})["test_result"]


def test_a_checkpoint_knows_its_users_and_items(given, tmp_path):
    folder = write_tiny(tmp_path / "data")
    trained = run("MICRO", "tiny", config_dict={**given, "data_path": str(folder)})["checkpoint"]
    moved = folder.rename(tmp_path / "moved")
    assert load(trained, data_path=moved)[1].modalities.keys() == {"textual", "visual"}
    extra = moved / "tiny" / "tiny.extra.parquet"  # a later feature file changes nothing
    table = pq.read_table(moved / "tiny" / "tiny.visual.parquet")
    pq.write_table(table.rename_columns(["item_id:token", "extra:float_seq"]), extra)
    assert load(trained, data_path=moved)[1].modalities.keys() == {"textual", "visual"}
    file = moved / "tiny" / "tiny.inter"
    head, *rows = file.read_text().splitlines()
    file.write_text("\n".join([head, *rows[::-1]]) + "\n")
    with pytest.raises(UserError, match="tiny has other users or items, or in another order"):
        load(trained, data_path=moved)
    with pytest.raises(UserError, match="or in another order"):
        run(config_dict={"resume": trained, "epochs": 9, "gpu_id": "", "data_path": str(moved)})


def test_a_checkpoint_of_another_size_is_one_sentence(given):
    first = run("BPR", "tiny", config_dict=given)["checkpoint"]
    with pytest.raises(UserError, match="does not fit BPR as it is here .size mismatch"):
        run(config_dict={"resume": first, "epochs": 9, "gpu_id": "", "embedding_size": 16})


def test_resuming_without_gain_keeps_the_resumed_state(given, monkeypatch):
    first = run("BPR", "tiny", config_dict={**given, "learning_rate": 0.05, "epochs": 6})
    monkeypatch.setattr("recbole.trainer.trainer.calculate_valid_score", lambda *_: -1.0)
    resumed = run(config_dict={"resume": first["checkpoint"], "epochs": 7, "gpu_id": ""})
    assert resumed["checkpoint"] != first["checkpoint"]
    told = set(first) - {"checkpoint"}
    assert {key: resumed[key] for key in told} == {key: first[key] for key in told}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({}, r"set epochs \(now \d\) higher"),
        ({"model": "LightGCN"}, "trained with model BPR, not LightGCN"),
        ({"dataset": "other"}, "trained with dataset tiny, not other"),
        ({"resume": "none.pth"}, "no checkpoint none.pth"),
    ],
)
def test_resuming_what_cannot_be_resumed(given, change, sentence):
    checkpoint = run("BPR", "tiny", config_dict=given)["checkpoint"]
    epochs = load_checkpoint(checkpoint)["epoch"] + 1
    with pytest.raises(UserError, match=sentence):
        run(config_dict={"resume": checkpoint, "epochs": epochs, **change})
