"""On a CUDA device: every model trains there and scores as on the CPU, and a checkpoint goes either way."""

import pytest
import torch
from recbole.data.interaction import Interaction

from recbole_micro import load, run
from recbole_micro.models.registry import MODELS
from recbole_micro.options.config import Config
from recbole_micro.training.experiment import build

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]

OF_FOUR = {"distribution": "uniform", "dynamic": True, "candidate_num": 4}
CASES = {
    **{model: (model, {}) for model in (*MODELS, "BPR", "LightGCN", "SGL", "NGCF")},
    "hard negatives": ("MICRO", {"preset": "bpr", "train_neg_sample_args": OF_FOUR}),
    "hard negatives, RecBole": ("LightGCN", {"train_neg_sample_args": OF_FOUR}),
    "sampled edges": ("MICRO", {"edge_dropout": 0.5}),
    "sampled edges, FREEDOM": ("FREEDOM", {"edge_dropout": 0.5}),
    "learned in every step": ("MICRO", {"graph_learning": "step"}),
    "learned edges": ("LATTICE", {"graph_learning": "edges"}),
    "MF": ("MICRO", {"cf_model": "MF"}),
    "NGCF backbone": ("MICRO", {"cf_model": "NGCF"}),
    "mixed precision": ("MICRO", {"enable_amp": True}),
}


@pytest.mark.parametrize("model, changed", CASES.values(), ids=CASES)
def test_a_checkpoint_scores_the_same_where_there_is_no_device(model, changed, given, monkeypatch):
    trained = run(model, "tiny", config_dict={**given, **changed, "gpu_id": "0"})
    scores = {}
    for device in ("cuda", "cpu"):
        if device == "cpu":
            monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        config, loaded, *_ = load(trained["checkpoint"])
        assert config["device"].type == next(loaded.parameters()).device.type == device
        users = Interaction({"user_id": torch.arange(1, 25)}).to(config["device"])
        with torch.no_grad():
            scores[device] = loaded.eval().full_sort_predict(users).view(24, -1).cpu()
    torch.testing.assert_close(scores["cuda"], scores["cpu"], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("gpu_id", ["0", ""])
def test_a_training_on_the_device_is_resumed_on_either(gpu_id, given):
    first = run("MICRO", "tiny", config_dict={**given, "gpu_id": "0"})
    resumed = run(config_dict={"resume": first["checkpoint"], "epochs": 4, "gpu_id": gpu_id})
    assert resumed["test_result"]


REPEATS = {
    **{model: (model, {}) for model in ("MICRO", "LATTICE", "FREEDOM", "BM3", "VBPR", "PGL", "MGCN")},
    "by BPR": ("MICRO", {"preset": "bpr", "beta": 0.0}),
    "sampled edges": ("MICRO", {"edge_dropout": 0.5}),
    "hard negatives": ("FREEDOM", {"train_neg_sample_args": OF_FOUR}),
}


@pytest.mark.parametrize("model, changed", REPEATS.values(), ids=REPEATS)
def test_steps_that_are_replayed_train_as_those_that_are_not(model, changed, given):
    """Nothing waits in them, and the CUDA graph does what its steps do one by one."""
    given = {**given, **changed, "gpu_id": "0", "train_batch_size": 32}
    found = []
    for replays in (True, False):
        experiment = build(Config(model, "tiny", config_dict={**given, "replay_steps": replays}))
        trainer, data = experiment.trainer, experiment.train_data
        if (trainer.config["train_neg_sample_args"] or {}).get("dynamic"):
            data.get_model(trainer.model)
        assert trainer.model.repeats_steps
        torch.manual_seed(4)
        losses = [trainer._train_epoch(data, epoch) for epoch in range(2)]
        found.append((losses, {k: v.cpu() for k, v in trainer.model.state_dict().items()}))
    (losses, ours), (expected, weights) = found
    torch.testing.assert_close(losses, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ours, weights, rtol=1e-3, atol=1e-4)
    batch = next(iter(trainer.batches))
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(2):
            trainer.optimizer.zero_grad()
            losses = trainer.model.calculate_loss(batch)
            sum(losses).backward()
            trainer.optimizer.step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
