"""EASEKNN against its equations."""

import re

import numpy as np
import pytest
import torch

import recbole_micro
from recbole_micro.errors import UserError
from recbole_micro.models import easeknn, memory_check
from recbole_micro.models.easeknn import most_used
from recbole_micro.models.memory import Sizes
from recbole_micro.nn import ease as closed_form
from recbole_micro.nn.graph import histories
from recbole_micro.options.config import Config
from recbole_micro.training import quick_start
from tests.models.shared import WithoutEpochsTests
from tests.models.test_contentknn import neighbours
from tests.support import world as worlds
from tests.support.dense import LACKS_ALL, MODALITIES, interactions


def z(scores, there):
    """z-scores of each row over the items that are `there`, zeros for the others."""
    result = torch.zeros_like(scores)
    for row, out in zip(scores, result, strict=True):
        values = row[there]
        if (values != values[0]).any():
            out[there] = (values - values.mean()) / ((values - values.mean()) ** 2).mean().sqrt()
    return result


def regression(r, reg_weight):
    """B by NumPy in double precision."""
    p = np.linalg.inv(r.T @ r + reg_weight * np.eye(r.shape[1]))
    b = -p / np.diag(p)
    np.fill_diagonal(b, 0)
    return b


class TestEASEKNN(WithoutEpochsTests):
    name = "EASEKNN"
    small = dict(knn_k=4, reg_weight=2.0, modality_weights={"visual": 0.3})
    cases = {
        "EASE alone": dict(knn_weight=0.0, modality_weights={"visual": 0}),
        "little regularisation": dict(reg_weight=0.01),
        "features count more": dict(knn_weight=3.0, modality_weights={}),
        "EASE of few items": dict(ease_items=9),
    }
    world = dict(knn_k=24, reg_weight=10.0, knn_weight=2.0, modality_weights={})
    band = (0.7, 1.0)

    def scores(self, model, knn_k, reg_weight, modality_weights, knn_weight=0.4, ease_items=0, **options):
        r = interactions(model)
        order = torch.sort(r.sum(0), descending=True, stable=True).indices[: ease_items or None]
        solved = torch.zeros(model.n_items, dtype=torch.bool)
        solved[order] = r.sum(0)[order] > 0
        part = torch.zeros_like(r)
        part[:, solved] = r[:, solved] @ torch.from_numpy(regression(r[:, solved].numpy(), reg_weight))
        total = z(part, solved)
        shared = knn_weight / max(1, sum(m not in modality_weights for m in model.modalities))
        for name, (values, mask) in model.modalities.items():
            similarity = neighbours(values, mask, knn_k)
            total = total + modality_weights.get(name, shared) * z(r @ similarity.T, mask)
        return total

    def test_an_item_without_anything_scores_like_the_mean(self, bench):
        model = self.make(bench, ease_items=1)
        without = bench.item(LACKS_ALL)
        assert without not in model.solved and not self.all_scores(model)[:, without].any()

    def test_a_modality_has_its_own_weight_or_a_share_of_the_rest(self, bench):
        model = self.make(bench, MODALITIES, knn_weight=0.4, modality_weights={"visual": 0})
        assert model.weights == {"visual": 0, "textual": 0.2, "audio": 0.2}
        assert list(model.graphs) == ["textual", "audio"], "a modality that does not count is not searched"

    @pytest.mark.parametrize("weight", [-1, "much", float("inf")])
    def test_a_weight_that_is_none_is_refused(self, bench, weight):
        with pytest.raises(UserError, match="modality_weights gives visual"):
            self.make(bench, modality_weights={"visual": weight})

    def test_too_many_items_for_the_memory_are_refused_with_the_way_out(self, bench, monkeypatch):
        monkeypatch.setattr(easeknn, "MATRICES", 10**6)
        monkeypatch.setattr(memory_check, "free_memory", lambda device: 2**33)
        monkeypatch.setitem(memory_check.LEAST, "ease_items", 1)
        with pytest.raises(UserError, match="pairs of items [0-9.]+ GB.* set ease_items=([0-9]+)") as caught:
            self.make(bench, reg_weight=1e4)
        fits = int(re.search("ease_items=([0-9]+)", str(caught.value))[1])
        assert len(self.make(bench, reg_weight=1e4, ease_items=fits).solved) == fits

    def test_matrices_of_the_chosen_items_are_counted(self, bench):
        model = self.make(bench, ease_items=21)
        config = Config(self.name, "world", config_dict=bench.world.config(ease_items=21, reg_weight=1e4))
        sizes = Sizes(config, bench.data, with_features=True)
        assert torch.equal(most_used(sizes.histories, 21)[0], model.solved)
        stay, _ = easeknn.EASEKNN.memory(config, sizes)
        assert stay["pairs of items"] == easeknn.MATRICES * 4 * 21**2

    def test_the_checkpoint_keeps_the_solution(self, tmp_path, monkeypatch):
        world = worlds.build(tmp_path)
        result = quick_start.run(self.name, world.name, config_dict=world.config(**self.world))
        state = torch.load(result["checkpoint"], weights_only=True)
        assert state["other_parameter"]["item_weights"].dtype == torch.float32
        monkeypatch.setattr("recbole_micro.models.easeknn.ease", None)  # not solved again
        _, model, dataset, *_ = recbole_micro.load(result["checkpoint"])
        assert np.isfinite(worlds.score_matrix(model, dataset, world)).all()
        assert torch.equal(model.item_weights, state["other_parameter"]["item_weights"])


@pytest.mark.parametrize("reg_weight", [1e-2, 1.0, 100.0, 1e4])
def test_the_solution_is_that_of_double_precision(reg_weight):
    generator = torch.Generator().manual_seed(1)
    popular = torch.rand(80, generator=generator) ** 3
    r = (torch.rand(400, 80, generator=generator) < popular).double()
    found = closed_form.ease(histories(*r.nonzero(as_tuple=True), *r.shape), reg_weight)
    expected = torch.from_numpy(regression(r.numpy(), reg_weight))
    assert found.dtype == torch.float32 and found.is_contiguous() and not found.diagonal().any()
    assert (found - expected).abs().max() < 1e-3 * expected.abs().max()


def test_the_gram_matrix_is_made_in_portions(monkeypatch):
    r = (torch.rand(30, 20, generator=torch.Generator().manual_seed(2)) < 0.2).float()
    monkeypatch.setattr(closed_form, "_ROWS", 7)
    assert torch.equal(closed_form.gram(histories(*r.nonzero(as_tuple=True), *r.shape)), r.T @ r)
