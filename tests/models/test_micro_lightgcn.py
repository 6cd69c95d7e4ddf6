"""MICRO's LightGCN backbone alone is RecBole's LightGCN: the same loss and gradients."""

import pytest
import torch
from recbole.utils import get_model

from recbole_micro import Config


@pytest.mark.parametrize("n_layers", [1, 2, 3])
def test_lightgcn_without_an_item_graph_is_recbole_s(bench, n_layers):
    same = {"embedding_size": 8, "reg_weight": 0.01}
    options = bench.world.config(**same, n_layers=n_layers, require_pow=True)
    theirs = get_model("LightGCN")(Config("LightGCN", "world", config_dict=options), bench.data)
    graph = {"adjacency": "symmetric", "edge_dropout": 0.0, "reg_on": "ego", "knn_k": 0, "preset": "bpr"}
    ours = bench.model("MICRO", **same, **graph, cf_model="LightGCN", n_ui_layers=n_layers).float()
    ours.backbone.load_state_dict(theirs.state_dict())
    assert {name.removeprefix("backbone.") for name in ours.state_dict()} == set(theirs.state_dict())
    batch = bench.batch(ours, 60)
    losses = sum(ours.train().calculate_loss(batch)), theirs.train().calculate_loss(batch)
    assert losses[0].item() == pytest.approx(losses[1].item(), rel=1e-6)
    for loss in losses:
        loss.backward()
    for name, parameter in theirs.named_parameters():
        mine = ours.backbone.get_parameter(name).grad
        assert torch.allclose(mine, parameter.grad, rtol=1e-4, atol=1e-7), name
    for part, other in zip(ours.eval().embeddings(), theirs.eval().forward(), strict=True):
        assert torch.allclose(part, other, atol=1e-6)
