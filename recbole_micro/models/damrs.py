"""DA-MRS: Denoising and Aligning Multi-modal Content and User Feedback (Xv et al., KDD 2024)."""

from collections.abc import Mapping
from typing import Any

import torch
from recbole.config import Config as RecBoleConfig
from recbole.data.dataset import Dataset
from recbole.data.interaction import Interaction
from torch import Tensor
from torch.nn import functional as F

from recbole_micro.models.base import MultimodalRecommender, search_options
from recbole_micro.models.memory import Sizes
from recbole_micro.models.score_parts import LinearParts, ScoreParts, View
from recbole_micro.nn import losses
from recbole_micro.nn.fixed_graphs import common_users, consistent_knn
from recbole_micro.nn.graph import Graph, block, normalize
from recbole_micro.nn.ops import propagate


class DAMRS(MultimodalRecommender):
    r"""LightGCN plus item graphs that all modalities, or several users, agree on; a BPR that doubts feedback.

    .. math::
        h_g = \tilde S_g X, \quad \hat x_i = \tilde x_i + \overline{h}_i, \quad
        s_g = \sigma(\tilde x_u \cdot \text{norm}(h_{g,i})), \quad
        w_{ui} = \text{mean}_g s_g \, e^{-2 \text{var}_g s_g}, \quad \Delta = \hat y_{ui} - \hat y_{uj}, \\
        \mathcal L = - \overline{w_{ui} \log \sigma(\Delta)
        + \text{swap} (1 - w_{ui}) w_{uj} \log \sigma(-\Delta)}
        + kl \, \overline{(p - q)(\text{logit} p - \text{logit} q)} + nd \, \overline{N_i}, \\
        p = \sigma(\tilde x_u \cdot \text{norm}(\hat x_i)), \quad
        q = \sigma(\tilde x_u \cdot \text{norm}(\overline{h}_i)), \quad
        N_i = - \sum_j a_{ij} \log \frac{e(\hat x_i, \hat x_j)}{\sum_k e(\hat x_i, \hat x_k)}

    (https://arxiv.org/abs/2406.12501.)  g are the modalities, whose graphs have pairs that all of them find
    similar, and the sessions (items that share users); means over g are over the graphs in which the item has
    edges.  p and q are taken over all users and positive items of the batch, k runs over all items,
    :math:`a_{ij}` is the share of i's edges to others, in all graphs, that lead to j; e = exp(cos / tau).
    The weights w take no gradient.  Options and their defaults: `properties/model/DAMRS.yaml`.
    """

    loss_names = ("BPR", "alignment", "neighbours")
    tells_zeros = False
    ranks_cold_items = True

    @classmethod
    def n_feature_weights(cls, config: Mapping[str, Any], sizes: Sizes) -> int:
        return 0

    @classmethod
    def graph_sizes(cls, config: Mapping[str, Any], sizes: Sizes) -> dict[str, int]:
        k = config["knn_k"] * len(sizes.chosen(config)) + config["session_k"] + 1
        graphs = sizes.item_graph(k)
        return super().graph_sizes(config, sizes) | {"item graphs": graphs, "shares of neighbours": graphs}

    @classmethod
    def n_step(cls, config: Mapping[str, Any], sizes: Sizes) -> int:
        graphs = len(sizes.chosen(config)) + 1
        pairs = min(config["train_batch_size"] * sizes.n_items, losses.ENTRIES)
        products = 3 * pairs if config["nd_weight"] else 0
        return products + (6 * sizes.n_nodes + 6 * graphs * sizes.n_items) * config["embedding_size"]

    def __init__(self, config: RecBoleConfig, dataset: Dataset):
        super().__init__(config, dataset)
        self.swap_weight, self.variance_weight = config["swap_weight"], config["variance_weight"]
        self.kl_weight, self.nd_weight, self.tau = config["kl_weight"], config["nd_weight"], config["tau"]
        self.backbone = self.backbone_of("LightGCN", config["embedding_size"], n_layers=config["n_ui_layers"])
        search = {name: part for name, part in search_options(config).items() if name != "backend"}
        graphs = [*consistent_knn(self.modalities, config["knn_k"], **search).values()]
        graphs.append(common_users(self.train_user, self.train_item, self.n_items, config["session_k"]))
        present = torch.stack([graph.crow.diff() > 0 for graph in graphs], 1)
        self.share = present / present.sum(1, keepdim=True).clamp(min=1)  # of each graph, [n_items, n_graphs]
        self.neighbours = others(graphs)
        self.graphs = [normalize(graph, "symmetric") for graph in graphs]

    def views(self) -> Tensor:
        """h_g of every graph, [n_items, n_graphs, d]."""
        ids = self.backbone.item_embedding.weight
        return torch.stack([propagate(graph, ids) for graph in self.graphs], 1)

    def mean_of(self, views: Tensor) -> Tensor:
        """The mean of all items' views over the graphs that they have edges in, [n_items, d]."""
        return (views * self.share[..., None].to(views.dtype)).sum(1)

    def forward(self) -> tuple[Tensor, Tensor]:
        user, item = self.backbone()
        return user, self.without_cold(item) + self.mean_of(self.views())

    @torch.no_grad()
    def score_parts(self) -> ScoreParts:
        user, item = self.backbone()
        ids, names = self.backbone.item_embedding.weight, [*self.modalities, "sessions"]
        share = dict(zip(names, self.share.to(ids.dtype).unbind(1), strict=True))
        views = {m: View(ids, share[m], graph, 1) for m, graph in zip(names, self.graphs, strict=True)}
        return LinearParts(user, self.without_cold(item), views, share)

    def calculate_loss(self, interaction: Interaction) -> tuple[Tensor, Tensor, Tensor]:
        users, positives, negatives = self.batch(interaction)
        all_users, item = self.backbone()
        views = self.views()
        mean = self.mean_of(views)
        items, user = self.without_cold(item) + mean, all_users[users]
        difference = (user * (items[positives] - items[negatives])).sum(-1)
        liked, other = (self.belief(user, views[ids], ids) for ids in (positives, negatives))
        wrong = self.swap_weight * (1 - liked) * other
        bpr = -(liked * F.logsigmoid(difference) + wrong * F.logsigmoid(-difference)).mean()
        alignment = discrimination = user.new_zeros(())
        if self.kl_weight:
            alignment = self.kl_weight * alignment_of(user, items[positives], mean[positives])
        if self.nd_weight:
            discrimination = self.nd_weight * self.discrimination(items, positives.unique())
        return bpr, alignment, discrimination

    @torch.no_grad()
    def belief(self, user: Tensor, views: Tensor, ids: Tensor) -> Tensor:
        """w of pairs of users [batch, d] and items with these views [batch, n_graphs, d], [batch]."""
        share = self.share[ids].to(user.dtype)
        says = (user[:, None] * F.normalize(views, dim=-1)).sum(-1).sigmoid()
        mean = (share * says).sum(1)
        variance = (share * (says - mean[:, None]).square()).sum(1)
        return mean * (-self.variance_weight * variance).exp()

    def discrimination(self, items: Tensor, ids: Tensor) -> Tensor:
        """Mean of N over those of these distinct items [n] that have neighbours; `items` [n_items, d]."""
        ids = ids[self.neighbours.crow[ids + 1] > self.neighbours.crow[ids]]
        if not len(ids):
            return items.new_zeros(())
        with torch.autocast(items.device.type, enabled=False):
            among = losses.unit(items)
            near, nodes = block(self.neighbours, ids)
            met = propagate(near, among[nodes])  # sum_j a_ij norm(x_j), [n, d]
            own = among[ids]
            return (losses.log_sum(own, among, self.tau) - (own * met).sum(-1) / self.tau).mean()


def others(graphs: list[Graph]) -> Graph:
    """a_ij: the share of i's edges to others, in all graphs together, that lead to j."""
    row, col = (torch.cat([getattr(graph, side).long() for graph in graphs]) for side in ("row", "col"))
    apart = row != col
    row, col = row[apart], col[apart]
    counts = Graph.from_edges(row, col, torch.ones(len(row), device=row.device), graphs[0].shape)
    return normalize(counts, "mean")


def alignment_of(user: Tensor, item: Tensor, view: Tensor) -> Tensor:
    """Mean symmetric Kullback-Leibler divergence between sigmoid(u . norm(x_i)) and sigmoid(u . norm(h_i)).

    Over all pairs of the batch's users and items, [batch, d] each: both directions of two Bernoulli
    distributions together are (p - q)(logit p - logit q).
    """
    with torch.autocast(user.device.type, enabled=False):
        by_item, by_view = user @ losses.unit(item).T, user @ losses.unit(view).T
        return ((by_item.sigmoid() - by_view.sigmoid()) * (by_item - by_view)).mean()
