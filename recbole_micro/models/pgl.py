"""PGL: Principal Graph Learning for Multimedia Recommendation (Yu et al., AAAI 2025)."""

from collections.abc import Mapping
from typing import Any

import torch
from recbole.config import Config as RecBoleConfig
from recbole.data.dataset import Dataset
from recbole.data.interaction import Interaction
from torch import Tensor, nn
from torch.nn import functional as F

from recbole_micro.models.base import MultimodalRecommender
from recbole_micro.models.memory import Sizes, sampled_graph
from recbole_micro.models.score_parts import LinearParts, ScoreParts
from recbole_micro.nn import losses
from recbole_micro.nn.backbones import Convolution
from recbole_micro.nn.ops import propagate


class PGL(MultimodalRecommender):
    r"""LightGCN on features instead of item IDs, trained on a sub-graph and scored on the whole graph.

    .. math::
        x_i = [\text{norm}(W_1 f_i^1 + b_1); \dots; \text{norm}(W_M f_i^M + b_M)], \quad
        \tilde x = \text{mean}_l A^l [P; X], \quad \hat x_i = \tilde x_i + (B^L X)_i, \quad
        \mathcal L = \mathcal L_{BPR} + \tfrac{w}{2} [I(\tilde x_u', \tilde x_u'') + I(\hat x_i', \hat x_i'')]

    (https://doi.org/10.1609/aaai.v39i12.33429, local-aware sub-graph.)  P is a trained table of the users, B
    FREEDOM's frozen item graph.  In training A holds a share of the edges, drawn anew each epoch with p ~ 1 /
    sqrt(d_u d_i); x' and x'' are two dropped-out copies of the batch's users and positive items, I is InfoNCE
    over the batch, one direction.  Where an item lacks a modality, that part of :math:`x_i` is zero.  Options
    and their defaults: `properties/model/PGL.yaml`.
    """

    loss_names = ("BPR", "contrast")
    ranks_cold_items = True

    @classmethod
    def n_embeddings(cls, config: Mapping[str, Any], sizes: Sizes) -> int:
        return sizes.n_users * config["embedding_size"] * len(sizes.chosen(config))

    @classmethod
    def graph_sizes(cls, config: Mapping[str, Any], sizes: Sizes) -> dict[str, int]:
        return super().graph_sizes(config, sizes) | sampled_graph(config, sizes)

    @classmethod
    def n_step(cls, config: Mapping[str, Any], sizes: Sizes) -> int:
        pairs = 3 * min(config["train_batch_size"] ** 2, losses.ENTRIES) if config["cl_weight"] else 0
        return pairs + 8 * sizes.n_nodes * config["embedding_size"] * len(sizes.chosen(config))

    repeats_steps = True

    def __init__(self, config: RecBoleConfig, dataset: Dataset):
        super().__init__(config, dataset)
        size = config["embedding_size"]
        self.n_item_layers = config["n_item_layers"]
        self.dropout, self.cl_weight, self.tau = config["dropout"], config["cl_weight"], config["tau"]
        self.backbone = Convolution(
            self.train_user,
            self.train_item,
            self.n_users,
            self.n_items,
            n_layers=config["n_ui_layers"],
            edge_dropout=config["edge_dropout"],
        )
        self.item_graph = self.frozen_item_graph(config)
        self.transforms = self.feature_transforms(config)
        self.user_embedding = nn.Embedding(self.n_users, size * len(self.modalities))
        for part in self.user_embedding.weight.split(size, 1):  # one table per modality
            nn.init.xavier_uniform_(part)

    def start_epoch(self) -> None:
        self.backbone.start_epoch()

    def features(self) -> Tensor:
        """x of all items, [n_items, n_modalities * d]."""
        return torch.cat([F.normalize(transform(), dim=-1) for transform in self.transforms], 1)

    def forward(self) -> tuple[Tensor, Tensor]:
        x = spread = self.features()
        mean = self.backbone(torch.cat([self.user_embedding.weight, x]))
        for _ in range(self.n_item_layers):
            spread = propagate(self.item_graph, spread)
        user, item = mean.split([self.n_users, self.n_items])
        return user, item + spread

    @torch.no_grad()
    def score_parts(self) -> ScoreParts:
        x = self.features()
        mean = self.backbone(torch.cat([self.user_embedding.weight, x]))
        user, item = mean.split([self.n_users, self.n_items])
        views = self.frozen_views(x, self.item_graph, self.n_item_layers)
        return LinearParts(user, item, views, {m: view.weight for m, view in views.items()})

    def calculate_loss(self, interaction: Interaction) -> tuple[Tensor, Tensor]:
        users, positives, negatives = self.batch(interaction)
        all_users, all_items = self.forward()
        user, positive, negative = all_users[users], all_items[positives], all_items[negatives]
        contrast = user.new_zeros(())
        if self.cl_weight:
            contrast = self.cl_weight / 2 * (self.contrast(user) + self.contrast(positive))
        return self.bpr_loss(user, positive, negative), contrast

    def contrast(self, vectors: Tensor) -> Tensor:
        """InfoNCE between two dropped-out copies of the batch's vectors [batch, D]."""
        a, b = (F.dropout(vectors, self.dropout, self.training) for _ in range(2))
        return losses.contrast(a, b, self.tau).mean()
