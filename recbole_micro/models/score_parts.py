"""What a score is made of: a collaborative part, and what reaches the item through each modality."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor

from recbole_micro.nn.graph import Graph, take_rows
from recbole_micro.nn.walk import COLLABORATIVE, Walk, row_of


class View(NamedTuple):
    """What one modality adds to the items' vectors: weight_i (B A^(L - 1) X)_i, or weight_i X_i for L = 0.

    `source`: X [n_items, d].  `weight`: [n_items] or [n_items, d].  `graph`: B, the step by which it arrives
    at the item; `before`: A, the steps before that one (where they are others); `hops`: L.
    """

    source: Tensor
    weight: Tensor
    graph: Graph | None = None
    hops: int = 0
    before: Graph | None = None


class Reached(NamedTuple):
    """The items [n] from which something reaches an item, over how many hops at least, their shares [n]."""

    items: Tensor
    hops: Tensor
    shares: Tensor


class ScoreParts:
    """How a model's scores are put together; these have no parts.

    `modalities`: those that items reach each other through.  `attention` by modality, [n_items]: how much of
    an item's multimodal part is taken from it.
    """

    modalities: Sequence[str] = ()
    attention: Mapping[str, Tensor] = MappingProxyType({})

    def collaborative(self, user: int, item: int) -> float:
        """What is left of the score without the shares of all that `reached` finds."""
        raise NotImplementedError

    def reached(self, modality: str, user: int, item: int) -> Reached:
        """What every item that reaches this one through a modality adds to its score for the user."""
        raise NotImplementedError


class LinearParts(ScoreParts):
    """s(u, i) = x_u . (c_i + sum_m weight_i^m (B^m (A^m)^(L - 1) X^m)_i).

    `user` [n_users, D], `item` [n_items, D]: x and c.  `views` by modality, which read the first d columns of
    x; `attention` as in `ScoreParts`.  Everything is computed in float64.
    """

    def __init__(
        self,
        user: Tensor,
        item: Tensor,
        views: Mapping[str, View],
        attention: Mapping[str, Tensor],
    ):
        self.user, self.item, self.views, self.attention = user, item, views, attention
        self.modalities = list(views)

    def collaborative(self, user: int, item: int) -> float:
        return float(self.user[user].double() @ self.item[item].double())

    def reached(self, modality: str, user: int, item: int) -> Reached:
        view = self.views[modality]
        items, hops, values = row_of_power(view, item)
        reader = self.user[user, : view.source.shape[1]].double() * view.weight[item].double()
        return Reached(items, hops, values * (view.source[items].double() @ reader))


class OwnItems(ScoreParts):
    """s(u, i) = rest + sum_m scale_u^m sum_{j in N_u} S^m_ij: what a user's own items say of another one.

    `histories`: N, [n_users, n_items].  `graphs`: S^m [n_items, n_items] by modality.  `scales(user)`: by
    modality.  `score(user, item)`: s, of which `collaborative` is what S does not explain.
    """

    def __init__(
        self,
        histories: Graph,
        graphs: Mapping[str, Graph],
        scales: Callable[[int], Mapping[str, float]],
        score: Callable[[int, int], float],
    ):
        self.histories, self.graphs, self.scales, self.score = histories, graphs, scales, score
        self.modalities = list(graphs)

    def collaborative(self, user: int, item: int) -> float:
        explained = [float(self.reached(m, user, item).shares.sum()) for m in self.modalities]
        return self.score(user, item) - sum(explained)

    def reached(self, modality: str, user: int, item: int) -> Reached:
        own, graph = row_of(self.histories, user), self.graphs[modality]
        near = row_of(graph, item)
        items = graph.col[near].long()
        chosen = torch.isin(items, self.histories.col[own].long())
        items, values = items[chosen], graph.val[near][chosen].double()
        return Reached(items, torch.ones_like(items), self.scales(user)[modality] * values)


class WithWalk(ScoreParts):
    """The parts of a score of vectors, and what a `Walk` adds: an own item adds through every graph."""

    def __init__(self, parts: ScoreParts, walk: Walk):
        self.parts, self.walk = parts, walk
        self.modalities, self.attention = parts.modalities, parts.attention

    def collaborative(self, user: int, item: int) -> float:
        _, shares = self.walk.shares(user, item)[COLLABORATIVE]
        return self.parts.collaborative(user, item) + float(shares.sum())

    def reached(self, modality: str, user: int, item: int) -> Reached:
        found = self.parts.reached(modality, user, item)
        own, shares = self.walk.shares(user, item)[modality]
        items, place = torch.unique(torch.cat([found.items, own]), return_inverse=True)
        both = torch.cat([found.shares.double(), shares])
        hops = torch.cat([found.hops, torch.ones_like(own)])
        least = hops.new_full((len(items),), 255).scatter_reduce(0, place, hops, "amin")
        return Reached(items, least, both.new_zeros(len(items)).index_add(0, place, both))


def row_of_power(view: View, item: int) -> tuple[Tensor, Tensor, Tensor]:
    """Row `item` of B A^(L - 1): columns [n], how many steps away they are, values [n] (float64)."""
    columns = torch.tensor([item], device=view.source.device)
    values = torch.ones(1, dtype=torch.float64, device=columns.device)
    away = torch.full((len(view.source),), -1, dtype=torch.long, device=columns.device)
    away[item] = 0
    graph = view.graph
    for hop in range(1, view.hops + 1):
        if graph is None:
            raise ValueError("a view with hops needs a graph")
        rows = take_rows(graph, columns)
        weight = rows.val.double() * values[rows.row.long()]
        columns, place = torch.unique(rows.col.long(), return_inverse=True)
        values = weight.new_zeros(len(columns)).index_add_(0, place, weight)
        away[columns[away[columns] < 0]] = hop
        graph = view.before or graph
    return columns, away[columns], values
