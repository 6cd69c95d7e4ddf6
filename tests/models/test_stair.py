"""STAIR against its equations."""

import copy

import pytest
import torch

from recbole_micro.data.features import Modality
from recbole_micro.nn import transform
from tests.models.shared import ModelTests
from tests.support.dense import adjacency, bpr, frozen_graph, interactions


def kept(d, gamma):
    """b of every dimension."""
    return torch.tensor([0.1 + 0.9 * ((j + 1) / d) ** gamma for j in range(d)], dtype=torch.float64)


def stepwise(graph, scale, x, n_layers):
    """Sum over l of (scale_j graph)^l x_j for every column j."""
    columns = []
    for j in range(x.shape[1]):
        powers = [torch.linalg.matrix_power(scale[j] * graph, k) @ x[:, j] for k in range(n_layers + 1)]
        columns.append(sum(powers))
    return torch.stack(columns, 1)


class TestSTAIR(ModelTests):
    name = "STAIR"
    small = dict(knn_k=4)
    cases = {
        "one layer": dict(n_ui_layers=1, gamma=0.7),
        "no layer": dict(n_ui_layers=0),
    }
    world = dict(cold_start=True)
    band = (0.25, 1.0)

    def forward(self, model, n_ui_layers=3, gamma=0.1, **options):
        x = torch.cat([model.user_table, model.item_table])
        b = kept(x.shape[1], gamma)
        return stepwise(adjacency(model), 1 - b, x, n_ui_layers).split([model.n_users, model.n_items])

    def losses(self, model, batch, **options):
        user, item = self.forward(model, **options)
        return (bpr(user[batch["user_id"]], item[batch["item_id"]], item[batch["neg_item_id"]]),)

    @pytest.mark.parametrize("n_item_layers", [0, 1, 3])
    @pytest.mark.parametrize("learner", [torch.optim.AdamW, torch.optim.Adam])
    def test_a_step_of_the_items_is_shared_along_the_item_graph(self, bench, learner, n_item_layers):
        model = self.make(bench, n_item_layers=n_item_layers, gamma=0.5)
        plain = copy.deepcopy(model)
        optimizers = [learner(m.parameters(), lr=0.01, weight_decay=0.2) for m in (model, plain)]
        model.prepare_optimizer(optimizers[0])
        graph, b = frozen_graph(model, 4, {"visual": 0.2, "textual": 1.0}), kept(6, 0.5)
        for _ in range(3):
            old = model.item_table.detach().clone()
            plain.load_state_dict(model.state_dict())
            for m, optimizer in zip((model, plain), optimizers, strict=True):
                optimizer.zero_grad()
                sum(m.calculate_loss(bench.batch(m))).backward()
                optimizer.step()
            if learner is torch.optim.AdamW:
                old *= 1 - 0.01 * 0.2
            expected = old + stepwise(graph, b, plain.item_table.detach() - old, n_item_layers)
            assert torch.allclose(model.item_table, expected, atol=1e-6)
            assert torch.allclose(model.user_table, plain.user_table)

    def test_the_plugins_trainer_shares_the_steps(self, bench):
        from recbole_micro import Config
        from recbole_micro.training.experiment import build

        tables = []
        for n_item_layers in (0, 2):
            options = bench.world.config(n_item_layers=n_item_layers, epochs=1, knn_k=4)
            trainer = build(Config("STAIR", "world", config_dict=options)).trainer
            assert isinstance(trainer.optimizer, torch.optim.AdamW)
            trainer.model.calculate_loss(bench.batch(trainer.model))[0].backward()
            start = trainer.model.item_table.detach().clone()
            trainer.optimizer.step()
            tables.append((trainer.model.item_table.detach() - start).norm())
        assert tables[1] > 1.5 * tables[0]

    def test_tables_start_from_features(self, bench):
        model = self.make(bench)
        masks = {name: modality.mask for name, modality in model.modalities.items()}
        white = {}
        for name, (values, mask) in model.modalities.items():
            left, _, _ = torch.linalg.svd(values[mask], full_matrices=False)
            left = left[:, :6] * (int(mask.sum()) / 6) ** 0.5
            largest = left.gather(0, left.abs().argmax(0, keepdim=True))
            white[name] = torch.zeros(len(mask), 6, dtype=torch.float64)
            white[name][mask] = left * largest.sign()
        shares = {"visual": 0.2 / 1.2, "textual": 1 / 1.2}
        weight = sum(shares[m] * masks[m].double() for m in masks)[:, None]
        expected = sum(shares[m] * white[m] for m in masks) / weight.clamp(min=1e-12)
        some = weight[:, 0] > 0
        assert torch.allclose(model.item_table[some], expected[some], atol=1e-5)
        assert model.item_table[~some].any(1).all(), "items without features start from noise"
        r = interactions(model)
        means = r @ model.item_table / r.sum(1, keepdim=True).clamp(min=1)
        assert torch.allclose(model.user_table, means, atol=1e-6)


@pytest.mark.parametrize("dense", [1024, 1], ids=["all singular vectors", "those needed"])
def test_whitened_features(dense, monkeypatch):
    monkeypatch.setattr(transform, "_DENSE", dense)
    generator = torch.Generator().manual_seed(6)
    values = torch.randn(50, 30, generator=generator) * torch.arange(1.0, 31)
    mask = torch.arange(50) > 3
    white = transform.whitened(Modality(values, mask), 8)
    assert not white[~mask].any()
    assert torch.allclose(white[mask].T @ white[mask], torch.eye(8) * 46 / 8, atol=1e-4)
    left, _, _ = torch.linalg.svd(values[mask].double(), full_matrices=False)
    cosine = (left[:, :8] * white[mask]).sum(0).abs() / (46 / 8) ** 0.5
    assert torch.allclose(cosine, torch.ones(8).double(), atol=1e-4)
    assert torch.equal(white, transform.whitened(Modality(values, mask), 8))


def test_features_of_a_small_rank_are_filled_up():
    torch.manual_seed(0)
    values = torch.randn(200, 3) @ torch.randn(3, 20)
    white = transform.whitened(Modality(values, torch.ones(200, dtype=torch.bool)), 8)
    assert white.norm(dim=0).sub(5).abs().max() < 1 and torch.linalg.matrix_rank(white) == 8
