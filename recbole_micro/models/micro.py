"""MICRO: Latent Structure Mining with Contrastive Modality Fusion (Zhang et al., TKDE 2022)."""

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import torch
from recbole.data.interaction import Interaction
from torch import Tensor, nn
from torch.nn import functional as F

from recbole_micro.models.base import ItemGraphRecommender
from recbole_micro.models.memory import Sizes
from recbole_micro.nn import losses


class MICRO(ItemGraphRecommender):
    r"""Item embeddings of a collaborative backbone plus what item-item graphs of each modality add.

    .. math::
        A^m = \lambda \tilde S^m + (1 - \lambda) \tilde A^m, \quad h^m = (A^m)^L X, \quad
        h_i = \sum_m \alpha_i^m h_i^m, \quad \hat x_i = \tilde x_i + h_i / \lVert h_i \rVert, \quad
        \mathcal L = \mathcal L_{BPR} + \beta \mathcal L_C + \text{L2}

    Options and their defaults: `properties/model/MICRO.yaml`.  Equation numbers are the paper's.
    """

    loss_names = ("BPR", "contrast", "L2")

    @classmethod
    def n_feature_weights(cls, config: Mapping[str, Any], sizes: Sizes) -> int:
        reads = config["item_view"] != "none" and config["knn_k"]
        return super().n_feature_weights(config, sizes) if reads else 0

    @classmethod
    def n_step(cls, config: Mapping[str, Any], sizes: Sizes) -> int:
        share = 1 - math.exp(-config["train_batch_size"] / sizes.n_items)  # of the items, in a batch
        anchors = sizes.n_items if config["contrast_scope"] == "all" else round(share * sizes.n_items)
        scores = min(anchors, losses.BLOCK) * anchors
        matrices = 2 + 2 * len(sizes.chosen(config))  # of pairs: within the fused view and every other one
        contrasts = config["beta"] and config["item_view"] != "none"
        return super().n_step(config, sizes) + (matrices * scores if contrasts else 0)

    def __init__(self, config, dataset):
        super().__init__(config, dataset)
        size = config["embedding_size"]
        self.tau, self.beta = config["tau"], config["beta"]
        self.contrast_form, self.contrast_scope = config["contrast_form"], config["contrast_scope"]
        self.item_input = config["item_input"]
        self.item_view = config["item_view"] if config["knn_k"] else "none"
        if self.item_view != "none":
            self.graphs = nn.ModuleDict({m: self.modality_graph(config, m) for m in self.modalities})
            self.attention = nn.Sequential(nn.Linear(size, size), nn.Tanh(), nn.Linear(size, 1, bias=False))
            nn.init.xavier_uniform_(self.attention[0].weight)
            nn.init.xavier_uniform_(self.attention[2].weight)

    def start_epoch(self) -> None:
        self.backbone.start_epoch()
        if self.item_view != "none":
            for graph in self.graphs.values():
                graph.start_epoch()

    @cached_property
    def ranks_cold_items(self) -> bool:
        """Whether anything of an item but its ID reaches its vector."""
        if self.item_view == "graph":
            return self.n_item_layers > 0 or self.item_input == "features"
        return self.item_view == "features"

    def modality_views(self) -> dict[str, Tensor]:
        """h^m of every modality, [n_items, d] each (Eq. 6; `item_view: features` takes e~^m itself)."""
        if self.item_view == "features":
            return {m: g.transformed() for m, g in self.graphs.items()}
        ids = self.backbone.item_embedding.weight
        return {
            m: g(ids if self.item_input == "id" else g.transformed(), self.n_item_layers)
            for m, g in self.graphs.items()
        }

    def fuse(self, views: dict[str, Tensor], present: Tensor) -> tuple[Tensor, Tensor]:
        """h [n, d] and the attention alpha [n, n_modalities] of items with these views [n, d] (Eq. 7-9).

        `present` [n, n_modalities] says which modalities they have: the softmax runs over those, and an item
        with none gets h = 0.
        """
        stacked = torch.stack(list(views.values()), 1)  # [n, n_modalities, d]
        weight = self.attention(stacked).squeeze(-1).float().masked_fill(~present, -1e9)
        alpha = weight.softmax(1) * present
        return (alpha[..., None] * stacked).sum(1), alpha

    def present(self) -> Tensor:
        """Which modalities each item has, [n_items, n_modalities]."""
        return torch.stack([graph.mask for graph in self.graphs.values()], 1)

    def forward(self) -> tuple[Tensor, Tensor]:
        user, item = self.backbone()
        item = self.without_cold(item)
        if self.item_view != "none":
            item = item + F.normalize(self.fuse(self.modality_views(), self.present())[0], dim=-1)  # Eq. 13
        return user, item

    def calculate_loss(self, interaction: Interaction) -> tuple[Tensor, Tensor, Tensor]:
        users, positives, negatives = ids = self.batch(interaction)
        # Only the items that this batch needs go through backbone, attention and contrast.
        rows, places = self.rows_of(positives, negatives)
        user, vectors = self.backbone.at(users, rows)
        vectors, contrast = self.without_cold(vectors, rows), user.new_zeros(())
        if self.item_view != "none":
            views = {m: view[rows] for m, view in self.modality_views().items()}
            present = self.present()[rows]
            fused, _ = self.fuse(views, present)
            vectors = vectors + F.normalize(fused, dim=-1)
            if self.beta:
                inside = (
                    places[: len(positives)].unique()
                    if self.contrast_scope == "batch"
                    else rows.nonzero()[:, 0]
                )
                contrasted = [view[inside] for view in views.values()]
                contrast = self.beta * self.contrast(contrasted, fused[inside], present[inside])
        batch = user, *vectors[places].chunk(2)
        return self.bpr_loss(*batch), contrast, self.l2_loss(ids, batch)

    def rows_of(self, positives: Tensor, negatives: Tensor) -> tuple[Tensor, Tensor]:
        """The items to compute [n], ascending, and the places of positives and negatives among them."""
        both = torch.cat([positives, negatives])
        if self.contrast_scope == "batch":
            return torch.unique(both, return_inverse=True)
        return torch.arange(self.n_items, device=both.device), both

    def contrast(self, views: list[Tensor], fused: Tensor, present: Tensor) -> Tensor:
        """L_C (Eq. 10-12): InfoNCE between every h^m and h of the given items, [n, d] each, cosine critic.

        An item takes part for the modalities that it has (`present` [n, n_modalities]).  `paper`: both
        directions, mean over an item's modalities, mean over items; `official`: anchors h^m only, mean over
        items, sum over modalities.
        """
        fused = F.normalize(fused.float(), dim=-1)
        complete = bool(present.all())
        fused_within = losses.within(fused, self.tau) if complete else None
        total, share = fused.new_zeros(()), 1 / present.sum(1).clamp(min=1)
        for column, view in enumerate(views):
            who = present[:, column]
            a, b, weight = F.normalize(view.float(), dim=-1), fused, share
            if not complete:
                if not bool(who.any()):
                    continue
                a, b, weight = a[who], b[who], share[who]
            forth, back = losses.info_nce(a, b, self.tau, fused_within)
            if self.contrast_form == "official":
                total = total - forth.mean()
            else:
                total = total - (weight * 0.5 * (forth + back)).sum() / present.any(1).sum()
        return total
