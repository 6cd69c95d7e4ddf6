"""MICRO: Latent Structure Mining with Contrastive Modality Fusion (Zhang et al., TKDE 2022)."""

import math
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, NamedTuple

import torch
from recbole.data.interaction import Interaction
from torch import Tensor, nn

from recbole_micro.data.cold_items import trained_items
from recbole_micro.data.features import Modality
from recbole_micro.models.base import ItemGraphRecommender, candidates_of, search_options
from recbole_micro.models.memory import FLOAT, Sizes
from recbole_micro.models.score_parts import LinearParts, ScoreParts, View, WithWalk
from recbole_micro.nn import losses
from recbole_micro.nn.dense_ops import attend, normalize
from recbole_micro.nn.graph import Graph, histories, take_rows
from recbole_micro.nn.item_graph import ModalityGraph, supported_share
from recbole_micro.nn.knn import other_items
from recbole_micro.nn.ops import propagate
from recbole_micro.nn.scoring import Scoring, known_pairs, places_in, rows_of
from recbole_micro.nn.walk import COLLABORATIVE, MOST_KEPT, Walk, co_interacted


class Step(NamedTuple):
    """What a batch of b interactions reads of the backbone.

    `user` [b, d]; `items` [n, d] with their ids `rows` [n], None for all in their order; the places of the
    `positives` [b] and of the `others` [s] among them; `total_of_own`: from the items' final vectors [n, d]
    the weighted sum of each user's own, [b, d].
    """

    user: Tensor
    items: Tensor
    rows: Tensor | None
    positives: Tensor
    others: Tensor
    total_of_own: Callable[[Tensor], Tensor]


