"""SMORE against its equations: the spectra by explicit sums over the frequencies."""

import math

import torch

from recbole_micro.nn.graph import Graph, largest
from tests.models.test_mgcn import Family
from tests.support.dense import affine


def spectrum(x):
    """F_k = sum_t x_t exp(-2 pi i k t / d) / sqrt(d) for k = 0 ... d / 2."""
    d = x.shape[1]
    angle = torch.outer(torch.arange(d), torch.arange(d // 2 + 1)) * (2 * math.pi / d)
    return x.to(torch.complex128) @ torch.polar(torch.ones(()).double(), -angle.double()) / math.sqrt(d)


def signal(f, d):
    """The real signal of width d whose spectrum begins with f; what no such signal has is left out."""
    k, t = torch.arange(d // 2 + 1), torch.arange(d)
    angle = torch.outer(k, t).double() * (2 * math.pi / d)
    twice = torch.where((k == 0) | (2 * k == d), 1.0, 2.0).double()[:, None]
    return (f.real @ (twice * angle.cos()) - f.imag @ (twice * angle.sin())) / math.sqrt(d)


class TestSMORE(Family):
    name = "SMORE"
    small = dict(knn_k=4, cl_weight=0.1, reg_weight=0.1)
    cases = {
        "other layers": dict(n_item_layers=2, n_ui_layers=1),
        "neighbours by modality": dict(knn_k={"visual": 3}),
        "an odd width": dict(embedding_size=7),
        "trained features": dict(freeze_features=False),
    }
    band = (0.25, 1.0)

    def parts(self, model, n_ui_layers=3, **options):
        return super().parts(model, n_ui_layers, **options)

    def views(self, model, knn_k, n_item_layers=1, **options):
        d = model.backbone.item_embedding.embedding_dim
        spectra = [spectrum(x) for x in self.projected(model)]
        masks = [mask for _, mask in model.modalities.values()]
        product = torch.ones_like(spectra[0])
        for f, mask in zip(spectra, masks, strict=True):
            product = torch.where(mask[:, None], product * f, product)
        product = torch.where(torch.stack(masks).any(0)[:, None], product, 0)
        weights = torch.complex(*model.filters.unbind(-1))
        graphs = list(self.item_graphs(model, knn_k).values())
        graphs.append(torch.stack(graphs).amax(0))
        filtered = [signal(f * w, d) for f, w in zip([*spectra, product], weights, strict=True)]
        inputs = zip(filtered, model.gates, graphs, strict=True)
        return [self.stacked(model, s, self.gated(model, x, gate), n_item_layers) for x, gate, s in inputs]

    def fused(self, model, c, views, **options):
        *modal, last = views
        gates = [affine(gate, c).sigmoid() for gate in model.own_gates]
        total, number = gates[-1] * last, torch.ones(len(c), 1)
        present = self.present(model).unbind(1)
        for gate, h, q, has in zip(gates, modal, model.preferences, present, strict=False):
            p = affine(q[2], affine(q[0], last).tanh()).exp()
            total = total + torch.where(has[:, None], gate * p / p.sum(1, keepdim=True) * h, 0.0)
            number = number + has[:, None]
        return total / number

    def test_gates_are_dropped_in_training_alone(self, bench):
        model, full = self.make(bench, dropout=0.5), self.make(bench)
        assert torch.equal(model.eval()()[1], full.eval()()[1])
        assert not torch.allclose(model.train()()[1], full.train()()[1])


def test_the_union_of_graphs_keeps_the_greatest_weight():
    dense = torch.rand(3, 5, 6, generator=torch.Generator().manual_seed(0)).clamp(min=0.5) - 0.5
    graphs = [Graph.from_sorted(*g.nonzero(as_tuple=True), g[g > 0], g.shape) for g in dense]
    assert torch.equal(largest(graphs).to_dense(), dense.amax(0))
