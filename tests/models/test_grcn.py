"""GRCN against its equations."""

import torch
from torch.nn.functional import leaky_relu

from tests.models.shared import ModelTests
from tests.support.dense import adjacency, affine, bpr, interactions, mean_squares_of_ids, unit


def attention(edges, logits):
    """Softmax of each row over its edges [n_rows, n_cols], node by node; zeros where a row has none."""
    rows = []
    for row, logit in zip(edges, logits, strict=True):
        share = torch.zeros_like(logit)
        if row.any():
            share = share.index_put((row.nonzero()[:, 0],), logit[row].softmax(0))
        rows.append(share)
    return torch.stack(rows)


class TestGRCN(ModelTests):
    name = "GRCN"
    small = dict(reg_weight=0.1)
    cases = {"routing as published": dict(route="none"), "not pruned": dict(prune=False)}
    world = dict(embedding_size=16)
    band = (0.6, 1.0)

    def forward(self, model, route="users", prune=True, **options):
        n_users, linked = model.n_users, interactions(model) > 0
        edges = adjacency(model, "mean") > 0
        weights, outputs, linked_by = [], [], []
        channels = zip(model.channels, model.modalities.values(), strict=True)
        for column, (channel, modality) in enumerate(channels):
            f = unit(leaky_relu(affine(channel.transform, modality.values))) * modality.mask[:, None]
            p = unit(channel.preference.weight)
            for _ in range(3 if route == "users" else 0):
                p = unit(p + attention(linked & modality.mask, p @ f.T) @ f)
            x = torch.cat([p, f])
            known = torch.cat([torch.ones(n_users, dtype=torch.bool), modality.mask])
            share = attention(edges & known & known[:, None], x @ x.T)
            outputs.append(x + share @ x)
            weights.append(share * model.confidence.weight[:, column])  # the column is the source
            linked_by.append(edges & known & known[:, None])
        weight = self.largest(weights, linked_by)
        z = [unit(model.id_embedding.weight)]
        for _ in range(2):
            z.append((weight.relu() if prune else weight) @ z[-1])
        return torch.cat([sum(z), *outputs], 1).split([n_users, model.n_items])

    @staticmethod
    def largest(weights, linked_by):
        """The largest weight of each edge among the modalities that link its ends; 0 where none does."""
        largest = torch.zeros_like(weights[0])
        for edge in torch.stack(linked_by).any(0).nonzero():
            at = tuple(edge)
            there = [weight[at] for weight, linked in zip(weights, linked_by, strict=True) if linked[at]]
            largest = largest.index_put(at, torch.stack(there).max())
        return largest

    def losses(self, model, batch, reg_weight, **options):
        users, positives, negatives = batch["user_id"], batch["item_id"], batch["neg_item_id"]
        user, item = self.forward(model, **options)
        reg = mean_squares_of_ids(model, batch) + sum(
            (c.preference.weight[users] ** 2).mean() for c in model.channels
        )
        return bpr(user[users], item[positives], item[negatives]), reg_weight * reg

    def test_pruning_drops_edges_of_negative_weight(self, bench):
        pruned, whole = self.make(bench), self.make(bench, prune=False)
        assert not torch.allclose(pruned()[0], whole()[0])
        with torch.no_grad():
            for model in (pruned, whole):
                model.confidence.weight.abs_()
        assert torch.allclose(pruned()[0], whole()[0])
