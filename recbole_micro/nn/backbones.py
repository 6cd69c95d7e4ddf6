"""Collaborative backbones x~ of MICRO (Section 3.4): MF, NGCF and LightGCN on the user-item graph."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recbole_micro.nn.device import HoldsTensors
from recbole_micro.nn.graph import Graph, bipartite, block, normalize, of_items, of_users, sample_edges
from recbole_micro.nn.ops import mean_for_users, propagate, propagate_sum


class Backbone(HoldsTensors):
    """User and item embeddings [n_users, d], [n_items, d] from ID embeddings; without layers this is MF.

    `user`, `item`: the training interactions, [n_edges] each.
    """

    def __init__(self, user: Tensor, item: Tensor, n_users: int, n_items: int, size: int):
        super().__init__()
        self.user_embedding = nn.Embedding(n_users, size)
        self.item_embedding = nn.Embedding(n_items, size)
        nn.init.xavier_uniform_(self.user_embedding.weight)
        nn.init.xavier_uniform_(self.item_embedding.weight)

    def start_epoch(self) -> None:
        """Draw what changes from epoch to epoch."""

    def forward(self) -> tuple[Tensor, Tensor]:
        """x~ of all users [n_users, d] and items [n_items, d]."""
        return self.user_embedding.weight, self.item_embedding.weight

    def at(self, users: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
        """`forward` of these users and items alone, [len(users), d] and [len(items), d]."""
        return self.user_embedding(users), self.item_embedding(items)

    def for_users(self, users: Tensor) -> tuple[Tensor, Tensor]:
        """`forward` of these users [b] and of all items, [b, d] and [n_items, d]."""
        user, item = self.forward()
        return user.index_select(0, users), item


class SampledGraph:
    """The normalised user-item graph, and in training this epoch's share of its edges (mix-in of a module).

    `adjacency`: see `graph.normalize`.  `edge_dropout`: share of the edges left out in an epoch, drawn anew
    each epoch with p ~ 1 / sqrt(d_u d_i) for those that stay, renormalised (FREEDOM, Section 3.2);
    evaluation uses all.
    """

    training: bool  # of `nn.Module`

    def set_graph(
        self, user: Tensor, item: Tensor, n_users: int, n_items: int, adjacency: str, edge_dropout: float
    ) -> None:
        """Build the graph of the interactions `user`, `item` [n_edges]; the first epoch is not drawn yet."""
        self.adjacency, self.edge_dropout = adjacency, edge_dropout
        self.user, self.item, self.sizes = user.long(), item.long(), (n_users, n_items)
        self.graph = self._build(self.user, self.item)
        self.sampled: Graph | None = None  # this epoch's sample of the edges

    def _build(self, user: Tensor, item: Tensor) -> Graph:
        return normalize(bipartite(user, item, *self.sizes), self.adjacency)

    def start_epoch(self) -> None:
        """Draw this epoch's edges."""
        if self.edge_dropout:
            self.sampled = self._build(
                *sample_edges(self.user, self.item, 1 - self.edge_dropout, *self.sizes)
            )

    @property
    def current(self) -> Graph:
        """This epoch's graph while training, the whole one at evaluation."""
        return self.sampled if self.training and self.sampled is not None else self.graph


