"""Collaborative backbones x~ of MICRO (Section 3.4): MF, NGCF and LightGCN on the user-item graph."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recbole_micro.graphs import Graph, bipartite, normalize, propagate, sample_edges


class HoldsTensors(nn.Module):
    """A module whose plain attributes (graphs, tensors, dictionaries of them) follow `.to(device)`.

    They are neither buffers nor parameters: state dicts stay small and torch.distributed does not broadcast
    them.
    """

    def _apply(self, fn, recurse=True):
        super()._apply(fn, recurse)
        for name, value in vars(self).items():
            if not name.startswith("_"):  # nn.Module's own dictionaries
                vars(self)[name] = _moved(value, fn)
        return self


def _moved(value, fn):
    if isinstance(value, nn.Module):
        return value
    if torch.is_tensor(value):
        return fn(value)
    if isinstance(value, Graph):
        return value.apply(fn)
    if isinstance(value, dict):
        return {key: _moved(v, fn) for key, v in value.items()}
    if isinstance(value, tuple):
        items = [_moved(v, fn) for v in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return [_moved(v, fn) for v in value] if isinstance(value, list) else value


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
        return self.user_embedding.weight, self.item_embedding.weight


class GraphBackbone(Backbone):
    """A backbone that averages the input and `n_layers` steps on the normalised user-item graph.

    `adjacency`: see `graphs.normalize`.  `edge_dropout`: share of the edges left out in an epoch, drawn anew
    each epoch with p ~ 1 / sqrt(d_u d_i) for those that stay, renormalised (FREEDOM, Section 3.2);
    evaluation uses all.
    """

    def __init__(
        self, user, item, n_users, n_items, size, n_layers=2, adjacency="symmetric", edge_dropout=0.0
    ):
        super().__init__(user, item, n_users, n_items, size)
        self.n_layers, self.adjacency, self.edge_dropout = n_layers, adjacency, edge_dropout
        self.user, self.item = user.long(), item.long()
        self.graph = self._build(self.user, self.item)
        self.sampled = None

    def _build(self, user: Tensor, item: Tensor) -> Graph:
        n_users, n_items = self.user_embedding.num_embeddings, self.item_embedding.num_embeddings
        return normalize(bipartite(user, item, n_users, n_items), self.adjacency)

    def start_epoch(self) -> None:
        if self.edge_dropout:
            n_users, n_items = self.user_embedding.num_embeddings, self.item_embedding.num_embeddings
            self.sampled = self._build(
                *sample_edges(self.user, self.item, 1 - self.edge_dropout, n_users, n_items)
            )

    def forward(self) -> tuple[Tensor, Tensor]:
        graph = self.sampled if self.training and self.sampled is not None else self.graph
        x = torch.cat([self.user_embedding.weight, self.item_embedding.weight])
        total = x
        for layer in range(self.n_layers):
            x, output = self.layer(layer, graph, x)
            total = total + output
        total = total / (self.n_layers + 1)
        return torch.split(total, [self.user_embedding.num_embeddings, self.item_embedding.num_embeddings])

    def layer(self, index: int, graph: Graph, x: Tensor) -> tuple[Tensor, Tensor]:
        """Input of the next layer and this layer's share of the mean, [n_users + n_items, d] both."""
        raise NotImplementedError


class LightGCN(GraphBackbone):
    """x' = A x (He et al., SIGIR 2020)."""

    def layer(self, index, graph, x):
        x = propagate(graph, x)
        return x, x


class NGCF(GraphBackbone):
    """x' = dropout(leaky(W1 (A x) + b1) + leaky(W2 (x * A x) + b2)), its L2-normalised copy into the mean.

    As in MICRO's published code (method.md); Wang et al., SIGIR 2019, concatenate the layers instead.
    """

    def __init__(self, user, item, n_users, n_items, size, n_layers=2, dropout=0.1, **graph_options):
        super().__init__(user, item, n_users, n_items, size, n_layers=n_layers, **graph_options)
        self.sum_transform = nn.ModuleList(nn.Linear(size, size) for _ in range(n_layers))
        self.product_transform = nn.ModuleList(nn.Linear(size, size) for _ in range(n_layers))
        self.dropout = nn.Dropout(dropout)
        for linear in [*self.sum_transform, *self.product_transform]:
            nn.init.xavier_uniform_(linear.weight)

    def layer(self, index, graph, x):
        side = propagate(graph, x)
        x = F.leaky_relu(self.sum_transform[index](side)) + F.leaky_relu(
            self.product_transform[index](x * side)
        )
        x = self.dropout(x)
        return x, F.normalize(x, dim=-1)


BACKBONES = {"MF": Backbone, "NGCF": NGCF, "LightGCN": LightGCN}
