"""On a CUDA device: every model trains there and scores as on the CPU, and a checkpoint goes either way."""

import pytest
import torch
from recbole.data.interaction import Interaction

from recbole_micro import load, run
from recbole_micro.models.registry import MODELS

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
