"""DA-MRS against its equations."""

import torch

from recbole_micro.data.features import Modality
from recbole_micro.nn.fixed_graphs import common_users, consistent_knn
from tests.models.shared import ModelTests
from tests.support.dense import interactions, lightgcn, symmetric, unit


def cosines(x, mask):
    """Cosines of all rows, and which rows there are."""
    there = mask & (x.norm(dim=1) > 0)
    x = x.double() * there[:, None]
    length = x.norm(dim=1).clamp(min=1e-30)
    return (x @ x.T) / (length[:, None] * length), there


def consistent(modalities, k):
    """Per modality, cosines of each row's k nearest (itself first) of the pairs that all find similar."""
    found = [cosines(*modality) for modality in modalities]
    agreed = torch.ones_like(found[0][0], dtype=torch.bool)
    for cosine, there in found:
        both = there[:, None] & there
        agreed &= (cosine >= cosine[both].mean()) | ~both
    agreed.fill_diagonal_(True)
    graphs = []
    for cosine, there in found:
        rank = cosine.masked_fill(~(agreed & there[:, None] & there), -torch.inf)
        own = torch.eye(len(rank), dtype=torch.bool) & there
        rank = rank.masked_fill(own, torch.inf)
        order = torch.sort(rank, dim=1, descending=True, stable=True).indices[:, :k]
        keep = torch.zeros_like(cosine).scatter(1, order, 1.0) * (rank > -torch.inf)
        graphs.append(cosine * keep)
    return graphs


def sessions(r, k):
    """The k items with most common users, at least two, and the item itself where it has any."""
    shared = (r.T @ r).fill_diagonal_(0)
    order = torch.sort(shared, dim=1, descending=True, stable=True).indices[:, :k]
    keep = torch.zeros_like(shared).scatter(1, order, 1.0) * (shared >= 2)
    return keep + torch.diag((r.sum(0) > 0).double())


class TestDAMRS(ModelTests):
    name = "DAMRS"
    small = dict(knn_k=4, nd_weight=0.1)
    cases = {
        "no alignment": dict(kl_weight=0.0, nd_weight=0.0),
        "weighted BPR alone": dict(swap_weight=0.0, variance_weight=0.0),
        "other weights": dict(swap_weight=0.5, variance_weight=40.0, kl_weight=0.3, tau=0.5),
        "other graphs": dict(knn_k=60, session_k=5, n_ui_layers=1),
        "no sessions": dict(session_k=0),
    }
    band = (0.8, 1.0)

    def graphs(self, model, knn_k, session_k):
        found = consistent(model.modalities.values(), knn_k)
        return [*found, sessions(interactions(model), session_k)]

    def parts(self, model, knn_k, session_k=2, n_ui_layers=2, **options):
        user, item = lightgcn(model, n_ui_layers)
        graphs = self.graphs(model, knn_k, session_k)
        views = [symmetric(g) @ model.backbone.item_embedding.weight for g in graphs]
        present = [(g.sum(1) > 0).double()[:, None] for g in graphs]
        mean = sum(h * p for h, p in zip(views, present, strict=True)) / sum(present).clamp(min=1)
        return user, item + mean, mean, views, present, graphs

    def forward(self, model, **options):
        return self.parts(model, **options)[:2]

    def losses(
        self,
        model,
        batch,
        nd_weight,
        kl_weight=1.0,
        swap_weight=1.0,
        variance_weight=2.0,
        tau=0.2,
        **options,
    ):
        users, positives, negatives = batch["user_id"], batch["item_id"], batch["neg_item_id"]
        user, item, mean, views, present, graphs = self.parts(model, **options)
        u, weight = user[users], {}
        for name, ids in {"i": positives, "j": negatives}.items():
            rows = []
            for one, v in zip(u, ids.tolist(), strict=True):
                says = [
                    (one @ unit(h[v][None])[0]).sigmoid() for h, p in zip(views, present, strict=True) if p[v]
                ]
                says = torch.stack(says)
                middle = says.mean()
                rows.append(middle * torch.exp(-variance_weight * ((says - middle) ** 2).mean()))
            weight[name] = torch.stack(rows).detach()
        delta = (u * item[positives]).sum(1) - (u * item[negatives]).sum(1)
        wrong = swap_weight * (1 - weight["i"]) * weight["j"]
        bpr = -(weight["i"] * delta.sigmoid().log() + wrong * (-delta).sigmoid().log()).mean()
        p = (u @ unit(item[positives]).T).sigmoid()
        q = (u @ unit(mean[positives]).T).sigmoid()
        kl = [(a * (a / b).log() + (1 - a) * ((1 - a) / (1 - b)).log()).mean() for a, b in ((p, q), (q, p))]
        near = sum((g != 0).double() for g in graphs).fill_diagonal_(0)
        log_share = (unit(item) @ unit(item).T / tau).log_softmax(1)
        terms = [
            -(near[i] * log_share[i]).sum() / near[i].sum()
            for i in sorted(set(positives.tolist()))
            if near[i].sum() > 0
        ]
        return bpr, kl_weight * sum(kl), nd_weight * sum(terms) / len(terms)

    def test_graphs_are_the_same_for_every_block_size_and_keep_ties_in_order(self, bench):
        generator = torch.Generator().manual_seed(4)
        modalities = {}
        for name, width in (("a", 5), ("b", 3)):  # many ties: few values, few columns
            values = torch.randint(-1, 3, (150, width), generator=generator).float()
            modalities[name] = Modality(values, torch.rand(150, generator=generator) > 0.1)
        expected = consistent(modalities.values(), 6)
        for memory in (256, 0.02):
            found = consistent_knn(modalities, 6, memory)
            for graph, dense in zip(found.values(), expected, strict=True):
                assert torch.allclose(graph.to_dense().double(), dense, atol=1e-6)

    def test_equal_rows_are_all_similar(self, bench):
        same = Modality(torch.rand(7).expand(20, 7).clone(), torch.ones(20, dtype=torch.bool))
        assert consistent_knn({"same": same}, 4)["same"].crow.diff().tolist() == [4] * 20

    def test_sessions_keep_the_items_with_most_common_users(self):
        user = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 3, 3])
        item = torch.tensor([1, 2, 3, 1, 2, 3, 1, 2, 1, 1, 4, 5])
        graph = common_users(user, item, 7, 1).to_dense()
        expected = torch.diag(torch.tensor([0.0, 1, 1, 1, 1, 1, 0]))
        expected[1, 2] = expected[2, 1] = expected[3, 1] = 1  # 4 and 5 share one user
        assert torch.equal(graph, expected)
