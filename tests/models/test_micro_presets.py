"""The variants of the paper's Tables 5 and 6 by `preset` alone, for every backbone."""

import pytest
import torch
from torch.nn.functional import normalize

from recbole_micro import Config
from recbole_micro.models.micro import MICRO
from tests.support.dense import affine

VARIANTS = ("cf_feats", "micro_feats", "without_contrast", "visual", "textual")


def variant(bench, preset, **options):
    options = bench.world.config(preset=preset, embedding_size=6, modalities=["visual", "textual"], **options)
    if "visual" in preset or "textual" in preset:
        del options["modalities"]
    torch.manual_seed(0)
    return MICRO(Config("MICRO", "world", config_dict=options), bench.data).train()


@pytest.mark.parametrize("backbone", ["MF", "NGCF", "LightGCN"])
@pytest.mark.parametrize("preset", [*VARIANTS, "paper", "official"])
def test_a_variant_trains_with_every_backbone(bench, preset, backbone):
    model = variant(bench, preset, cf_model=backbone)
    assert type(model.backbone).__name__ == ("Backbone" if backbone == "MF" else backbone)
    losses = model.calculate_loss(bench.batch(model))
    sum(losses).backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    assert all(graph.transform.weight.grad.any() for graph in model.graphs.values())
    assert bool(losses[1]) == (preset not in ("cf_feats", "without_contrast"))


def test_cf_feats_adds_transformed_features(bench):
    model = variant(bench, "cf_feats,bpr", edge_dropout=0)
    views = {m: affine(g.transform, model.modalities[m].values, g.mask) for m, g in model.graphs.items()}
    user, item = model.backbone()
    fused, _ = model.fuse(views, model.present())
    assert torch.allclose(model()[1], item + normalize(fused, dim=1), atol=1e-6)


def test_micro_feats_feeds_the_graphs_with_features(bench):
    model = variant(bench, "micro_feats", graph_learning="off", n_item_layers=1).eval()
    for modality, view in model.modality_views().items():
        graph = model.graphs[modality]
        features = affine(graph.transform, model.modalities[modality].values, graph.mask)
        assert torch.allclose(view, graph.initial.to_dense() @ features, atol=1e-6)


@pytest.mark.parametrize("modality", ["visual", "textual"])
def test_one_modality_alone(bench, modality):
    assert list(variant(bench, modality).modalities) == [modality]
