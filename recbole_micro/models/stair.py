"""STAIR: Manipulating Collaborative and Multimodal Information for E-Commerce (Xu et al., AAAI 2025)."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from recbole.config import Config as RecBoleConfig
from recbole.data.dataset import Dataset
from recbole.data.interaction import Interaction
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from recbole_micro.models.base import MultimodalRecommender
from recbole_micro.models.memory import DOUBLE, FLOAT, Sizes
from recbole_micro.nn.fixed_graphs import shares_of
from recbole_micro.nn.graph import bipartite, normalize
from recbole_micro.nn.ops import propagate
from recbole_micro.nn.transform import all_vectors, whitened

LEAST = 0.1  # b of the first dimension, but for the exponent


class STAIR(MultimodalRecommender):
    r"""LightGCN whose table of items starts as features and whose steps are shared with similar items.

    .. math::
        E_i^{(0)} = \sum_m w_m \, \text{white}(f_i^m), \quad
        E_u^{(0)} = \overline{E_i^{(0)}}_{i \in N_u}, \quad b_j = 0.1 + 0.9 (j / d)^\gamma, \\
        z_{\cdot j} = \sum_{l=0}^{L} ((1 - b_j) A)^l E_{\cdot j}, \quad \mathcal L = \mathcal L_{BPR}, \quad
        E_i \leftarrow (1 - \eta \lambda) E_i + \sum_{l=0}^{K} (b_j S)^l \Delta_{\cdot j}

    (https://arxiv.org/abs/2412.11729.)  :math:`\Delta` is AdamW's step of the items without its decay
    :math:`\eta \lambda`, S the neighbour graphs of the modalities, mixed by w; white are left singular
    vectors, so later dimensions keep more of the lesser ones.  An item starts from the modalities that it
    has, or from noise.  Steps are shared by the plugin's trainer, which calls `prepare_optimizer`.  Options
    and their defaults: `properties/model/STAIR.yaml`.
    """

    loss_names = ("BPR",)
    tells_zeros = False
    ranks_cold_items = True

    @classmethod
    def n_feature_weights(cls, config: Mapping[str, Any], sizes: Sizes) -> int:
        return 0

    @classmethod
    def neighbour_search(cls, config: Mapping[str, Any], sizes: Sizes) -> int:
        """That search, or the whitening of the features, whichever takes more."""
        widest = max(sizes.chosen(config).values())
        copies = FLOAT + (4 * DOUBLE if all_vectors(sizes.n_items, widest, config["embedding_size"]) else 0)
        return max(super().neighbour_search(config, sizes), copies * sizes.n_items * widest)

    def __init__(self, config: RecBoleConfig, dataset: Dataset):
        super().__init__(config, dataset)
        size = config["embedding_size"]
        self.n_item_layers = config["n_item_layers"]
        places = torch.arange(1, size + 1) / size
        self.kept = LEAST + (1 - LEAST) * places ** config["gamma"]  # b, [d]
        bare = bipartite(self.train_user, self.train_item, self.n_users, self.n_items)
        self.graph, self.n_ui_layers = normalize(bare, "symmetric"), config["n_ui_layers"]
        self.item_graph = self.frozen_item_graph(config)
        items = self.first_items(size, shares_of(self.modalities, config["modality_weights"]))
        self.item_table = nn.Parameter(items)
        self.user_table = nn.Parameter(self.first_users(items))

    def first_items(self, size: int, shares: dict[str, float]) -> Tensor:
        """E_i at the start, [n_items, d]: the mean of whitened features over the modalities an item has."""
        total, weight = torch.zeros(self.n_items, size), torch.zeros(self.n_items, 1)
        for name, modality in self.modalities.items():
            white = whitened(modality, size)
            total += shares[name] * white
            weight += shares[name] * white.ne(0).any(1, keepdim=True)
        noise = torch.randn(self.n_items, size) / math.sqrt(size)
        return torch.where(weight > 0, total / weight.clamp(min=1e-12), noise)

    def first_users(self, items: Tensor) -> Tensor:
        """E_u at the start, [n_users, d]: the mean of the user's items."""
        graph = normalize(bipartite(self.train_user, self.train_item, self.n_users, self.n_items), "mean")
        nodes = torch.cat([items.new_zeros(self.n_users, items.shape[1]), items])
        return propagate(graph, nodes)[: self.n_users]

    def forward(self) -> tuple[Tensor, Tensor]:
        x = total = torch.cat([self.user_table, self.item_table])
        for _ in range(self.n_ui_layers):
            total = x + (1 - self.kept) * propagate(self.graph, total)
        user, item = total.split([self.n_users, self.n_items])
        return user, item

    def calculate_loss(self, interaction: Interaction) -> tuple[Tensor]:
        users, positives, negatives = self.batch(interaction)
        user, item = self.forward()
        return (self.bpr_loss(user[users], item[positives], item[negatives]),)

    def shared(self, step: Tensor) -> Tensor:
        """sum_l (b S)^l of a step of the items, [n_items, d]."""
        total = step
        for _ in range(self.n_item_layers):
            total = step + self.kept * propagate(self.item_graph, total)
        return total

    def prepare_optimizer(self, optimizer: Optimizer) -> None:
        """Let every step of the optimiser share the items' part of it with similar items."""
        before: list[Tensor] = []

        @torch.no_grad()
        def remember(*_: Any) -> None:
            before[:] = [self.item_table.detach().clone()]

        @torch.no_grad()
        def share(*_: Any) -> None:
            old = before.pop()
            for group in optimizer.param_groups:
                if any(table is self.item_table for table in group["params"]):
                    if isinstance(optimizer, AdamW):
                        old *= 1 - group["lr"] * group["weight_decay"]
                    self.item_table.copy_(old + self.shared(self.item_table - old))

        if self.n_item_layers:
            optimizer.register_step_pre_hook(remember)
            optimizer.register_step_post_hook(share)
