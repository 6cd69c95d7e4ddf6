"""EASEKNN: EASE on the interactions (Steck, WWW 2019) beside nearest neighbours by features."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from recbole_micro.errors import UserError
from recbole_micro.models import memory
from recbole_micro.models.memory import Sizes
from recbole_micro.models.score_parts import OwnItems, ScoreParts
from recbole_micro.models.without_epochs import WithoutEpochs
from recbole_micro.nn.ease import deviations, ease, precision, z_scores
from recbole_micro.nn.graph import Graph, take_rows
from recbole_micro.nn.ops import propagate

MATRICES = 4  # of all pairs of items, at the peak of solving and reading


class EASEKNN(WithoutEpochs):
    r"""A closed form: an item-item regression, and cosines of features, added on one scale per user.

    .. math::
        P = (R^T R + \lambda I)^{-1}, \quad B_{ij} = -P_{ij} / P_{jj}, \quad B_{ii} = 0, \quad
        s(u, i) = z_u\big( (R_u B)_i \big) + \sum_m w_m z_u\Big( \sum_{j \in N_u \cap N_k^m(i)}
        \cos(f_i^m, f_j^m) \Big)

    :math:`z_u` takes a user's mean from the scores and divides by their standard deviation, both over the
    items that have such a score: those with training interactions, or with the modality.  The others get 0,
    that mean.  R are the training interactions, :math:`N_u` the user's, :math:`N_k^m(i)` the k items nearest
    to i.  B has as many entries as there are pairs of items; `ease_items` bounds them.  EASE:
    https://arxiv.org/abs/1905.03375.  Options and their defaults: `properties/model/EASEKNN.yaml`.
    """

    ranks_cold_items = True
    other_parameter_name = ("item_weights",)

    @classmethod
    def memory(cls, config: Mapping[str, Any], sizes: Sizes) -> memory.Parts:
        """EASE's matrices of all pairs of items, beside the rest."""
        stay, passing = super().memory(config, sizes)
        _, solved = most_used(sizes.histories, config["ease_items"])
        number = precision(solved, config["reg_weight"]).itemsize
        stay["pairs of items"] = MATRICES * number * solved.shape[1] ** 2
        return stay, passing

    def __init__(self, config, dataset):
        super().__init__(config, dataset)
        self.reg_weight = config["reg_weight"]
        self.weights = self.modality_weights(config)
        self.have = {m: part.mask.nonzero()[:, 0] for m, part in self.modalities.items()}
        self.graphs = {
            m: take_rows(self.neighbours(config, m), self.have[m])
            for m, weight in self.weights.items()
            if weight
        }
        self.solved, self.solved_histories = most_used(self.histories, config["ease_items"])
        self.item_weights: Tensor | None = None  # B, once it is asked for

    def modality_weights(self, config) -> dict[str, float]:
        """w_m of every modality: its own, or an equal part of `knn_weight`; UserError for no number >= 0."""
        given = {m: w for m, w in config["modality_weights"].items() if m in self.modalities}
        for modality, weight in given.items():
            if not isinstance(weight, (int, float)) or not 0 <= weight < math.inf:
                raise UserError(
                    f"Option modality_weights gives {modality} the weight {weight!r}: give a number >= 0."
                )
        others = max(1, len(self.modalities) - len(given))
        return {m: given.get(m, config["knn_weight"] / others) for m in self.modalities}

    def start_epoch(self) -> None:
        self.solve()

    def solve(self) -> Tensor:
        """B, solved once: it is what training is here, and what a checkpoint keeps."""
        if self.item_weights is None:
            self.item_weights = ease(self.solved_histories, self.reg_weight)
        return self.item_weights

    def score_parts(self) -> ScoreParts:
        everywhere = {
            m: Graph.from_sorted(
                self.have[m][graph.row.long()], graph.col.long(), graph.val, (self.n_items, self.n_items)
            )
            for m, graph in self.graphs.items()
        }
        return OwnItems(self.histories, everywhere, self.scales_of, self.score_of)

    def scales_of(self, user: int) -> dict[str, float]:
        """By modality, what a cosine with one of the user's items adds to a score: w_m by the deviation."""
        history = self.items_of(torch.tensor([user], device=self.unused.device)).to_dense().T.contiguous()
        return {
            m: self.weights[m] / float(deviations(propagate(graph, history))[0])
            for m, graph in self.graphs.items()
        }

    def scores(self, users: Tensor) -> Tensor:
        history = self.items_of(users).to_dense().T.contiguous()  # items first: rows are quick to add to
        result = torch.zeros_like(history)
        result[self.solved] = z_scores(propagate(take_rows(self.solved_histories, users), self.solve()).T)
        for modality, graph in self.graphs.items():
            found = z_scores(propagate(graph, history))
            result.index_add_(0, self.have[modality], found, alpha=self.weights[modality])
        return result.T


def most_used(histories: Graph, limit: int) -> tuple[Tensor, Graph]:
    """The `limit` items with most training interactions (0: all with any), and who has them.

    Their ids, ascending [n], and the users' histories in their numbering [n_users, n], of all [n_users,
    n_items].
    """
    degree = (histories.t_crow[1:] - histories.t_crow[:-1]).long()
    order = torch.sort(degree, descending=True, stable=True).indices[: limit or None]
    solved = order[degree[order] > 0].sort().values
    return solved, take_rows(histories.transpose(), solved).transpose()
