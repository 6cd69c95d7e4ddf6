"""Sparse graphs: what they are made of, how they are built, normalised and mixed."""

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor

NORMALIZATIONS = ("symmetric", "mean", "mean_self_loop")


class Graph:
    """A weighted directed graph: row r receives `val[e]` times the vector of column `col[e]`.

    `crow` [n_rows + 1], `col` [n_edges] (int32, ascending in a row), `val` [n_edges] (float), beside the
    transpose's `t_crow`, `t_col` and `t_edge` (which edge each entry of the transpose is).  Plain tensors,
    so a graph can be copied deeply and is no part of a state dict.
    """

    def __init__(self, crow: Tensor, col: Tensor, val: Tensor, n_cols: int):
        self.crow, self.col, self.val = crow.int(), col.int(), val
        self.shape = (len(crow) - 1, n_cols)
        self.t_crow, self.t_col, self.t_edge = self._transposed()

    def _transposed(self) -> tuple[Tensor, Tensor, Tensor]:
        """`t_crow`, `t_col`, `t_edge`; on the CPU by counting, in a fraction of a sort's time."""
        if self.col.is_cuda:
            edge = torch.sort(self.col, stable=True).indices
            return _row_pointer(torch.bincount(self.col, minlength=self.shape[1])), self.row[edge], edge
        edges = np.arange(len(self.col))
        by_row = csr_matrix((edges, self.col.numpy(), self.crow.numpy()), shape=self.shape)
        turned = by_row.tocsc()
        pointer, row, edge = (torch.from_numpy(part) for part in (turned.indptr, turned.indices, turned.data))
        return pointer.int(), row.int(), edge

    @classmethod
    def from_edges(cls, row: Tensor, col: Tensor, val: Tensor, shape: tuple[int, int]) -> "Graph":
        """Build from edges in any order; the weights of repeated edges add up."""
        key, index = torch.unique(row.long() * shape[1] + col.long(), return_inverse=True)
        val = torch.zeros(len(key), dtype=val.dtype, device=val.device).index_add_(0, index, val)
        return cls.from_sorted(key // shape[1], key % shape[1], val, shape)

    @classmethod
    def from_sorted(cls, row: Tensor, col: Tensor, val: Tensor, shape: tuple[int, int]) -> "Graph":
        """Build from distinct edges that are sorted by row, then column."""
        return cls(_row_pointer(torch.bincount(row, minlength=shape[0])), col, val, shape[1])

    @cached_property
    def row(self) -> Tensor:
        """Row of every edge, [n_edges] int32."""
        n_rows = torch.arange(self.shape[0], dtype=torch.int32, device=self.crow.device)
        return torch.repeat_interleave(n_rows, self.crow.diff().long())

    @property
    def t_val(self) -> Tensor:
        """The weights in the order of the transpose, [n_edges], without gradients; kept while they stay."""
        if self.val.requires_grad:
            return self.val.detach()[self.t_edge]
        kept = self.__dict__.get("kept_t_val")
        if kept is None or kept[0] is not self.val:
            kept = self.__dict__["kept_t_val"] = self.val, self.val[self.t_edge]
        return kept[1]

    def with_values(self, val: Tensor) -> "Graph":
        """The same edges with other weights; index tensors are shared."""
        other = object.__new__(Graph)
        other.__dict__.update(self.__dict__, val=val)
        return other

    def transpose(self) -> "Graph":
        """The same edges in the other direction, [n_cols, n_rows]."""
        return Graph(self.t_crow, self.t_col, self.val[self.t_edge], self.shape[0])

    def detach(self) -> "Graph":
        """The same graph without gradients."""
        return self.with_values(self.val.detach())

    def apply(self, fn: Callable[[Tensor], Tensor]) -> "Graph":
        """Apply `fn` to every tensor (the hook behind `nn.Module.to`)."""
        other = object.__new__(Graph)
        other.__dict__.update({k: fn(v) if torch.is_tensor(v) else v for k, v in self.__dict__.items()})
        other.__dict__.pop("kept_t_val", None)
        return other

    @staticmethod
    def n_bytes(n_edges: int, n_rows: int, n_cols: int) -> int:
        """What such a graph holds, `row` and the transpose included, its weights in single precision."""
        return n_edges * (5 * 4 + 8) + 4 * (n_rows + n_cols + 2)

    def to_dense(self) -> Tensor:
        """Dense matrix [n_rows, n_cols], for tests and small graphs."""
        dense = self.val.new_zeros(self.shape)
        dense[self.row.long(), self.col.long()] = self.val
        return dense

    def __repr__(self) -> str:
        return f"Graph({self.shape[0]} x {self.shape[1]}, {len(self.col)} edges)"


def _row_pointer(counts: Tensor) -> Tensor:
    return torch.cat([counts.new_zeros(1), counts.cumsum(0)]).int()


def bipartite(user: Tensor, item: Tensor, n_users: int, n_items: int) -> Graph:
    """User-item graph of [n_users + n_items] nodes with each edge in both directions, weight 1."""
    user, item = user.long(), item.long() + n_users
    n = n_users + n_items
    row, col = torch.cat([user, item]), torch.cat([item, user])
    graph = Graph.from_edges(row, col, torch.ones(len(row), device=user.device), (n, n))
    return graph.with_values(torch.ones_like(graph.val))  # a repeated interaction is one edge


def histories(user: Tensor, item: Tensor, n_users: int, n_items: int) -> Graph:
    """R: users by items, weight 1; a repeated interaction is one edge."""
    graph = Graph.from_edges(user, item, torch.ones(len(user), device=user.device), (n_users, n_items))
    return graph.with_values(torch.ones_like(graph.val))


def of_users(graph: Graph, n_users: int) -> Graph:
    """The rows of the users, with the items as columns, of a graph of users, then items."""
    end = int(graph.crow[n_users])
    n_items = graph.shape[1] - n_users
    return Graph(graph.crow[: n_users + 1], graph.col[:end] - n_users, graph.val[:end], n_items)


def of_items(graph: Graph, n_users: int) -> Graph:
    """The rows of the items, with the users as columns, of a graph of users, then items."""
    start = int(graph.crow[n_users])
    crow = graph.crow[n_users:] - start
    return Graph(crow, graph.col[start:], graph.val[start:], n_users)


def both_ways(graph: Graph, values: Tensor) -> Tensor:
    """Edge values of `bipartite` from those of the [n_users, n_items] graph: the same in both directions."""
    return torch.cat([values, values.index_select(0, graph.t_edge)])


def normalize(graph: Graph, how: str, degree: Tensor | None = None) -> Graph:
    """Normalise with the row sums D; a row without edges stays empty.

    `symmetric`: D^-1/2 A D^-1/2 (MICRO Eq. 3, LightGCN); `mean`: D^-1 A; `mean_self_loop`: (D + I)^-1 (A +
    I) (MICRO's published code).  `degree` [n_rows]: D of another graph, of which this one is a part.
    """
    if how == "mean_self_loop":
        graph, how = _add_self_loops(graph), "mean"
    if how not in NORMALIZATIONS:
        raise ValueError(f"normalisation must be one of {', '.join(NORMALIZATIONS)}, not {how!r}")
    val, row, col = graph.val, graph.row.long(), graph.col.long()
    if degree is None:
        degree = row_sums(graph)
    power = -0.5 if how == "symmetric" else -1.0
    inverse = torch.where(degree > 0, degree.clamp(min=1e-12), torch.inf).pow(power)
    val = val * inverse[row]
    return graph.with_values(val * inverse[col] if how == "symmetric" else val)


def row_sums(graph: Graph) -> Tensor:
    """D: the sum of the weights of every row, [n_rows]."""
    return graph.val.new_zeros(graph.shape[0]).index_add(0, graph.row.long(), graph.val)


def _add_self_loops(graph: Graph) -> Graph:
    loop = torch.arange(graph.shape[0], device=graph.col.device)
    row, col = torch.cat([graph.row.long(), loop]), torch.cat([graph.col.long(), loop])
    return Graph.from_edges(row, col, torch.cat([graph.val, graph.val.new_ones(len(loop))]), graph.shape)


class Block(NamedTuple):
    """What one step of message passing to a few rows reads: DGL's and PyG's bipartite block.

    `graph` [n_rows, n_nodes] has the rows' edges from `nodes` [n_nodes] (ids in the whole graph), of which
    the first n_rows are the rows themselves.
    """

    graph: Graph
    nodes: Tensor


def take_rows(graph: Graph, rows: Tensor) -> Graph:
    """These `rows` [n] of a graph with all its columns, [n, n_cols]."""
    crow, edge = edges_of(graph, rows)
    return Graph(crow, graph.col[edge], graph.val[edge], graph.shape[1])


def edges_of(graph: Graph, rows: Tensor) -> tuple[Tensor, Tensor]:
    """The row pointer [n + 1] of these rows alone, and which edges of the graph are theirs."""
    start = graph.crow[rows].long()
    count = graph.crow[rows + 1].long() - start
    crow = torch.cat([count.new_zeros(1), count.cumsum(0)])
    return crow, torch.arange(int(crow[-1]), device=rows.device) + torch.repeat_interleave(
        start - crow[:-1], count
    )


def block(graph: Graph, rows: Tensor) -> Block:
    """The edges of these distinct `rows` [n_rows] of a square graph; its values take no gradients here."""
    crow, edge = edges_of(graph, rows)
    col = graph.col[edge].long()
    others = torch.zeros(graph.shape[1], dtype=torch.bool, device=rows.device)
    others[col] = True
    others[rows] = False
    nodes = torch.cat([rows, others.nonzero()[:, 0]])
    position = torch.empty(graph.shape[1], dtype=torch.long, device=rows.device)  # in `nodes`
    position[nodes] = torch.arange(len(nodes), device=rows.device)
    return Block(Graph(crow, position[col], graph.val[edge], len(nodes)), nodes)


def mix(graphs: Iterable[Graph], weights: Iterable[float | Tensor]) -> Graph:
    """Weighted sum of graphs of the same shape as one graph; gradients reach edge values and weights."""
    graphs = list(graphs)
    row = torch.cat([g.row for g in graphs])
    col = torch.cat([g.col for g in graphs])
    val = torch.cat([g.val * w for g, w in zip(graphs, weights, strict=True)])
    return Graph.from_edges(row, col, val, graphs[0].shape)


def largest(graphs: Iterable[Graph]) -> Graph:
    """The union of the edges of graphs of the same shape, each with the greatest of its weights."""
    graphs = list(graphs)
    n_cols = graphs[0].shape[1]
    key = torch.cat([graph.row.long() * n_cols + graph.col for graph in graphs])
    key, index = torch.unique(key, return_inverse=True)
    val = torch.cat([graph.val for graph in graphs])
    val = val.new_full((len(key),), -torch.inf).scatter_reduce(0, index, val, "amax")
    return Graph.from_sorted(key // n_cols, key % n_cols, val, graphs[0].shape)


def sample_edges(
    user: Tensor, item: Tensor, keep: float, n_users: int, n_items: int
) -> tuple[Tensor, Tensor]:
    """A share `keep` of the edges without replacement, p ~ 1 / sqrt(d_u d_i) (FREEDOM, Section 3.2).

    The smallest keys Exp(1) / p are such a sample, for any number of edges (`torch.multinomial` stops at
    2^24).
    """
    d_user = torch.bincount(user, minlength=n_users).float()
    d_item = torch.bincount(item, minlength=n_items).float()
    weight = (d_user[user] * d_item[item]).rsqrt()
    key = torch.empty_like(weight).exponential_() / weight
    chosen = torch.topk(key, max(1, round(keep * len(user))), largest=False, sorted=False).indices
    return user[chosen], item[chosen]
