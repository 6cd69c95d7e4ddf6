"""One step from the items that a user has to their neighbours, beside what the vectors say."""

import operator
from collections.abc import Mapping, Sequence
from functools import cached_property, reduce
from typing import NamedTuple

import numpy as np
import scipy.sparse
import torch
from torch import Tensor

from recbole_micro.nn.device import HoldsTensors
from recbole_micro.nn.graph import Graph, mix, normalize, take_rows
from recbole_micro.nn.knn import best_per_row
from recbole_micro.nn.ops import propagate

COLLABORATIVE = "collaborative"  # the name of the graph of items that have users in common
_FEW = 20.0  # added below the fraction of a cosine, so that few users in common count for little
MOST_KEPT = 1 << 25  # numbers of w that are kept for the next evaluation
_PAIRS_AT_ONCE = 1 << 23  # of items that some user has both of
_SCORES_AT_ONCE = 1 << 24


class Rows(NamedTuple):
    """A graph of the items by its rows alone, a third of what `Graph` takes: crow [n_items + 1], col, val."""

    crow: Tensor
    col: Tensor
    val: Tensor


class Walk(HoldsTensors):
    r"""The root of the probability that a step from one of a user's own items ends at an item.

    .. math::
        p_{ui} = \frac{1}{|N_u|} \sum_{j \in N_u} \frac{S_{ij}}{\sum_{i'} S_{i'j}}, \quad
        w_{ui} = \omega \big( \sqrt{p^{C}_{ui}} + \sqrt{p^{F}_{ui}} \big)

    :math:`N_u` are the user's training items and :math:`S_{ij}` the similarity of an item i to one of its k
    nearest j, itself not among them: by the users that both have (C), and by the features (F), a sum over the
    modalities.  An own item hands out 1, to few items where few are near it: on dense data, where vectors say
    all, little is left.  It is no part of training.

    `own`: N, [n_users, n_items] of ones.  `nearest`: S of `COLLABORATIVE` and of any modalities, by name,
    [n_items, n_items].  `weight`: omega.
    """

    def __init__(self, own: Graph, nearest: Mapping[str, Graph], weight: float):
        super().__init__()
        self.weight = weight
        self.n_asked = 0  # users whose scores w was added to, on the CPU
        self.own = normalize(own, "mean")
        features = [name for name in nearest if name != COLLABORATIVE]
        # The graphs that a root is taken of together: the collaborative one, and those of the features.
        self.parts = [names for names in ([COLLABORATIVE], features) if names]
        self.graphs: dict[str, Rows] = {}
        self.handed: dict[str, Tensor] = {}  # by name, what a modality's graph hands out, [n_items]
        for names in self.parts:
            sums = torch.stack([column_sums(nearest[name]) for name in names]).sum(0)
            for name in names:
                graph = nearest[name]
                value = graph.val / sums.clamp(min=1e-12)[graph.col.long()]
                self.graphs[name], self.handed[name] = Rows(graph.crow, graph.col, value), sums

    def add(self, scores: Tensor, users: Tensor) -> Tensor:
        """`scores` [n, n_items] of these `users` [n] with w added, in place where they allow it."""
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32)).contiguous()
        if scores.is_cuda:
            own = take_rows(self.own, users).to_dense().T.contiguous()
            for step in self.steps:
                scores += self.weight * propagate(step, own).sqrt_().T
            return scores
        added = self.of_users(users.numpy())
        begins = np.arange(len(scores)) * scores.shape[1]
        scores.view(-1).numpy()[np.repeat(begins, np.diff(added.indptr)) + added.indices] += added.data
        return scores

    def of_users(self, users: np.ndarray) -> scipy.sparse.csr_matrix:
        """w of these `users` [n], [n, n_items], on the CPU.

        Whoever asks for more rows than there are users asks again: all rows are kept from then on.
        """
        own, *steps = self.matrices
        self.n_asked += len(users)
        if self.n_asked > own.shape[0] and self.most_reached <= MOST_KEPT:
            return self.whole[users]
        return self.of_parts([own[users] @ step for step in steps])

    def of_parts(self, reached: Sequence[scipy.sparse.csr_matrix]) -> scipy.sparse.csr_matrix:
        """w of the probabilities p^C and p^F, which are overwritten."""
        for part in reached:
            np.sqrt(part.data, out=part.data)
        whole = reduce(operator.add, reached)
        whole.data *= self.weight
        return whole

    def of_pairs(self, users: Tensor, items: Tensor) -> Tensor:
        """w of pairs of a user and an item, [n]."""
        distinct, place = torch.unique(users, return_inverse=True)
        result = self.own.val.new_zeros(len(users))
        n_items = self.own.shape[1]
        height = max(1, _SCORES_AT_ONCE // n_items)
        for start in range(0, len(distinct), height):
            some = distinct[start : start + height]
            here = (place >= start) & (place < start + len(some))
            found = self.add(result.new_zeros(len(some), n_items), some)
            result[here] = found[place[here] - start, items[here]]
        return result

    def of_new(self, users: Tensor, nearest: Mapping[str, Graph]) -> Tensor:
        """w of these `users` [n] and of new items, each as if it alone had joined, [n, n_new].

        `nearest`: by modality the similarity of the new items to known ones, [n_new, n_items].
        """
        whole = mix(list(nearest.values()), [1.0] * len(nearest))
        sums = self.handed[next(iter(nearest))][whole.col.long()]
        step = whole.with_values(whole.val / (sums + whole.val))
        own = take_rows(self.own, users).to_dense().T.contiguous()
        return self.weight * propagate(step, own).sqrt_().T

    def shares(self, user: int, item: int) -> dict[str, tuple[Tensor, Tensor]]:
        """By name, from which of the user's own items [n] this pair's w comes, and their shares in it [n]."""
        own = self.own.col[row_of(self.own, user)].long()
        found: dict[str, tuple[Tensor, Tensor]] = {}
        for names in self.parts:
            reached = {}
            for name in names:
                graph = self.graphs[name]
                edges = row_of(graph, item)
                near = torch.arange(edges.start, edges.stop, device=own.device)
                near = near[torch.isin(graph.col[near].long(), own)]
                reached[name] = graph.col[near].long(), graph.val[near].double() / len(own)
            total = sum(float(values.sum()) for _, values in reached.values())
            scale = self.weight / total**0.5 if total else 0.0
            found |= {name: (items, scale * values) for name, (items, values) in reached.items()}
        return found

    @cached_property
    def matrices(self) -> list[scipy.sparse.csr_matrix]:
        """N by users, and every step by the items that it leaves, for the CPU."""
        shape = (self.own.shape[1],) * 2
        steps = [[as_scipy(*self.graphs[name], shape) for name in names] for names in self.parts]
        return [
            as_scipy(self.own.crow, self.own.col, self.own.val, self.own.shape),
            *(reduce(operator.add, graphs).T.tocsr() for graphs in steps),
        ]

    @cached_property
    def most_reached(self) -> int:
        """At least as many as the numbers of w of all users."""
        own, *steps = self.matrices
        counts = np.bincount(own.indices, minlength=own.shape[1])
        return sum(int(counts @ np.diff(step.indptr)) for step in steps)

    @cached_property
    def whole(self) -> scipy.sparse.csr_matrix:
        """w of all users, [n_users, n_items]."""
        own, *steps = self.matrices
        whole = self.of_parts([own @ step for step in steps])
        whole.sort_indices()  # places in their order are added faster
        return whole

    @cached_property
    def steps(self) -> list[Graph]:
        """Every step as one graph, for CUDA."""
        n_items = self.own.shape[1]
        steps = [[Graph(*self.graphs[name], n_items) for name in names] for names in self.parts]
        return [mix(graphs, [1.0] * len(graphs)) for graphs in steps]

    def _apply(self, fn, recurse=True):
        for made in ("matrices", "most_reached", "whole", "steps"):
            vars(self).pop(made, None)
        return super()._apply(fn, recurse)


def co_interacted(own: Graph, k: int) -> Graph:
    """The k items most similar to every item by the users that have both, itself not among them.

    n_ij / (sqrt(n_i n_j) + 20) with n_ij users in common, so that few of them count for little; the smaller
    index wins a tie.  [n_items, n_items] from `own` [n_users, n_items].
    """
    users_of = as_scipy(own.t_crow, own.t_col, own.val[own.t_edge], own.shape[::-1])
    items_of = as_scipy(own.crow, own.col, own.val, own.shape)
    lengths = np.sqrt(np.diff(users_of.indptr)).astype(np.float32)
    # a row of the product costs as much as its users have items
    pairs = np.cumsum(users_of @ np.diff(items_of.indptr).astype(np.float64))
    bounds = np.searchsorted(pairs, np.arange(0, pairs[-1], _PAIRS_AT_ONCE), side="left")
    bounds = np.unique(np.concatenate([[0], bounds, [own.shape[1]]]))
    parts: list[tuple[Tensor, Tensor, Tensor]] = []
    for start, end in zip(bounds[:-1], bounds[1:], strict=True):
        shared = (users_of[start:end] @ items_of).tocsr()
        shared.sort_indices()
        row = np.repeat(np.arange(start, end), np.diff(shared.indptr))
        col, count = shared.indices, shared.data
        row, col, count = (part[row != col] for part in (row, col, count))
        value = torch.from_numpy(count / (lengths[row] * lengths[col] + np.float32(_FEW)))
        rows, cols = torch.from_numpy(row), torch.from_numpy(col.astype(np.int64))
        keep = best_per_row(rows, value, k)
        parts.append((rows[keep], cols[keep], value[keep]))
    edges = [torch.cat(part) for part in zip(*parts, strict=True)]
    return Graph.from_sorted(edges[0], edges[1], edges[2], (own.shape[1],) * 2)


def row_of(graph: Graph | Rows, row: int) -> slice:
    """Where the edges of a row are."""
    return slice(int(graph.crow[row]), int(graph.crow[row + 1]))


def column_sums(graph: Graph) -> Tensor:
    """The sum of the weights of every column, [n_cols]."""
    return graph.val.new_zeros(graph.shape[1]).index_add(0, graph.col.long(), graph.val)


def as_scipy(crow: Tensor, col: Tensor, val: Tensor, shape: tuple[int, ...]) -> scipy.sparse.csr_matrix:
    """A sparse matrix of SciPy's that shares these tensors of the CPU."""
    return scipy.sparse.csr_matrix((val.numpy(), col.numpy(), crow.numpy()), shape=shape)
