"""LGMRec: Local and Global Graph Learning for Multimodal Recommendation (Guo et al., AAAI 2024)."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import combinations
from typing import Any, cast

import torch
from recbole.config import Config as RecBoleConfig
from recbole.data.dataset import Dataset
from recbole.data.interaction import Interaction
from torch import Tensor, nn
from torch.nn import functional as F

from recbole_micro.models.base import MultimodalRecommender
from recbole_micro.models.memory import Sizes
from recbole_micro.nn import losses
from recbole_micro.nn.graph import Graph, bipartite, normalize
from recbole_micro.nn.ops import propagate


class LGMRec(MultimodalRecommender):
    r"""LightGCN plus features on the user-item graph (local) and on a few learned hyperedges (global).

    .. math::
        f^m_i = W_m f_i^m, \quad f^m_u = \overline{f^m_i}_{i \in N_u}, \quad
        l = \tilde x + \sum_m \text{norm}(A^L [f^m_u; f^m_i]), \\
        H^m_i = \text{gumbel}(V_m f^m_i), \quad H^m_u = \text{gumbel}(V_m \sum_{i \in N_u} f^m_i), \quad
        g^m_i \leftarrow H^m_i {H^m_i}^T g^m_i, \quad g^m_u = H^m_u {H^m_i}^T g^m_i, \quad
        z = l + \alpha \, \text{norm}(\sum_m g^m), \\
        \mathcal L = \mathcal L_{BPR} + cl \sum_{m < n} [\sum_u C(g^m_u, g^n_u) + \sum_i C(g^m_i, g^n_i)]
        + \text{reg} (\lVert z_u \rVert + \lVert z_i \rVert + \lVert z_j \rVert) / B

    (https://arxiv.org/abs/2312.16400.)  g starts as the items of :math:`\tilde x`, LightGCN's outputs; C is
    InfoNCE in one direction, summed over the batch's users and positive items, against all of them.  gumbel
    is a softmax with Gumbel noise in training, and memberships are dropped out there; scores are without both
    (`evaluation_noise` keeps the noise).  An item without a modality is in none of its hyperedges and takes
    no part in its contrast.  Options and their defaults: `properties/model/LGMRec.yaml`.
    """

    loss_names = ("BPR", "contrast", "norms")

    @classmethod
    def n_feature_weights(cls, config: Mapping[str, Any], sizes: Sizes) -> int:
        return sum(sizes.chosen(config).values()) * (config["embedding_size"] + config["n_hyperedges"])

    @classmethod
    def graph_sizes(cls, config: Mapping[str, Any], sizes: Sizes) -> dict[str, int]:
        both = Graph.n_bytes(sizes.n_interactions, sizes.n_users, sizes.n_items)
        return {"user-item graph": 2 * sizes.user_item_graph() + both}

    @classmethod
    def n_step(cls, config: Mapping[str, Any], sizes: Sizes) -> int:
        parts = len(sizes.chosen(config))
        among = sizes.n_users if config["contrast_scope"] == "all" else config["train_batch_size"]
        products = 3 * min(config["train_batch_size"] * among, losses.ENTRIES) if config["cl_weight"] else 0
        return products + (10 + 8 * parts) * sizes.n_nodes * config["embedding_size"]

    def __init__(self, config: RecBoleConfig, dataset: Dataset):
        super().__init__(config, dataset)
        self.size, self.n_hyperedges = config["embedding_size"], config["n_hyperedges"]
        self.n_modal_layers, self.n_hyper_layers = config["n_modal_layers"], config["n_hyper_layers"]
        self.hyper_dropout, self.gumbel_tau = config["hyper_dropout"], config["gumbel_tau"]
        self.alpha, self.evaluation_noise = config["alpha"], config["evaluation_noise"]
        self.cl_weight, self.tau = config["cl_weight"], config["tau"]
        self.contrast_scope, self.reg_weight = config["contrast_scope"], config["reg_weight"]
        self.backbone = self.backbone_of("LightGCN", self.size, n_layers=config["n_ui_layers"])
        pairs = self.train_user, self.train_item
        self.graph = normalize(bipartite(*pairs, self.n_users, self.n_items), "symmetric")
        sums = Graph.from_edges(*pairs, torch.ones(len(self.train_user)), (self.n_users, self.n_items))
        self.items_of = sums.with_values(torch.ones_like(sums.val))  # a repeated interaction is one
        widths = [modality.values.shape[1] for modality in self.modalities.values()]
        maps, hyperedges = (
            nn.ModuleList(nn.Linear(width, size, bias=False) for width in widths)
            for size in (self.size, self.n_hyperedges)
        )
        self.maps = cast(Sequence[nn.Linear], maps)  # W
        self.hyperedges = cast(Sequence[nn.Linear], hyperedges)  # V
        for linear in (*self.maps, *self.hyperedges):
            nn.init.xavier_uniform_(linear.weight)

    @cached_property
    def ranks_cold_items(self) -> bool:
        return self.alpha > 0 or not self.n_modal_layers

    def forward(self) -> tuple[Tensor, Tensor]:
        user, item, _ = self.vectors()
        return user, item

    def vectors(self) -> tuple[Tensor, Tensor, list[tuple[Tensor, Tensor]]]:
        """z of all users [n_users, d] and items [n_items, d], and g of both per modality."""
        user, item = self.backbone()
        item = self.without_cold(item)
        mapped, of_items, of_users = self.read()
        seen = [self.spread(item, *logits) for logits in zip(self.masks(), of_items, of_users, strict=True)]
        local = torch.cat([user, item]) + mapped
        total = torch.cat([sum_of([u for u, _ in seen]), sum_of([i for _, i in seen])])
        user, item = (local + self.alpha * F.normalize(total, dim=-1)).split([self.n_users, self.n_items])
        return user, item, seen

    def masks(self) -> list[Tensor]:
        """Which items have each modality, [n_items] each."""
        return [modality.mask for modality in self.modalities.values()]

    def read(self) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """sum_m norm(A^L [f_u; f_i]) [n, d], and what V says of items and of users, [., n_hyperedges] each.

        The features, and the users' items, are gone through once for W and V together.
        """
        parts = [self.size, self.n_hyperedges]
        of_items = torch.cat(
            [
                F.linear(modality.values, torch.cat([w.weight, v.weight]))
                for modality, w, v in zip(self.modalities.values(), self.maps, self.hyperedges, strict=True)
            ],
            1,
        ).to(self.items_of.val.dtype)
        of_users = propagate(self.items_of, of_items)
        mapped, said = [], []
        for both in (of_users, of_items):
            pieces = both.split(parts * len(self.maps), 1)
            mapped.append(torch.cat(pieces[::2], 1))
            said.append(list(pieces[1::2]))
        mapped[0] = mapped[0] / self.items_of.crow.diff().clamp(min=1)[:, None]
        x = torch.cat(mapped)
        for _ in range(self.n_modal_layers):
            x = propagate(self.graph, x)
        return sum_of([F.normalize(part, dim=-1) for part in x.split(self.size, 1)]), said[1], said[0]

    def spread(self, item: Tensor, mask: Tensor, of_items: Tensor, of_users: Tensor) -> tuple[Tensor, Tensor]:
        """g of one modality, users [n_users, d] and items [n_items, d], from the items' vectors `item`."""
        of_items = self.memberships(of_items) * mask[:, None]
        of_users = self.memberships(of_users)
        of_items, of_users = (F.dropout(x, self.hyper_dropout, self.training) for x in (of_items, of_users))
        for _ in range(self.n_hyper_layers):
            edges = of_items.T @ item  # [n_hyperedges, d]
            item = of_items @ edges
        return of_users @ edges, item

    def memberships(self, logits: Tensor) -> Tensor:
        """How much each row belongs to each hyperedge, [n, n_hyperedges]; rows sum to 1."""
        if self.training or self.evaluation_noise:
            return F.gumbel_softmax(logits, self.gumbel_tau, dim=1)
        return (logits / self.gumbel_tau).softmax(1)

    def calculate_loss(self, interaction: Interaction) -> tuple[Tensor, Tensor, Tensor]:
        users, positives, negatives = self.batch(interaction)
        user, item, seen = self.vectors()
        batch = user[users], item[positives], item[negatives]
        contrast = batch[0].new_zeros(())
        if self.cl_weight and len(seen) > 1:
            contrast = self.cl_weight * self.contrast(seen, users, positives)
        norms = torch.stack([part.norm() for part in batch]).sum() / len(users)
        return self.bpr_loss(*batch), contrast, self.reg_weight * norms

    def contrast(self, seen: list[tuple[Tensor, Tensor]], users: Tensor, items: Tensor) -> Tensor:
        """The sum of C over pairs of modalities and the batch's users and items, [batch] each."""
        everyone = torch.ones(self.n_users, dtype=torch.bool, device=users.device)
        everyone[0] = False  # RecBole's padding
        terms = []
        for (a, in_a), (b, in_b) in combinations(zip(seen, self.masks(), strict=True), 2):
            terms.append(self.one_contrast(a[0], b[0], users, everyone))
            terms.append(self.one_contrast(a[1], b[1], items[in_a[items] & in_b[items]], in_b))
        return sum_of(terms)

    def one_contrast(self, a: Tensor, b: Tensor, ids: Tensor, there: Tensor) -> Tensor:
        """The sum of C(a_i, b_i) over `ids` among all rows that are `there` [n], or (`batch`) among `ids`."""
        distinct, counts = ids.unique(return_counts=True)  # a repeated anchor says the same again
        among = b[distinct] if self.contrast_scope == "batch" else b[there]
        return (counts * losses.contrast(a[distinct], b[distinct], self.tau, among)).sum()


def sum_of(parts: list[Tensor]) -> Tensor:
    """The sum of one or more tensors of the same shape."""
    return torch.stack(parts).sum(0)
