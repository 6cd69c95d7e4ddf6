"""FREEDOM: frozen item graph, denoised user-item graph (Zhou and Shen, ACM MM 2023)."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import torch
from recbole.data.interaction import Interaction
from torch import Tensor

from recbole_micro.data.features import Modality
from recbole_micro.models.base import MultimodalRecommender, of_all
from recbole_micro.models.memory import Sizes, sampled_graph
from recbole_micro.models.score_parts import LinearParts, ScoreParts
from recbole_micro.nn import losses
from recbole_micro.nn.ops import propagate
from recbole_micro.nn.transform import FeatureTransform


class FREEDOM(MultimodalRecommender):
    r"""LightGCN on fresh samples of the edges, plus ID embeddings spread over a frozen item graph.

    .. math::
        A = \sum_m w_m \tilde S^m, \quad \hat x_i = \tilde x_i + (A^L X)_i, \quad
        \mathcal L = \mathcal L_{BPR}(\tilde x_u, \hat x)
        + \text{reg} \sum_m \mathcal L_{BPR}(\tilde x_u, W_m f^m)

    :math:`\tilde S^m` are kNN graphs with all weights 1, normalised.  A triple takes part in a modality's
    loss where both items have it.  Options and their defaults: `properties/model/FREEDOM.yaml`.
    """

    loss_names = ("BPR", "features")

    @classmethod
    def graph_sizes(cls, config: Mapping[str, Any], sizes: Sizes) -> dict[str, int]:
        return super().graph_sizes(config, sizes) | sampled_graph(config, sizes)

    @classmethod
    def n_step(cls, config: Mapping[str, Any], sizes: Sizes) -> int:
        rows = 4 * config["train_batch_size"] * sum(sizes.chosen(config).values())
        layers = 3 * (config["n_item_layers"] + 1) * sizes.n_items
        return rows + (6 * sizes.n_nodes + layers) * config["embedding_size"]

    repeats_steps = True

    def __init__(self, config, dataset):
        super().__init__(config, dataset)
        size = config["embedding_size"]
        self.n_item_layers, self.reg_weight = config["n_item_layers"], config["reg_weight"]
        self.backbone = self.backbone_of(
            "LightGCN", size, n_layers=config["n_ui_layers"], edge_dropout=config["edge_dropout"]
        )
        self.item_graph = self.frozen_item_graph(config)
        self.transforms = self.feature_transforms(config)

    def start_epoch(self) -> None:
        self.backbone.start_epoch()

    @cached_property
    def ranks_cold_items(self) -> bool:
        return self.n_item_layers > 0

    def forward(self) -> tuple[Tensor, Tensor]:
        user, item = self.backbone()
        return user, self.without_cold(item) + self.spread_ids()

    def spread_ids(self) -> Tensor:
        """h = A^L X, [n_items, d]."""
        h = self.backbone.item_embedding.weight
        for _ in range(self.n_item_layers):
            h = propagate(self.item_graph, h)
        return h

    @torch.no_grad()
    def score_parts(self) -> ScoreParts:
        user, item = self.backbone()
        ids = self.backbone.item_embedding.weight
        views = self.frozen_views(ids, self.item_graph, self.n_item_layers)
        attention = {m: view.weight for m, view in views.items()}
        return LinearParts(user, self.without_cold(item), views, attention)

    @torch.no_grad()
    def spaces(self) -> dict[str, Modality]:
        found = super().spaces()
        for transform, (modality, part) in zip(self.transforms, self.modalities.items(), strict=True):
            found[f"{modality}:learned"] = Modality(transform(), part.mask)
        collaborative = of_all(self.without_cold(self.backbone()[1]))
        return found | {"collaborative": collaborative, "fused": of_all(self.spread_ids())}

    def calculate_loss(self, interaction: Interaction) -> tuple[Tensor, Tensor]:
        users, positives, negatives = self.batch(interaction)
        both = torch.cat([positives, negatives])
        user, item = self.backbone.at(users, both)
        positive, negative = (self.without_cold(item, both) + self.spread_ids()[both]).chunk(2)
        features = user.new_zeros(())
        if self.reg_weight:
            features = self.reg_weight * sum(self.feature_loss(t, user, both) for t in self.transforms)
        return self.bpr_loss(user, positive, negative), features

    def feature_loss(self, transform: FeatureTransform, user: Tensor, both: Tensor) -> Tensor:
        """BPR of the users' outputs with one modality's transformed features of positives and negatives."""
        positive, negative = transform(both).chunk(2)
        known = transform.mask[both].view(2, -1).all(0)
        return losses.bpr((user * positive).sum(-1), (user * negative).sum(-1), known)
