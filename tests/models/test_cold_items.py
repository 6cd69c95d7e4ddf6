"""What the models make of cold items: who can rank them, and by what."""

import numpy as np
import pytest
import torch
from recbole.data.interaction import Interaction

from recbole_micro import Config
from recbole_micro.evaluation import ranking as ranking_module
from recbole_micro.models.new_items import encode_new_items
from recbole_micro.models.without_epochs import WithoutEpochs
from recbole_micro.training.experiment import build
from tests.support import cold
from tests.support.cold import options

ABLE = {
    "MGCN": True,
    "SMORE": True,
    "GUME": True,
    "ContentKNN": True,
    "EASEKNN": True,
    "PGL": True,
    "DAMRS": True,
    "LGMRec": True,
    "STAIR": True,
    "MICRO": True,
    "LATTICE": True,
    "FREEDOM": True,
    "VBPR": True,
    "MMGCN": True,
    "GRCN": True,
    "BM3": False,
}


@pytest.mark.parametrize("model", ABLE)
def test_models_say_whether_they_rank_cold_items(cold_world, model):
    trainer = build(cold.config(cold_world, model)).trainer
    assert ranking_module.ranks_cold_items(trainer.model) == ABLE[model]
    assert ranking_module.ranks_cold_items(trainer.model) == depends_on_features(trainer.model)


@pytest.mark.parametrize(
    "more, able",
    [
        ({"knn_k": 0}, False),
        ({"n_item_layers": 0}, False),
        ({"n_item_layers": 0, "item_input": "features"}, True),
        ({"item_view": "features"}, True),
        ({"item_view": "none"}, False),
    ],
)
def test_micro_says_so_by_its_options(cold_world, more, able):
    trainer = build(cold.config(cold_world, "MICRO", **more)).trainer
    assert ranking_module.ranks_cold_items(trainer.model) is able
    assert depends_on_features(trainer.model) is able


@torch.no_grad()
def depends_on_features(model) -> bool:
    """Whether cold items differ from each other once they have no ID embedding."""
    model.eval()
    cold = cold_mask(model)
    for name, value in model.named_parameters():
        if "item_embedding" in name or "id_embedding" in name:
            value[-len(cold) :][cold] = 0
    if isinstance(model, WithoutEpochs):
        vectors = model.full_sort_predict(Interaction({"user_id": torch.arange(model.n_users)}))
        vectors = vectors.view(model.n_users, -1).T[cold]
    else:
        vectors = model.embeddings()[1][cold]
    own = vectors - vectors.mean(0)
    spread = (own.norm(dim=1) > 1e-6).float().mean()
    return bool(spread > 0.5)


def cold_mask(model):
    mask = torch.ones(model.n_items, dtype=torch.bool)
    mask[model.train_item] = mask[0] = False
    return mask


@pytest.mark.parametrize("model", ["MICRO", "LATTICE", "FREEDOM", "DAMRS"])
def test_the_id_part_of_a_cold_item_is_zero_or_untrained(cold_world, model):
    vectors = {}
    for choice in ("zero", "untrained"):
        trainer = build(cold.config(cold_world, model, cold_item_id=choice, preset="bpr")).trainer
        vectors[choice] = trainer.model.eval().embeddings()[1]
    mask = cold_mask(trainer.model)
    assert torch.equal(vectors["zero"][~mask], vectors["untrained"][~mask])
    part = trainer.model.backbone()[1]
    assert torch.allclose((vectors["untrained"] - vectors["zero"])[mask], part[mask], atol=1e-6)


@pytest.mark.parametrize("model", ["MICRO", "VBPR", "MMGCN", "GRCN"])
@pytest.mark.parametrize("choice", ["zero", "untrained"])
@torch.no_grad()
def test_only_features_reach_the_vector_of_a_cold_item(cold_world, model, choice):
    """Its own ID embedding changes nothing (but what MICRO's item graphs pass on), if its ID part is zero."""
    own = {"n_item_layers": 0, "item_input": "features"} if model == "MICRO" else {}
    given = options(cold_world, cold_item_id=choice, **own)
    trained = build(Config(model, "world-cold", config_dict=given)).trainer.model.eval()
    cold, before = cold_mask(trained), trained.embeddings()[1]
    table = next(v for n, v in trained.named_parameters() if "item_embedding" in n or n.startswith("id_emb"))
    table[-len(cold) :][cold] *= -2
    trained.eval().cache = None
    changed = (trained.embeddings()[1] - before).abs().amax(1) > 1e-6
    assert not changed[~cold].any()
    assert changed[cold].all() if choice == "untrained" else not changed[cold].any()


@pytest.mark.parametrize("quantile", [0.0, 0.95, 1.0])
def test_the_bias_of_a_cold_item_is_a_quantile_of_the_others(cold_world, quantile):
    model = build(cold.config(cold_world, "MICRO", cold_bias=quantile)).trainer.model.eval()
    mask, tau = cold_mask(model), model.scoring.tau
    with torch.no_grad():
        model.scoring.bias.copy_(torch.randn(model.n_items, generator=torch.Generator().manual_seed(1)))
    found = model.embeddings()[1][:, -1] / tau
    others = model.scoring.bias[~mask][1:].detach()  # without the padding
    expected = float(np.quantile(others.numpy(), quantile))
    assert torch.allclose(found[mask], torch.full((int(mask.sum()),), expected), atol=1e-6)
    assert torch.allclose(found[~mask], model.scoring.bias[~mask], atol=1e-6)
    new = encode_new_items(model, {m: part.values[1:3] for m, part in model.modalities.items()})
    assert torch.allclose(new[:, -1] / tau, torch.tensor([expected, expected]), atol=1e-6)