class Convolution(SampledGraph, HoldsTensors):
    """What LightGCN does to its ID tables, done to vectors that the model gives: the mean of x, A x, ...

    `user`, `item`: the training interactions, [n_edges] each; the rest as in `SampledGraph`.
    """

    def __init__(
        self,
        user: Tensor,
        item: Tensor,
        n_users: int,
        n_items: int,
        n_layers: int = 2,
        adjacency: str = "symmetric",
        edge_dropout: float = 0.0,
    ):
        super().__init__()
        self.n_layers = n_layers
        self.set_graph(user, item, n_users, n_items, adjacency, edge_dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(x + A x + ... + A^n x) / (n + 1), both [n_users + n_items, d], users first."""
        return propagate_sum(self.current, x, self.n_layers) / (self.n_layers + 1)


class GraphBackbone(SampledGraph, Backbone):
    """A backbone that averages the input and `n_layers` steps on the user-item graph (`SampledGraph`)."""

    def __init__(
        self,
        user: Tensor,
        item: Tensor,
        n_users: int,
        n_items: int,
        size: int,
        n_layers: int = 2,
        adjacency: str = "symmetric",
        edge_dropout: float = 0.0,
    ):
        super().__init__(user, item, n_users, n_items, size)
        self.n_layers = n_layers
        self.set_graph(user, item, n_users, n_items, adjacency, edge_dropout)
        self.all_nodes = False  # whether `at` computes all nodes in this epoch
        # A graph, its rows of users and its rows of items, where `for_users` has split it.
        self.halves: tuple[Graph, Graph, Graph] | None = None

    def start_epoch(self) -> None:
        self.all_nodes = False
        super().start_epoch()

    def forward(self) -> tuple[Tensor, Tensor]:
        mean = self.sum_of_all() / (self.n_layers + 1)
        user, item = mean.split([self.user_embedding.num_embeddings, self.item_embedding.num_embeddings])
        return user, item

    def sum_of_all(self) -> Tensor:
        """The sum of the input and of every layer's output, of all nodes, [n_users + n_items, d]."""
        x = self.input_of_all()
        return self.sum_of_layers(x, [self.current] * self.n_layers, len(x))

    def input_of_all(self) -> Tensor:
        """The embeddings of users, then items, [n_users + n_items, d]."""
        return torch.cat([self.user_embedding.weight, self.item_embedding.weight])

    def at(self, users: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
        """`forward` of these users and items alone, from the nodes that reach them.

        Where those are most of the graph, all nodes are computed, which is faster then, in the rest of the
        epoch too; and on CUDA, where it is always faster.
        """
        n_users, sizes = self.user_embedding.num_embeddings, [len(users), len(items)]
        nodes = torch.cat([users, items + n_users])
        if self.all_nodes or users.is_cuda:
            user, item = (self.sum_of_all().index_select(0, nodes) / (self.n_layers + 1)).split(sizes)
            return user, item
        rows, index = torch.unique(nodes, return_inverse=True)
        steps: list[Graph] = []
        nodes = rows
        for _ in range(self.n_layers):
            step, nodes = block(self.current, nodes)
            steps.insert(0, step)
            if 2 * len(nodes) > self.graph.shape[0]:
                self.all_nodes = True
                return self.at(users, items)
        of_user = nodes < n_users
        order = torch.argsort(of_user, descending=True, stable=True)  # users, then items
        x = torch.cat([self.user_embedding(nodes[of_user]), self.item_embedding(nodes[~of_user] - n_users)])
        x = x[torch.argsort(order)]
        mean = self.sum_of_layers(x, steps, len(rows)) / (self.n_layers + 1)
        user, item = mean[index].split(sizes)
        return user, item

    def sum_of_layers(self, x: Tensor, steps: list[Graph], n_rows: int) -> Tensor:
        """The sum of the input `x` [n_nodes, d] and of every step's output, of the first `n_rows` nodes."""
        total = x[:n_rows]
        for index, graph in enumerate(steps):
            x, output = self.layer(index, graph, x)
            total = total + output[:n_rows]
        return total

    def layer(self, index: int, graph: Graph, x: Tensor) -> tuple[Tensor, Tensor]:
        """Input of the next layer and this layer's share of the mean, both [n_rows of `graph`, d].

        The rows of `graph` are the first of its columns, whose vectors are `x`.
        """
        raise NotImplementedError


class LightGCN(GraphBackbone):
    """x' = A x (He et al., SIGIR 2020)."""

    def for_users(self, users: Tensor) -> tuple[Tensor, Tensor]:
        # On CUDA nothing waits for how many edges users have; an edge of a node to itself is in neither half.
        if users.is_cuda or not self.n_layers or self.adjacency == "mean_self_loop":
            return super().for_users(users)
        if self.halves is None or self.halves[0] is not self.current:
            n_users = self.user_embedding.num_embeddings
            self.halves = (
                self.current,
                of_users(self.current, n_users),
                of_items(self.current, n_users),
            )
        tables = self.user_embedding.weight, self.item_embedding.weight
        return mean_for_users(*self.halves[1:], users, *tables, self.n_layers)

    def sum_of_all(self) -> Tensor:
        return propagate_sum(self.current, self.input_of_all(), self.n_layers)

    def layer(self, index: int, graph: Graph, x: Tensor) -> tuple[Tensor, Tensor]:
        x = propagate(graph, x)
        return x, x


class NGCF(GraphBackbone):
    """x' = dropout(leaky(W1 (A x) + b1) + leaky(W2 (x * A x) + b2)), its L2-normalised copy into the mean.

    As in MICRO's published code; Wang et al., SIGIR 2019, concatenate the layers instead.
    """

    def __init__(
        self,
        user: Tensor,
        item: Tensor,
        n_users: int,
        n_items: int,
        size: int,
        n_layers: int = 2,
        dropout: float = 0.1,
        **graph_options: Any,
    ):
        super().__init__(user, item, n_users, n_items, size, n_layers=n_layers, **graph_options)
        self.sum_transform = nn.ModuleList(nn.Linear(size, size) for _ in range(n_layers))
        self.product_transform = nn.ModuleList(nn.Linear(size, size) for _ in range(n_layers))
        self.dropout = nn.Dropout(dropout)
        for linear in [*self.sum_transform, *self.product_transform]:
            nn.init.xavier_uniform_(linear.weight)

    def layer(self, index: int, graph: Graph, x: Tensor) -> tuple[Tensor, Tensor]:
        side = propagate(graph, x)
        x = F.leaky_relu(self.sum_transform[index](side)) + F.leaky_relu(
            self.product_transform[index](x[: len(side)] * side)
        )
        x = self.dropout(x)
        return x, F.normalize(x, dim=-1)


BACKBONES: dict[str, type[Backbone]] = {"MF": Backbone, "NGCF": NGCF, "LightGCN": LightGCN}
