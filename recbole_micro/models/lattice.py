"""LATTICE: Mining Latent Structures for Multimedia Recommendation (Zhang et al., ACM MM 2021)."""

from collections.abc import Sequence
from functools import cached_property

import torch
from recbole.data.interaction import Interaction
from torch import Tensor
from torch.nn import functional as F

from recbole_micro.data.features import Modality
from recbole_micro.models.base import ItemGraphRecommender, of_all
from recbole_micro.models.score_parts import LinearParts, ScoreParts, View
from recbole_micro.nn.item_graph import FusedGraph, ModalityGraph


class LATTICE(ItemGraphRecommender):
    r"""Item embeddings of a collaborative backbone plus what one fused item-item graph adds.

    .. math::
        A = \lambda \sum_m \alpha_m \tilde S^m + (1 - \lambda) \text{norm}(\sum_m \alpha_m A^m), \quad
        \alpha = \text{softmax}(w), \quad h = A^L X, \quad
        \hat x_i = \tilde x_i + h_i / \lVert h_i \rVert, \quad \mathcal L = \mathcal L_{BPR} + \text{L2}

    MICRO's graphs of each modality, joined before the convolution instead of after it; no contrast.
    Options and their defaults: `properties/model/LATTICE.yaml`.
    """

    loss_names = ("BPR", "L2")

    def __init__(self, config, dataset):
        super().__init__(config, dataset)
        self.item_graph = FusedGraph(self.modality_graph(config, m) for m in self.modalities)

    def start_epoch(self) -> None:
        self.backbone.start_epoch()
        self.item_graph.start_epoch()

    @cached_property
    def ranks_cold_items(self) -> bool:
        return self.n_item_layers > 0

    def spread_ids(self) -> Tensor:
        """h = A^L X, [n_items, d]."""
        return self.item_graph(self.backbone.item_embedding.weight, self.n_item_layers)

    def forward(self) -> tuple[Tensor, Tensor]:
        user, item = self.backbone()
        return user, self.without_cold(item) + F.normalize(self.spread_ids(), dim=-1)

    @torch.no_grad()
    def score_parts(self) -> ScoreParts:
        user, item = self.backbone()
        ids, hops, graph = self.backbone.item_embedding.weight, self.n_item_layers, self.item_graph
        shares = graph.weight.softmax(0)
        length = 1 / self.spread_ids().norm(dim=1).clamp(min=1e-12)
        views, whole = {}, graph.whole_graph() if hops > 1 else None
        for modality, part, share in zip(self.modalities, graph.parts(), shares, strict=True):
            views[modality] = View(ids, length if hops else share * length, part, hops, whole)
        attention = {m: share.expand(self.n_items) for m, share in zip(views, shares, strict=True)}
        return LinearParts(user, self.without_cold(item), views, attention)

    @torch.no_grad()
    def spaces(self) -> dict[str, Modality]:
        return super().spaces() | {"fused": of_all(self.spread_ids())}

    @cached_property
    def repeats_steps(self) -> bool:
        return self.item_graph.graph_learning == "first_batch"

    def item_graphs(self) -> Sequence[ModalityGraph]:
        return self.item_graph.graphs

    def calculate_loss(self, interaction: Interaction) -> tuple[Tensor, Tensor]:
        users, positives, negatives = ids = self.batch(interaction)
        both = torch.cat([positives, negatives])
        user, item = self.backbone.at(users, both)
        item = self.without_cold(item, both) + F.normalize(self.spread_ids()[both], dim=-1)
        batch = user, *item.chunk(2)
        return self.bpr_loss(*batch), self.l2_loss(ids, batch)