class MICRO(ItemGraphRecommender):
    r"""Item embeddings of a collaborative backbone plus what item-item graphs of each modality add.

    .. math::
        A^m = \lambda \tilde S^m + (1 - \lambda) \tilde A^m, \quad h^m = (A^m)^L X, \quad
        h_i = \sum_m \alpha_i^m h_i^m, \quad \hat x_i = \tilde x_i + h_i / \lVert h_i \rVert, \quad
        \mathcal L = \mathcal L_{rank} + \beta \mathcal L_C + \text{L2}

    The ranking loss is BPR (the paper's) or a softmax over `softmax_items` items that a batch shares; scores
    are those of `Scoring`, of which the paper's is the dot product alone, and after training `Walk` is added
    to them.  Options and their defaults:
    `properties/model/MICRO.yaml`.  Equation numbers are the paper's.
    """

    @staticmethod
    def needs_negatives(options: Mapping[str, Any]) -> bool:
        """Whether RecBole samples negatives; softmax compares with items that a batch shares instead."""
        return options.get("ranking_loss") != "softmax"

    @classmethod
    def n_feature_weights(cls, config: Mapping[str, Any], sizes: Sizes) -> int:
        reads = config["item_view"] != "none" and config["knn_k"]
        return super().n_feature_weights(config, sizes) if reads else 0

    @classmethod
    def n_embeddings(cls, config: Mapping[str, Any], sizes: Sizes) -> int:
        return super().n_embeddings(config, sizes) + (sizes.n_items if config["item_bias"] else 0)

    @classmethod
    def graph_sizes(cls, config: Mapping[str, Any], sizes: Sizes) -> dict[str, int]:
        own = Graph.n_bytes(sizes.n_interactions, sizes.n_users, sizes.n_items)
        sizes_of = {**super().graph_sizes(config, sizes), "own items": own}
        if config["cf_model"] == "LightGCN" and config["adjacency"] != "mean_self_loop":
            sizes_of["user-item graph"] += 2 * own  # its halves beside it (`Backbone.for_users`)
        if config["walk_weight"]:
            # Rows of every modality's graph and of the collaborative one, and of the sums; what is kept of w.
            near = (len(sizes.chosen(config)) + 1) * min(config["walk_k"], sizes.n_items)
            kept = sizes.n_interactions * near
            sizes_of["walk"] = 2 * sizes.n_items * near * 2 * FLOAT + sizes.n_interactions * FLOAT
            sizes_of["walk"] += kept * 2 * FLOAT if kept <= MOST_KEPT else 0
        return sizes_of

    @classmethod
    def n_step(cls, config: Mapping[str, Any], sizes: Sizes) -> int:
        share = 1 - math.exp(-config["train_batch_size"] / sizes.n_items)  # of the items, in a batch
        anchors = sizes.n_items if config["contrast_scope"] == "all" else round(share * sizes.n_items)
        if config["contrast_scope"] == "batch" and config["ranking_loss"] == "softmax":
            anchors = min(config["softmax_items"], sizes.n_items)
        if config["contrast_scope"] == "batch":
            anchors = min(anchors, config["contrast_items"] or anchors)
        scores = min(anchors, losses.BLOCK) * anchors
        matrices = 2 + 2 * len(sizes.chosen(config))  # of pairs: within the fused view and every other one
        contrasts = config["beta"] and config["item_view"] != "none"
        pairs = matrices * scores if contrasts else 0
        if config["ranking_loss"] == "softmax":  # logits, with the positive's beside them, and their gradient
            pairs += 4 * config["train_batch_size"] * min(config["softmax_items"], sizes.n_items)
        return super().n_step(config, sizes) + pairs

    def __init__(self, config, dataset):
        super().__init__(config, dataset)
        size = config["embedding_size"]
        self.tau, self.beta = config["tau"], config["beta"]
        self.contrast_form, self.contrast_scope = config["contrast_form"], config["contrast_scope"]
        self.contrast_items = config["contrast_items"] or self.n_items
        self.softmax = config["ranking_loss"] == "softmax"
        self.loss_names = ("softmax" if self.softmax else "BPR", "contrast", "L2")
        self.softmax_items = config["softmax_items"]
        self.candidates = trained_items(config, dataset)
        own = histories(self.train_user, self.train_item, self.n_users, self.n_items)
        names = "score", "score_tau", "item_bias", "history_weight", "history_power", "cold_bias"
        given = {name: config[name] for name in names if config[name] is not None}
        self.scoring = Scoring(own, cold=self.cold, **given)
        self.item_input = config["item_input"]
        self.item_view = config["item_view"] if config["knn_k"] else "none"
        if self.item_view != "none":
            self.graphs = nn.ModuleDict({m: self.modality_graph(config, m) for m in self.modalities})
            self.attention = nn.Sequential(nn.Linear(size, size), nn.Tanh(), nn.Linear(size, 1, bias=False))
            nn.init.xavier_uniform_(self.attention[0].weight)
            nn.init.xavier_uniform_(self.attention[2].weight)
            self.prior = self.support(config["support_power"] or 0.0)
            self.complete = bool(self.present()[1:].all())  # the padding item is no anchor
        if config["walk_weight"]:
            self.walk = self.own_walk(config, own)

    def own_walk(self, config, own: Graph) -> Walk:
        """The step from the users' `own` items [n_users, n_items] that scores have beside the vectors."""
        k = self.walk_k = config["walk_k"]
        nearest = {COLLABORATIVE: co_interacted(own, k)}
        if self.item_view != "none":
            wide = candidates_of(config) > k  # a search that was made already finds these as well
            for name, share in zip(self.graphs, self.prior.softmax(0).tolist(), strict=True):
                options = {
                    **search_options(config),
                    "candidates": self.graphs[name].candidates if wide else None,
                }
                graph = other_items(self.modalities[name], k, **options)
                nearest[name] = graph.with_values(share * graph.val)
        return Walk(own, nearest, config["walk_weight"] * self.scoring.tau)

    def support(self, power: float) -> Tensor:
        """`power` times the log of the share of each modality's initial edges that training supports.

        [n_modalities].  Supported are edges of items that some user has both of; the share is that of one
        edge at least.
        """
        if not power:
            return torch.zeros(len(self.graphs))
        graphs = [graph.initial for graph in self.graphs.values()]
        shares = [max(supported_share(g, self.scoring.histories), 1 / max(len(g.col), 1)) for g in graphs]
        return power * torch.tensor(shares).log()

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
        with none gets h = 0.  Its logits begin at `prior`.
        """
        first, _, second = self.attention
        return attend([*views.values()], first.weight, first.bias, second.weight, self.prior, present)

    def present(self) -> Tensor:
        """Which modalities each item has, [n_items, n_modalities]."""
        return torch.stack([graph.mask for graph in self.graphs.values()], 1)

    def forward(self) -> tuple[Tensor, Tensor]:
        user, item = self.vectors()
        if self.scoring.history_weight:
            user = self.scoring.with_history(user, propagate(self.scoring.histories, item))
        return self.scoring.user_end(user), self.scoring.item_end(item)

    def vectors(self) -> tuple[Tensor, Tensor]:
        """x~ of the users [n_users, d] and x^ of the items [n_items, d] (Eq. 13)."""
        user, item = self.backbone()
        item = self.without_cold(item)
        if self.item_view != "none":
            item = item + normalize(self.fuse(self.modality_views(), self.present())[0])
        return user, item

    def shared_items(self) -> Tensor:
        """The items that a batch's positives are compared with under softmax, distinct, [s]."""
        if self.softmax_items >= len(self.candidates):
            return self.candidates
        order = torch.rand(len(self.candidates), device=self.candidates.device)
        return self.candidates[order.topk(self.softmax_items, sorted=False).indices]

    @torch.no_grad()
    def score_parts(self) -> ScoreParts:
        if self.item_view == "none":
            return ScoreParts()
        user, whole = self.embeddings()
        vectors, alone = self.vectors()[1], self.without_cold(self.backbone()[1])
        length = self.scoring.length(vectors)
        item = torch.cat([alone / length, whole[:, alone.shape[1] :]], 1)  # the bias is no modality's
        fused, alpha = self.fuse(self.modality_views(), self.present())
        weight = alpha / fused.norm(dim=1, keepdim=True).clamp(min=1e-12) / length
        hops = self.n_item_layers if self.item_view == "graph" else 0
        views, ids = {}, self.backbone.item_embedding.weight
        for column, (modality, graph) in enumerate(self.graphs.items()):
            source = ids if self.item_view == "graph" and self.item_input == "id" else graph.transformed()
            views[modality] = View(source, weight[:, column], graph.whole_graph() if hops else None, hops)
        parts = LinearParts(user, item, views, dict(zip(views, alpha.unbind(1), strict=True)))
        return parts if self.walk is None else WithWalk(parts, self.walk)

    @torch.no_grad()
    def spaces(self) -> dict[str, Modality]:
        found = super().spaces()
        if self.item_view != "none":
            present = self.present()
            found["fused"] = Modality(self.fuse(self.modality_views(), present)[0], present.any(1))
        return found

    def item_graphs(self) -> list[ModalityGraph]:
        return [] if self.item_view == "none" else list(self.graphs.values())

    def calculate_loss(self, interaction: Interaction) -> tuple[Tensor, Tensor, Tensor]:
        users, positives, *sampled = self.batch(interaction)
        others = self.shared_items() if self.softmax else sampled[0]
        step = (self.whole_step if self.reads_most(users) else self.needed_step)(users, positives, others)
        user, vectors, rows, contrast = step.user, step.items, step.rows, step.user.new_zeros(())
        vectors = self.without_cold(vectors, rows)
        if self.item_view != "none":
            views, present = self.modality_views(), self.present()
            if rows is not None:
                views, present = {m: view[rows] for m, view in views.items()}, present[rows]
            fused, _ = self.fuse(views, present)
            vectors = vectors + normalize(fused)
            if self.beta:
                inside = self.anchors(step)
                contrasted = [view[inside] for view in views.values()]
                contrast = self.beta * self.contrast(contrasted, fused[inside], present[inside])
        sizes = [len(step.positives), len(step.others)]
        compared = vectors.index_select(0, torch.cat([step.positives, step.others]))
        batch = user, *compared.split(sizes)
        if self.scoring.history_weight:
            asked = self.scoring.weight[positives, None] * batch[1]  # left out of the question
            user = self.scoring.with_history(user, step.total_of_own(vectors) - asked)
        known = known_pairs(self.scoring.histories, users, others) if self.softmax else None
        positive, other = self.scoring.item_end(compared, torch.cat([positives, others])).split(sizes)
        ranking = self.ranking_loss(self.scoring.user_end(user), positive, other, known)
        return ranking, contrast, self.l2_loss((users, positives, others), batch)

    def reads_most(self, users: Tensor) -> bool:
        """Whether a batch of these `users` [b] reads most items anyway, so that all are computed.

        On CUDA always: the sizes of a step's tensors are the same in every step then, and nothing waits.
        """
        own = len(self.scoring.histories.col) / self.n_users if self.scoring.history_weight else 0
        read = len(users) * (1 + own) + (self.softmax_items if self.softmax else len(users))
        return users.is_cuda or self.contrast_scope == "all" or read >= self.n_items

    def whole_step(self, users: Tensor, positives: Tensor, others: Tensor) -> "Step":
        """A step in which every item is at its own place."""
        user, item = self.backbone.for_users(users)
        histories = self.scoring.histories

        def total_of_own(vectors: Tensor) -> Tensor:
            if users.is_cuda:
                return propagate(histories, vectors).index_select(0, users)
            return propagate(take_rows(histories, users), vectors)

        return Step(user, item, None, positives, others, total_of_own)

    def needed_step(self, users: Tensor, positives: Tensor, others: Tensor) -> "Step":
        """A step with the items that it reads, and no others."""
        distinct, whose = torch.unique(users, return_inverse=True)
        own = self.scoring.own_items(distinct)
        needed = [positives, others, own.col.long()] if self.scoring.history_weight else [positives, others]
        rows, (of_positives, of_others, *_) = rows_of(needed)
        user, item = self.backbone.at(users, rows)
        return Step(
            user,
            item,
            rows,
            of_positives,
            of_others,
            lambda vectors: propagate(places_in(rows, own), vectors).index_select(0, whose),
        )

    @cached_property
    def repeats_steps(self) -> bool:
        if self.item_view == "none":
            return True
        distinct = self.softmax or self.contrast_scope == "all"  # anchors whose number is known
        contrast_repeats = not self.beta or self.complete and distinct
        return contrast_repeats and all(graph.stays for graph in self.graphs.values())

    def anchors(self, step: "Step") -> Tensor:
        """Places of the items that the contrast compares with one another, distinct, [n]."""
        if self.contrast_scope == "all":
            return torch.arange(1, self.n_items, device=step.positives.device)
        distinct = step.others if self.softmax else step.positives.unique()
        return distinct[: self.contrast_items]

    def ranking_loss(
        self, user: Tensor, positive: Tensor, other: Tensor, known: losses.Pairs | None
    ) -> Tensor:
        """BPR of a batch's vectors, [b, D] each, or softmax against items that it shares, `other` [s, D].

        `known` (`known_pairs`): which of these a user has; they take no part.
        """
        user = user / self.scoring.tau
        if not self.softmax:
            return self.bpr_loss(user, positive, other)
        with torch.autocast(user.device.type, enabled=False):  # a logit of 5.71 in bfloat16 is 5.72
            return losses.softmax(user, positive, other, known)

    def contrast(self, views: list[Tensor], fused: Tensor, present: Tensor) -> Tensor:
        """L_C (Eq. 10-12): InfoNCE between every h^m and h of the given items, [n, d] each, cosine critic.

        An item takes part for the modalities that it has (`present` [n, n_modalities]).  `paper`: both
        directions, mean over an item's modalities, mean over items; `official`: anchors h^m only, mean over
        items, sum over modalities.
        """
        fused = normalize(fused.float())
        complete = self.complete or bool(present.all())
        fused_within = losses.within(fused, self.tau) if complete else None
        total, share = fused.new_zeros(()), 1 / present.sum(1).clamp(min=1)
        for column, view in enumerate(views):
            who = present[:, column]
            a, b, weight = normalize(view.float()), fused, share
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
