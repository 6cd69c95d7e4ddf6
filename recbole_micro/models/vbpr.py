"""VBPR: Visual Bayesian Personalized Ranking from Implicit Feedback (He and McAuley, AAAI 2016)."""

from collections.abc import Mapping
from typing import Any

import torch
from recbole.data.interaction import Interaction
from torch import Tensor, nn
from torch.nn import functional as F

from recbole_micro.models.base import MultimodalRecommender
from recbole_micro.models.memory import Sizes
from recbole_micro.models.score_parts import LinearParts, ScoreParts, View
from recbole_micro.nn import losses


class VBPR(MultimodalRecommender):
    r"""Matrix factorisation beside a second factor that reads the items' features.

    .. math::
        s(u, i) = b_i + g_u \cdot g_i + t_u \cdot (E f_i) + \beta' \cdot f_i, \quad
        \mathcal L = \mathcal L_{BPR} + \text{L2}

    :math:`f_i` is the concatenation of the modalities, zeros where an item has none.  The user bias and
    the global offset of the paper cancel in BPR.  L2 is that of the batch's vectors, and half of the
    squares of E and beta'. Options and their defaults: `properties/model/VBPR.yaml`.
    """

    loss_names = ("BPR", "L2")
    tells_zeros = False
    ranks_cold_items = True

    @classmethod
    def n_embeddings(cls, config: Mapping[str, Any], sizes: Sizes) -> int:
        factors = (2 * sizes.n_users + sizes.n_items) * config["embedding_size"]
        return factors + sizes.n_items * config["use_bias"]

    @classmethod
    def n_feature_weights(cls, config: Mapping[str, Any], sizes: Sizes) -> int:
        return sum(sizes.chosen(config).values()) * (config["embedding_size"] + config["use_bias"])

    @classmethod
    def graph_sizes(cls, config: Mapping[str, Any], sizes: Sizes) -> dict[str, int]:
        return {}

    @classmethod
    def n_step(cls, config: Mapping[str, Any], sizes: Sizes) -> int:
        return 4 * config["train_batch_size"] * sum(sizes.chosen(config).values())

    @classmethod
    def n_forward(cls, config: Mapping[str, Any], sizes: Sizes) -> int:
        copy_of_rows = sizes.n_items * max(sizes.chosen(config).values())
        return copy_of_rows + 4 * sizes.n_nodes * config["embedding_size"]

    repeats_steps = True

    def __init__(self, config, dataset):
        super().__init__(config, dataset)
        size = config["embedding_size"]
        self.use_bias, self.reg_weight = config["use_bias"], config["reg_weight"]
        self.widths = [modality.values.shape[1] for modality in self.modalities.values()]
        self.user_embedding = nn.Embedding(self.n_users, size)  # g_u
        self.item_embedding = nn.Embedding(self.n_items, size)  # g_i
        self.user_taste = nn.Embedding(self.n_users, size)  # t_u
        self.feature_map = nn.Linear(sum(self.widths), size, bias=False)  # E
        for module in (self.user_embedding, self.item_embedding, self.user_taste, self.feature_map):
            nn.init.xavier_uniform_(module.weight)
        if self.use_bias:
            self.item_bias = nn.Parameter(torch.zeros(self.n_items))  # b_i
            self.feature_bias = nn.Parameter(torch.zeros(1, sum(self.widths)))  # beta'

    def user_vectors(self, users: Tensor) -> Tensor:
        """[g_u ; t_u] of these users, or [g_u ; t_u ; 1 ; 1] with biases."""
        parts = [self.user_embedding(users), self.user_taste(users)]
        return torch.cat(parts + ([torch.ones_like(parts[0][:, :2])] if self.use_bias else []), 1)

    def item_vectors(self, items: Tensor) -> Tensor:
        """[g_i ; E f_i] of these items, or [g_i ; E f_i ; beta' . f_i ; b_i] with biases."""
        weight = torch.cat([self.feature_map.weight] + ([self.feature_bias] if self.use_bias else []))
        read = sum(
            F.linear(modality.values[items], part)
            for modality, part in zip(self.modalities.values(), weight.split(self.widths, 1), strict=True)
        )
        parts = [self.without_cold(self.item_embedding(items), items), read]
        return torch.cat(parts + ([self.item_bias[items, None]] if self.use_bias else []), 1)

    def forward(self) -> tuple[Tensor, Tensor]:
        everyone = torch.arange(self.n_users, device=self.feature_map.weight.device)
        everything = torch.arange(self.n_items, device=everyone.device)
        return self.user_vectors(everyone), self.item_vectors(everything)

    @torch.no_grad()
    def score_parts(self) -> ScoreParts:
        user, item = self.forward()
        size = self.item_embedding.embedding_dim
        views = {}
        weight = torch.cat([self.feature_map.weight] + ([self.feature_bias] if self.use_bias else []))
        everything = torch.ones(self.n_items, device=item.device, dtype=item.dtype)
        parts = weight.split(self.widths, 1)
        for (name, modality), part in zip(self.modalities.items(), parts, strict=True):
            source = torch.zeros_like(item)
            source[:, size : size + len(weight)] = F.linear(modality.values, part)
            views[name] = View(source, everything)
        return LinearParts(user, item - sum(view.source for view in views.values()), views, {})

    def calculate_loss(self, interaction: Interaction) -> tuple[Tensor, Tensor]:
        users, positives, negatives = self.batch(interaction)
        both = torch.cat([positives, negatives])
        positive, negative = self.item_vectors(both).chunk(2)
        bpr = self.bpr_loss(self.user_vectors(users), positive, negative)
        return bpr, self.reg_weight * self.regularisation(users, both)

    def regularisation(self, users: Tensor, items: Tensor) -> Tensor:
        """L2 of the users' g and t, of the items' g and b, and of E and beta'."""
        batch = [self.user_embedding(users), self.user_taste(users), self.item_embedding(items)]
        shared = [self.feature_map.weight]
        if self.use_bias:
            batch.append(self.item_bias[items])
            shared.append(self.feature_bias)
        return losses.l2(*batch) + 0.5 * sum(part.square().sum() for part in shared)
