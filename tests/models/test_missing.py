"""What items without features get: every multimodal model takes each choice, or refuses it in a sentence."""

import pytest
import torch
from recbole.data.interaction import Interaction

from recbole_micro.data.features import Modality
from recbole_micro.errors import UserError
from recbole_micro.models.new_items import encode_new_items
from recbole_micro.models.registry import MODELS
from tests.support import dense

SAME = ("DAMRS", "STAIR", "VBPR", "MMGCN")  # to which a row of zeros is no row (MMGCN: of narrow features)


def scores(model):
    with torch.no_grad():
        users = torch.arange(1, model.n_users)
        return model.eval().full_sort_predict(Interaction({"user_id": users}))


@pytest.mark.parametrize("name", MODELS)
def test_every_choice_has_its_effect_or_is_refused(bench, name):
    lacks = bench.item(dense.LACKS_ALL)
    found = {}
    for how in ("mask", "zero", "mean", "neighbours"):
        if how == "zero" and name in SAME:
            with pytest.raises(UserError, match=f"missing=zero would change nothing: to {name} "):
                bench.model(name, missing=how)
            continue
        model = bench.model(name, missing=how)
        assert all(bool(part.mask[lacks]) == (how != "mask") for part in model.modalities.values())
        model.start_epoch()
        torch.manual_seed(1)
        losses = model.train().calculate_loss(bench.batch(model))
        losses = torch.stack(losses).detach() if isinstance(losses, tuple) else losses[None].detach()
        found[how] = torch.cat([scores(model), losses])  # BM3 has its features in the loss alone
    assert all(bool(torch.isfinite(one).all()) for one in found.values())
    for how, one in found.items():
        others = [other for known, other in found.items() if known != how]
        assert all(not torch.allclose(one, other, rtol=1e-9, atol=0) for other in others), how


def test_zeros_change_mmgcn_where_features_are_mapped(bench):
    one, other = (scores(bench.model("MMGCN", missing=how, latent=3)) for how in ("mask", "zero"))
    assert not torch.allclose(one, other)


@pytest.mark.parametrize("how", ["zero", "mean"])
def test_new_items_get_what_known_ones_got(bench, how):
    model = bench.model("MICRO", missing=how)
    visual = torch.randn(2, model.modalities["visual"].values.shape[1], dtype=torch.float64)
    instead = model.modalities["textual"]
    row = instead.values[instead.mask].mean(0) * (how == "mean")
    whole = Modality(row.expand(2, -1), torch.ones(2, dtype=torch.bool))
    expected = encode_new_items(model, {"visual": visual, "textual": whole})
    assert torch.allclose(encode_new_items(model, {"visual": visual}), expected)
    masked = encode_new_items(bench.model("MICRO"), {"visual": visual})
    assert not torch.allclose(masked, expected)
