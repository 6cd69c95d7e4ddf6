"""MGCN against its equations, and what its family shares."""

import pytest
import torch

from recbole_micro.nn import losses
from tests.models.shared import ModelTests
from tests.support import dense
from tests.support.dense import affine, batch_contrast, bpr, half_squares, knn_graph, lightgcn, symmetric


class Family(ModelTests):
    """The equations of MGCN, part by part."""

    def k(self, knn_k, modality):
        return knn_k.get(modality, 10) if isinstance(knn_k, dict) else knn_k

    def present(self, model):
        """Which modalities users and items have, by counting."""
        items = torch.stack([mask for _, mask in model.modalities.values()], 1)
        users = dense.interactions(model) @ items.double() > 0
        return torch.cat([users, items])

    def user_rows(self, model):
        return dense.adjacency(model)[: model.n_users, model.n_users :]

    def item_graphs(self, model, knn_k, clamp_negative=True):
        return {
            m: symmetric(knn_graph(values, mask, self.k(knn_k, m), clamp_negative))
            for m, (values, mask) in model.modalities.items()
        }

    def gated(self, model, x, gate):
        return model.backbone.item_embedding.weight * affine(gate, x).sigmoid()

    def stacked(self, model, graph, h, n_item_layers):
        for _ in range(n_item_layers):
            h = graph @ h
        return torch.cat([self.user_rows(model) @ h, h])

    def projected(self, model):
        return [affine(t.transform, t.raw, t.mask) for t in model.transforms]

    def views(self, model, knn_k, n_item_layers=1, clamp_negative=True, **options):
        graphs = self.item_graphs(model, knn_k, clamp_negative).values()
        inputs = zip(self.projected(model), model.gates, graphs, strict=True)
        return [self.stacked(model, s, self.gated(model, x, gate), n_item_layers) for x, gate, s in inputs]

    def fused(self, model, c, views, side="mean", **options):
        """The common part and the modalities' own, node by node."""
        first, _, last = model.attention
        out = []
        for node, present in enumerate(self.present(model)):
            here = [view[node] for view, has in zip(views, present, strict=True) if has]
            if not here:
                out.append(torch.zeros_like(c[node]))
                continue
            logits = torch.stack([last.weight[0] @ affine(first, h[None])[0].tanh() for h in here])
            common = sum(a * h for a, h in zip(logits.exp() / logits.exp().sum(), here, strict=True))
            gates = [gate for gate, has in zip(model.own_gates, present, strict=True) if has]
            own = sum(
                affine(g, c[node][None])[0].sigmoid() * (h - common) for g, h in zip(gates, here, strict=True)
            )
            out.append((common + own) / (len(here) + 1 if side == "mean" else 1))
        return torch.stack(out)

    def parts(self, model, n_ui_layers=2, **options):
        """c and g of users and items."""
        c = torch.cat(lightgcn(model, n_ui_layers))
        return c, self.fused(model, c, self.views(model, **options), **options)

    def forward(self, model, **options):
        return sum(self.parts(model, **options)).split([model.n_users, model.n_items])

    def contrast(self, model, users, items, g, c, tau):
        known, items = self.present(model).any(1), items + model.n_users
        terms = [batch_contrast(g[rows], c[rows], tau, known[rows]) for rows in (users, items)]
        return sum(terms)

    def losses(self, model, batch, cl_weight, reg_weight, tau=0.2, **options):
        users, positives, negatives = batch["user_id"], batch["item_id"], batch["neg_item_id"]
        c, g = self.parts(model, **options)
        user, item = (c + g).split([model.n_users, model.n_items])
        vectors = user[users], item[positives], item[negatives]
        contrast = cl_weight * self.contrast(model, users, positives, g, c, tau)
        return bpr(*vectors), contrast, reg_weight * half_squares(*vectors) / len(users)


class TestMGCN(Family):
    name = "MGCN"
    small = dict(knn_k=4, cl_weight=0.1, reg_weight=0.1)
    cases = {
        "sum of the parts": dict(side="sum"),
        "other layers": dict(n_item_layers=2, n_ui_layers=1),
        "no item layers": dict(n_item_layers=0),
        "neighbours by modality": dict(knn_k={"visual": 3}),
        "negative cosines": dict(knn_k=60, clamp_negative=False),
        "another temperature": dict(tau=0.5),
        "trained features": dict(freeze_features=False),
    }
    band = (0.25, 1.0)


def test_the_contrast_is_that_of_the_dense_reference_and_leaves_out_unknown_anchors():
    a, b = torch.randn(2, 9, 4, dtype=torch.float64)
    known = torch.arange(9) % 3 > 0
    assert torch.allclose(losses.batch_contrast(a, b, 0.3), batch_contrast(a, b, 0.3))
    assert torch.allclose(losses.batch_contrast(a, b, 0.3, known), batch_contrast(a, b, 0.3, known))
    with pytest.raises(ValueError, match="tau"):
        losses.batch_contrast(a, b, 0.01)
