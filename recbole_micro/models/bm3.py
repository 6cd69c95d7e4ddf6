"""BM3: Bootstrap Latent Representations for Multi-modal Recommendation (Zhou et al., WWW 2023)."""

from collections.abc import Mapping
from typing import Any

import torch
from recbole.data.interaction import Interaction
from torch import Tensor, nn
from torch.nn import functional as F

from recbole_micro.models.base import MultimodalRecommender
from recbole_micro.models.memory import Sizes
from recbole_micro.nn import losses


class BM3(MultimodalRecommender):
    r"""LightGCN trained without negatives: predicted vectors meet dropped-out copies of their partners.

    .. math::
        c(a, b) = 1 - \overline{\cos(a, b)}, \quad
        \mathcal L = c(P u, i') + c(P i, u')
        + cl \sum_m [ c(P \tilde f^m, i') + c(P \tilde f^m, \tilde f'^m) ]
        + \text{reg} \cdot L2(u, i), \quad s(u, i) = P u \cdot P i

    P is one linear predictor, :math:`\tilde f^m = W_m f^m`, x' a dropped-out copy of x without gradient.
    Items without a modality take no part in its terms.  Options and their defaults:
    `properties/model/BM3.yaml`.
    """

    loss_names = ("user-item", "modalities", "L2")
    needs_negatives = False

    @classmethod
    def n_step(cls, config: Mapping[str, Any], sizes: Sizes) -> int:
        rows = 2 * config["train_batch_size"] * sum(sizes.chosen(config).values())
        return rows + 8 * sizes.n_nodes * config["embedding_size"]

    repeats_steps = True

    def __init__(self, config, dataset):
        super().__init__(config, dataset)
        size = config["embedding_size"]
        self.dropout, self.cl_weight = config["dropout"], config["cl_weight"]
        self.reg_weight = config["reg_weight"]
        self.backbone = self.backbone_of("LightGCN", size, n_layers=config["n_ui_layers"])
        self.predictor = nn.Linear(size, size)
        nn.init.xavier_normal_(self.predictor.weight)
        self.transforms = self.feature_transforms(config)

    def online(self) -> tuple[Tensor, Tensor]:
        """u and i before the predictor, [n_users, d] and [n_items, d]."""
        user, item = self.backbone()
        return user, item + self.backbone.item_embedding.weight

    def forward(self) -> tuple[Tensor, Tensor]:
        user, item = self.online()
        return self.predictor(user), self.predictor(item)

    def target(self, x: Tensor) -> Tensor:
        """A dropped-out copy without gradient."""
        return F.dropout(x.detach(), self.dropout, self.training)

    def calculate_loss(self, interaction: Interaction) -> tuple[Tensor, Tensor, Tensor]:
        users, items = self.batch(interaction)[:2]
        user, item = self.backbone.at(users, items)
        item = item + self.backbone.item_embedding(items)
        user_target, item_target = self.target(user), self.target(item)
        joint = distance(self.predictor(user), item_target) + distance(self.predictor(item), user_target)
        modal = user.new_zeros(())
        for transform in self.transforms:
            features, known = transform(items), transform.mask[items]
            predicted = self.predictor(features)
            modal = modal + distance(predicted, item_target, known)
            modal = modal + distance(predicted, self.target(features), known)
        return joint, self.cl_weight * modal, self.reg_weight * losses.l2(user, item)


def distance(a: Tensor, b: Tensor, known: Tensor | None = None) -> Tensor:
    """1 - mean cosine of the rows of `a` and `b` [batch, d], or of the `known` ones."""
    return losses.mean(1 - torch.cosine_similarity(a, b, dim=-1), known)
