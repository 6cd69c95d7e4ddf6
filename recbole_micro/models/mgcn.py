"""MGCN: Multi-View Graph Convolutional Network for Multimedia Recommendation (Yu et al., ACM MM 2023)."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from recbole_micro.models.base import MultimodalRecommender, search_options
from recbole_micro.models.memory import Sizes
from recbole_micro.nn import losses
from recbole_micro.nn.graph import Graph, normalize, of_users
from recbole_micro.nn.knn import knn
from recbole_micro.nn.ops import propagate

Parts = tuple[Tensor, ...]  # of a batch: users, positive items, negative items


class MGCN(MultimodalRecommender):
    r"""LightGCN plus what ID embeddings become that features have gated and item graphs have spread.

    .. math::
        h^m = (\tilde S^m)^L (X \odot \sigma(W (W_m f^m + b_m) + b)), \quad h^m_u = (\hat R h^m)_u, \quad
        a = \text{softmax}_m (q \cdot \tanh(W h^m + b)), \quad h = \sum_m a_m h^m, \quad
        g = \frac{1}{M + 1} \Big( h + \sum_m \sigma(W'_m c + b) \odot (h^m - h) \Big), \quad
        \hat x = c + g, \quad \mathcal L = \mathcal L_{BPR} + cl \sum I(g, c) + \text{L2}

    c is LightGCN's output, users and items alike; :math:`\hat R` the users' rows of its graph;
    :math:`\tilde S^m` the normalised kNN graph of the raw features; I is one-directional InfoNCE over the
    batch's users and over its positive items.  A node takes part for the modalities that it has (a user:
    that a training item has), and M counts those.  The paper's Eq. 15 is the sum (`side: sum`), its
    published code the mean.  https://arxiv.org/abs/2308.03588.  Options and their defaults:
    `properties/model/MGCN.yaml`.
    """

    loss_names: tuple[str, ...] = ("BPR", "contrast", "L2")

    @classmethod
    def graph_sizes(cls, config: Mapping[str, Any], sizes: Sizes) -> dict[str, int]:
        of_users = Graph.n_bytes(sizes.n_interactions, sizes.n_users, sizes.n_items)
        return super().graph_sizes(config, sizes) | {"users' items": of_users}

    @classmethod
    def n_step(cls, config: Mapping[str, Any], sizes: Sizes) -> int:
        parts = len(sizes.chosen(config))
        per_part = (8 + 3 * config["n_item_layers"]) * sizes.n_items + 4 * sizes.n_users
        rows = 3 * config["train_batch_size"] * (10 + 12 * parts)  # of the batch's nodes
        pairs = 3 * min(config["train_batch_size"] ** 2, losses.ENTRIES) if config["cl_weight"] else 0
        return pairs + (6 * sizes.n_nodes + per_part * parts + rows) * config["embedding_size"]

    @classmethod
    def n_forward(cls, config: Mapping[str, Any], sizes: Sizes) -> int:
        return (6 + 9 * len(sizes.chosen(config))) * sizes.n_nodes * config["embedding_size"]

    repeats_steps = True

    def __init__(self, config, dataset):
        super().__init__(config, dataset)
        size = config["embedding_size"]
        self.ranks_cold_items = config["n_item_layers"] > 0
        self.n_item_layers, self.side_mean = config["n_item_layers"], config["side"] == "mean"
        self.cl_weight, self.tau, self.reg_weight = config["cl_weight"], config["tau"], config["reg_weight"]
        self.backbone = self.backbone_of("LightGCN", size, n_layers=config["n_ui_layers"])
        self.transforms = self.feature_transforms(config)
        self.gates = nn.ModuleList(nn.Linear(size, size) for _ in self.modalities)
        self.item_graphs = [self.item_graph(config, m) for m in self.modalities]
        self.user_rows = of_users(self.backbone.graph, self.n_users)
        self.present = self.presence()
        self.own_gates = nn.ModuleList(nn.Linear(size, size) for _ in self.modalities)
        self.side_modules(size)

    def side_modules(self, size: int) -> None:
        """What fuses the views."""
        self.attention = nn.Sequential(nn.Linear(size, size), nn.Tanh(), nn.Linear(size, 1, bias=False))

    def item_graph(self, config, modality: str) -> Graph:
        """S~ of a modality; `knn_k` is a number, or one for each modality."""
        k = config["knn_k"]
        values, mask = self.modalities[modality]
        graph = knn(
            values,
            k.get(modality, 10) if isinstance(k, dict) else k,
            mask,
            clamp_negative=config["clamp_negative"],
            **search_options(config),
        )
        return normalize(graph, "symmetric")

    def presence(self) -> Tensor:
        """Which modalities users, then items, have, bool [n_users + n_items, n_modalities]."""
        items = torch.stack([modality.mask for modality in self.modalities.values()], 1)
        return torch.cat([propagate(self.user_rows, items.float()) > 0, items])

    def item_views(self) -> list[Tensor]:
        """h^m of all items, [n_items, d] each."""
        return [
            self.spread(gate(transform()), graph)
            for gate, transform, graph in zip(self.gates, self.transforms, self.item_graphs, strict=True)
        ]

    def spread(self, gate: Tensor, graph: Graph) -> Tensor:
        """ID embeddings, gated [n_items, d], after the layers of an item graph; rows without edges are 0."""
        h = self.backbone.item_embedding.weight * gate.sigmoid()
        for _ in range(self.n_item_layers):
            h = propagate(graph, h)
        return h

    def views(self) -> list[Tensor]:
        """The same of users, then items, [n_users + n_items, d] each."""
        return [torch.cat([propagate(self.user_rows, h), h]) for h in self.item_views()]

    def side(self, c: Tensor, views: list[Tensor], present: Tensor) -> Tensor:
        """g of nodes with these c and h^m [n, d], and these modalities [n, n_modalities]."""
        stacked = torch.stack(views, 1)  # [n, n_modalities, d]
        logit = self.attention(stacked).squeeze(-1).float().masked_fill(~present, -1e9)
        weight = logit.softmax(1) * present
        common = (weight[..., None] * stacked).sum(1)
        parts = [
            gate(c).sigmoid() * (view - common) * has[:, None]
            for gate, view, has in zip(self.own_gates, views, present.unbind(1), strict=True)
        ]
        return self.joined(common + sum(parts), present)

    def joined(self, total: Tensor, present: Tensor) -> Tensor:
        """The sum of a node's parts, or their mean: one for each of its modalities, and the common one."""
        return total / (present.sum(1, keepdim=True) + 1) if self.side_mean else total

    def forward(self) -> tuple[Tensor, Tensor]:
        user, item = self.backbone()
        c = torch.cat([user, self.without_cold(item)])
        final = c + self.side(c, self.views(), self.present)
        return final[: self.n_users], final[self.n_users :]

    def calculate_loss(self, interaction) -> tuple[Tensor, ...]:
        users, positives, negatives = self.batch(interaction)
        both = torch.cat([positives, negatives])
        user, item = self.backbone.at(users, both)
        c = torch.cat([user, self.without_cold(item, both)])
        nodes = torch.cat([users, both + self.n_users])
        present = self.present[nodes]
        g = self.side(c, [view[nodes] for view in self.views()], present)
        batch = (c + g).chunk(3)
        contrast = self.contrast(c.chunk(3), g.chunk(3), present.any(1).chunk(3), self.tau)
        l2 = self.reg_weight * losses.l2(*batch)
        return self.bpr_loss(*batch), self.cl_weight * contrast, l2

    def contrast(self, c: Parts, g: Parts, known: Parts, tau: float) -> Tensor:
        """I(g, c) of the users plus that of the positives; each argument: users, positives, negatives."""
        of_users = losses.batch_contrast(g[0], c[0], tau, known[0])
        return of_users + losses.batch_contrast(g[1], c[1], tau, known[1])
