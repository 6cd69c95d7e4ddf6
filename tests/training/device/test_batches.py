"""Batches on the model's device, here the CPU: the same interactions, negatives of the same distribution."""

import numpy as np
import pytest
import torch

from recbole_micro.nn.graph import histories
from recbole_micro.training.device.batches import DeviceBatches, Negatives, on_device
from recbole_micro.training.experiment import build
from tests.support import cold

CPU = torch.device("cpu")
OF_FOUR = {"distribution": "uniform", "sample_num": 1, "alpha": 1.0, "dynamic": True, "candidate_num": 4}


def built(world, model="MICRO", **given):
    return build(cold.config(world, model, **{"preset": "bpr", "train_batch_size": 128, **given}))


def test_negatives_are_uniform_over_what_a_user_lacks():
    torch.manual_seed(0)
    user = torch.tensor([1, 1, 1, 2, 3, 3, 3, 3, 3])
    item = torch.tensor([2, 5, 9, 7, 1, 2, 5, 7, 9])
    items = torch.tensor([1, 2, 4, 5, 7, 9, 10])  # 3, 6 and 8 are not drawn from
    negatives = Negatives(histories(user, item, 4, 11), items)
    for who, lacks in {0: items.tolist(), 1: [1, 4, 7, 10], 2: [1, 2, 4, 5, 9, 10], 3: [4, 10]}.items():
        counts = negatives.draw(torch.full((20_000,), who)).bincount(minlength=11)
        assert counts.nonzero()[:, 0].tolist() == lacks
        expected = 20_000 / len(lacks)
        assert ((counts[lacks] - expected).abs() < 5 * expected**0.5).all()


def test_an_epoch_has_every_interaction_once_and_no_training_item_as_a_negative(cold_world):
    data = built(cold_world, train_neg_sample_args={"distribution": "uniform", "sample_num": 1}).train_data
    batches = on_device(data, CPU)
    epochs = [list(batches) for _ in range(2)]
    inter = data._dataset.inter_feat
    pairs = sorted(zip(inter["user_id"].tolist(), inter["item_id"].tolist(), strict=True))
    withheld, seen = cold.cold_by_hand(data), set()
    for epoch in epochs:
        assert [len(batch) for batch in epoch] == [len(batch) for batch in data]
        users, items, negatives = (
            torch.cat([batch[field] for batch in epoch]).tolist()
            for field in ("user_id", "item_id", "neg_item_id")
        )
        assert sorted(zip(users, items, strict=True)) == pairs
        assert not set(zip(users, negatives, strict=True)) & set(pairs)
        seen |= set(negatives)
    assert not torch.equal(epochs[0][0]["item_id"], epochs[1][0]["item_id"]), "shuffled anew"
    assert not seen & withheld and len(seen) > 0.9 * (data._dataset.item_num - 1 - len(withheld))


def test_dynamic_negatives_are_the_best_of_candidates(cold_world, monkeypatch):
    experiment = built(cold_world, train_neg_sample_args=OF_FOUR)
    experiment.train_data.get_model(experiment.model)
    batches = DeviceBatches(experiment.train_data, CPU)
    drawn, draw = [], batches.negatives.draw
    monkeypatch.setattr(batches.negatives, "draw", lambda users: drawn.append(draw(users)) or drawn[-1])
    batch = next(iter(batches))
    user, item = experiment.model.embeddings()
    scores = (user[batch["user_id"]] @ item.T).detach()
    candidates = drawn[0].view(4, -1)
    best = scores.gather(1, candidates.T).argmax(1)
    assert torch.equal(batch["neg_item_id"], candidates.T.gather(1, best[:, None])[:, 0])
    assert experiment.model.training


def test_a_model_without_negatives_gets_none(cold_world):
    batch = next(iter(on_device(built(cold_world, preset=None).train_data, CPU)))
    assert set(batch.columns) == {"user_id", "item_id"}


@pytest.mark.parametrize(
    "model, given",
    [
        ("NeuMF", {}),  # point by point
        ("MICRO", {"train_neg_sample_args": {"distribution": "popularity", "sample_num": 1, "alpha": 1.0}}),
        ("MICRO", {"train_neg_sample_args": {"distribution": "uniform", "sample_num": 2}}),
        ("MICRO", {"worker": 1}),
    ],
)
def test_what_needs_recboles_loader_keeps_it(cold_world, model, given):
    assert on_device(built(cold_world, model, **given).train_data, CPU) is None


def test_the_draws_are_those_of_pytorchs_generator(cold_world):
    data = built(cold_world, train_neg_sample_args={"distribution": "uniform", "sample_num": 1}).train_data
    epochs = []
    for _ in range(2):
        torch.manual_seed(5)
        np.random.seed()
        epochs.append(torch.cat([batch["neg_item_id"] for batch in on_device(data, CPU)]))
    assert torch.equal(*epochs)
