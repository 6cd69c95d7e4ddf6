"""GUME: Graphs and User Modalities Enhancement for Long-Tail Recommendation (Lin et al., CIKM 2024)."""

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recbole_micro.models.memory import Sizes
from recbole_micro.models.mgcn import MGCN
from recbole_micro.nn import losses
from recbole_micro.nn.graph import Graph, bipartite, normalize
from recbole_micro.nn.ops import propagate_sum


class GUME(MGCN):
    r"""MGCN with item-item edges in the user-item graph, and users with features of their own in the loss.

    .. math::
        \hat x = e + g, \quad e = \text{LightGCN}_{A'}(X), \quad
        v = \frac{1}{M} \sum_m \text{LightGCN}_{A'}([U^m; h^m]), \quad
        \mathcal L = \mathcal L_{BPR} + \text{L2} + cl \, [ I(g_u, e_u) + I(g_i, e_i) ]
        + um \, [ I(v_u, g_u) + N(g_u) + N(v_u) ]
        + vt \sum_{m < n} ( |\Delta \text{var}| + |\Delta \text{mean}| ) + \text{ext} \cdot \tfrac12 |v_i|^2

    A' has an edge from item i to j where j is among the neighbours of i in every modality that i has; h and g
    are MGCN's, U are tables of the users, :math:`N(z)` is the contrast of two copies
    :math:`z + 0.1 \, \text{sign}(z) \odot \epsilon / |\epsilon|` with uniform noise; the last but one term
    compares all entries of :math:`h^m` with those of :math:`h^n`.  Scores read e + g alone.
    https://arxiv.org/abs/2407.12338.  Options and their defaults: `properties/model/GUME.yaml`.
    """

    loss_names = ("BPR", "contrast", "L2", "users", "alignment", "extended")

    @classmethod
    def n_embeddings(cls, config: Mapping[str, Any], sizes: Sizes) -> int:
        tables = sizes.n_nodes + len(sizes.chosen(config)) * sizes.n_users
        return tables * config["embedding_size"]

    @classmethod
    def graph_sizes(cls, config: Mapping[str, Any], sizes: Sizes) -> dict[str, int]:
        graphs = super().graph_sizes(config, sizes)
        return graphs | {"shared neighbours": graphs["item graphs"] // len(sizes.chosen(config))}

    @classmethod
    def n_step(cls, config: Mapping[str, Any], sizes: Sizes) -> int:
        return super().n_step(config, sizes) + 8 * sizes.n_nodes * config["embedding_size"]

    def __init__(self, config, dataset):
        super().__init__(config, dataset)
        self.side_mean = True
        self.user_weight, self.user_tau = config["user_weight"], config["user_tau"]
        self.noise, self.align_weight = config["noise"], config["align_weight"]
        self.extended_reg = config["extended_reg"]
        size = config["embedding_size"]
        self.user_tables = nn.ModuleList(nn.Embedding(self.n_users, size) for _ in self.modalities)
        for table in self.user_tables:
            nn.init.xavier_uniform_(table.weight)
        self.backbone.graph = self.joint_graph()

    def joint_graph(self) -> Graph:
        """A': interactions both ways, and edges to the neighbours that an item has in all its modalities."""
        n = self.n_users + self.n_items
        known = bipartite(self.train_user, self.train_item, self.n_users, self.n_items)
        row = torch.cat([graph.row for graph in self.item_graphs]).long()
        col = torch.cat([graph.col for graph in self.item_graphs]).long()
        times = Graph.from_edges(row, col, torch.ones(len(row)), (self.n_items, self.n_items))
        number = self.present[self.n_users :].sum(1)
        shared = (times.val == number[times.row.long()]) & (times.row != times.col)
        ends = [end[shared].long() + self.n_users for end in (times.row, times.col)]
        row, col = (torch.cat([a.long(), b]) for a, b in zip((known.row, known.col), ends, strict=True))
        return normalize(Graph.from_edges(row, col, torch.ones(len(row)), (n, n)), "symmetric")

    def extended(self, views: list[Tensor]) -> Tensor:
        """v of users, then items, [n_users + n_items, d]; LightGCN of the mean is the mean of LightGCNs."""
        user = torch.stack([table.weight for table in self.user_tables]).mean(0)
        item = torch.stack([view[self.n_users :] for view in views]).mean(0)
        n_layers = self.backbone.n_layers
        return propagate_sum(self.backbone.graph, torch.cat([user, item]), n_layers) / (n_layers + 1)

    def calculate_loss(self, interaction) -> tuple[Tensor, ...]:
        users, positives, negatives = self.batch(interaction)
        both = torch.cat([positives, negatives])
        user, item = self.backbone.at(users, both)
        e = torch.cat([user, self.without_cold(item, both)])
        nodes = torch.cat([users, both + self.n_users])
        present, views = self.present[nodes], self.views()
        g = self.side(e, [view[nodes] for view in views], present)
        batch, known = (e + g).chunk(3), present.any(1).chunk(3)
        contrast = self.cl_weight * self.contrast(e.chunk(3), g.chunk(3), known, self.tau)
        v = self.extended(views)
        of_users = self.user_weight * self.user_loss(v[users], g.chunk(3)[0], known[0])
        extended = self.extended_reg * losses.l2(v[positives + self.n_users])
        l2 = self.reg_weight * losses.l2(*batch)
        alignment = self.align_weight * self.alignment(views)
        return self.bpr_loss(*batch), contrast, l2, of_users, alignment, extended

    def user_loss(self, v: Tensor, g: Tensor, known: Tensor) -> Tensor:
        """I(v, g) + N(g) + N(v) of the batch's users, [batch, d] each."""
        total = losses.batch_contrast(v, g, self.user_tau, known)
        total = total + losses.batch_contrast(self.noisy(g), self.noisy(g), self.user_tau, known)
        return total + losses.batch_contrast(self.noisy(v), self.noisy(v), self.user_tau)

    def noisy(self, z: Tensor) -> Tensor:
        """A copy of z [n, d], every row moved by `noise` away from zero in all its entries."""
        return z + self.noise * z.sign() * F.normalize(torch.rand_like(z), dim=-1)

    def alignment(self, views: list[Tensor]) -> Tensor:
        """How far the modalities' variances and means, over all entries, are apart, pair by pair."""
        total = views[0].new_zeros(())
        entries = [view[has] for view, has in zip(views, self.present.unbind(1), strict=True)]
        for a, b in combinations(entries, 2):
            total = total + (a.var() - b.var()).abs() + (a.mean() - b.mean()).abs()
        return total
