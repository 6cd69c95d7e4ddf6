"""From vectors to scores: the users' own items, cosine or dot product, a temperature, a bias of the items."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from recbole_micro.nn.dense_ops import normalize
from recbole_micro.nn.device import HoldsTensors
from recbole_micro.nn.graph import Graph, edges_of, take_rows
from recbole_micro.nn.losses import Pairs


class Scoring(HoldsTensors):
    r"""How vectors of users and items are compared.

    .. math::
        \hat x_u = \tilde x_u
        + \eta \, \text{norm}\Big(\sum_{j \in N_u \setminus \{i\}} d_j^{-\gamma} \hat x_j\Big), \quad
        s_{ui} = \frac{\hat x_u^\top \hat x_i}{\lVert \hat x_u \rVert \lVert \hat x_i \rVert} + \tau b_i

    :math:`N_u` are the items of user u in training, d_j is the number of users of item j.  While the pair
    (u, i) is trained, i is left out of them, as EASE leaves the diagonal of its item weights out: what is
    asked for must not be in the question.
    `score: dot` divides by no norms; without `item_bias` there is no b.  The losses read s / tau.

    `histories`: N, [n_users, n_items] of ones; `history_weight`: eta; `history_power`: gamma.  Items that are
    `cold`, bool [n_items], and those that training never saw, have the quantile `cold_bias` of the biases of
    items with interactions: nothing trains theirs.
    """

    def __init__(
        self,
        histories: Graph,
        score: str = "dot",
        score_tau: float = 1.0,
        item_bias: bool = False,
        history_weight: float = 0.0,
        history_power: float = 0.0,
        cold_bias: float = 0.0,
        cold: Tensor | None = None,
    ):
        super().__init__()
        items = histories.col.long()
        counts = items.bincount(minlength=histories.shape[1])
        self.weight, self.trained = counts.clamp(min=1).float() ** -history_power, counts > 0
        self.cold_bias, self.cold = cold_bias, cold
        self.histories = histories.with_values(self.weight[items])
        self.score, self.tau, self.history_weight = score, score_tau, history_weight
        self.bias = nn.Parameter(torch.zeros(histories.shape[1])) if item_bias else None

    def own_items(self, users: Tensor) -> Graph:
        """The training items of these `users` [n] with what each counts, [n, n_items]."""
        return take_rows(self.histories, users)

    def with_history(self, user: Tensor, total: Tensor) -> Tensor:
        """Users' vectors [n, d] with what their own items add to them; `total` [n, d]: the sum of those."""
        return user + self.history_weight * normalize(total)

    def length(self, vectors: Tensor) -> Tensor:
        """What vectors [n, d] are divided by before they are compared, [n, 1]."""
        if self.score == "dot":
            return vectors.new_ones(len(vectors), 1)
        return vectors.norm(dim=-1, keepdim=True).clamp(min=1e-12)  # as F.normalize

    def scaled(self, vectors: Tensor) -> Tensor:
        """Vectors [n, d] divided by their `length`."""
        return vectors if self.score == "dot" else normalize(vectors)

    def user_end(self, user: Tensor) -> Tensor:
        """[n, D] of users' vectors [n, d]: scores are the dot products of `user_end` and `item_end`."""
        user = self.scaled(user)
        return user if self.bias is None else torch.cat([user, user.new_ones(len(user), 1)], 1)

    def item_end(self, item: Tensor, items: Tensor | None = None) -> Tensor:
        """[n, D] of items' vectors [n, d]; `items` [n]: which these are, in a training batch; else all."""
        item = self.scaled(item)
        if self.bias is None:
            return item
        if items is not None:
            return self.with_bias(item, self.bias[items])
        bias = (
            self.bias if self.cold is None else torch.where(self.cold, self.untrained(self.bias), self.bias)
        )
        return self.with_bias(item, bias)

    def new_item_end(self, item: Tensor) -> Tensor:
        """[n, D] of the vectors [n, d] of items that training never saw."""
        item = self.scaled(item)
        return (
            item if self.bias is None else self.with_bias(item, self.untrained(self.bias).expand(len(item)))
        )

    @torch.no_grad()
    def untrained(self, bias: Tensor) -> Tensor:
        """b of an item without interactions, a number, among the biases of all [n_items]."""
        return bias[self.trained].quantile(self.cold_bias)

    def with_bias(self, item: Tensor, bias: Tensor) -> Tensor:
        """[n, d + 1] of [n, d] and the biases [n]."""
        return torch.cat([item, (self.tau * bias)[:, None].to(item.dtype)], 1)


def places_in(rows: Tensor, graph: Graph) -> Graph:
    """A graph [n, n_items] whose columns are all among the ascending `rows` [n_rows], as [n, n_rows]."""
    place = torch.empty(graph.shape[1], dtype=torch.long, device=rows.device)
    place[rows] = torch.arange(len(rows), device=rows.device)
    return Graph(graph.crow, place[graph.col.long()], graph.val, len(rows))


def known_pairs(histories: Graph, users: Tensor, items: Tensor) -> Pairs:
    """Which of these distinct `items` [s] are among the own of which of these `users` [b].

    `histories` [n_users, n_items].  Places (row, column) in [b, s], [n_pairs] each; on CUDA, where sizes that
    depend on values would make the program wait, bool [b, s].
    """
    n_items = histories.shape[1]
    if items.is_cuda:
        keys = histories.row.long() * n_items + histories.col
        asked = users[:, None] * n_items + items
        place = torch.searchsorted(keys, asked).clamp_(max=len(keys) - 1)
        return keys[place] == asked
    place = torch.full((n_items,), -1, dtype=torch.long)
    place[items] = torch.arange(len(items))
    crow, edge = edges_of(histories, users)
    column = place[histories.col[edge].long()]
    row = torch.repeat_interleave(torch.arange(len(users)), crow.diff())
    inside = column >= 0
    return row[inside], column[inside]


def rows_of(parts: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """The distinct items [n] of all `parts`, ascending, and the places of every part's items among them."""
    rows, places = torch.unique(torch.cat(list(parts)), return_inverse=True)
    return rows, list(places.split([len(part) for part in parts]))
