"""Item-item graphs: initial, learned, and both joined by the skip connection (MICRO Eq. 1-6, LATTICE)."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

import numpy as np
import scipy.sparse
import torch
from torch import Tensor, nn

from recbole_micro.data.array_cache import ArrayCache
from recbole_micro.data.features import Modality
from recbole_micro.nn.candidates import Candidates
from recbole_micro.nn.device import HoldsTensors
from recbole_micro.nn.graph import Graph, mix, normalize, row_sums
from recbole_micro.nn.knn import knn
from recbole_micro.nn.ops import edge_similarity, propagate
from recbole_micro.nn.transform import FeatureTransform

_EDGES_AT_ONCE = 1 << 16


class SkipConnection:
    """A = lambda S~ + (1 - lambda) A~ and its use as H_l = A H_{l-1} (mix-in of a module).

    `graph_learning` says how the learned A~ follows its parameters: `step` (neighbours and weights from the
    current ones in every step), `edges` (neighbours once an epoch, their weights in every step),
    `first_batch` (neighbours and weights once an epoch, with gradient in its first batch only) or `off`
    (lambda = 1).  Evaluation rebuilds A~.
    A class defines `initial_graph` and `learned_graph`.
    """

    training: bool  # of `nn.Module`

    def initial_graph(self) -> Graph:
        """S~, normalised."""
        raise NotImplementedError

    def learned_graph(self) -> Graph:
        """A~, normalised."""
        raise NotImplementedError

    def whole_graph(self) -> Graph:
        """A as one graph, at evaluation."""
        if self.lambda_coeff == 1:
            return self.initial_graph()
        shares = self.lambda_coeff, 1 - self.lambda_coeff
        return mix([self.initial_graph(), self.learned_graph()], shares)

    @property
    def stays(self) -> bool:
        """Whether A is the same in every step of an epoch after the first."""
        return self.lambda_coeff == 1 or self.graph_learning == "first_batch"

    def set_skip(self, lambda_coeff: float, graph_learning: str) -> None:
        """Set the options and forget any graph of an earlier epoch."""
        self.lambda_coeff = 1.0 if graph_learning == "off" else lambda_coeff
        self.graph_learning = graph_learning
        self.start_epoch()

    def start_epoch(self) -> None:
        """Forget what was built in the last epoch."""
        self.joined: Graph | None = None  # `first_batch`: A after the first batch

    def forward(self, x: Tensor, n_layers: int) -> Tensor:
        """H_l = A H_{l-1} from H_0 = `x` [n_items, d]; H_L, [n_items, d] (MICRO Eq. 5, 6)."""
        if not n_layers:
            return x
        joined = self.joined
        if self.training and joined is not None:
            return _repeat(lambda h: propagate(joined, h), x, n_layers)
        initial, share = self.initial_graph(), self.lambda_coeff
        if share == 1:
            return _repeat(lambda h: propagate(initial, h), x, n_layers)
        learned = self.learned_graph()
        if self.graph_learning == "first_batch" and self.training and torch.is_grad_enabled():
            self.joined = mix([initial.detach(), learned.detach()], [share, 1 - share])
        return _repeat(
            lambda h: share * propagate(initial, h) + (1 - share) * propagate(learned, h), x, n_layers
        )


class ModalityGraph(SkipConnection, FeatureTransform):
    """One modality's graph: A^m over the items, and the transformed features e~^m = W_m e^m + b_m.

    `knn_k`, `clamp_negative`, `cache` (for the graphs of the raw features) and `knn_options` (memory,
    backend) are arguments of `knn`.  `learned_candidates`: an item's neighbours in A~ are among so many of
    its nearest by raw features; 0: among all.
    """

    def __init__(
        self,
        modality: Modality,
        size: int,
        knn_k: int = 10,
        lambda_coeff: float = 0.4,
        graph_learning: str = "first_batch",
        clamp_negative: bool = True,
        freeze_features: bool = True,
        learned_candidates: int = 0,
        cache: ArrayCache | None = None,
        **knn_options: Any,
    ):
        super().__init__(modality, size, freeze_features)
        self.knn_options: dict[str, Any] = dict(k=knn_k, clamp_negative=clamp_negative, **knn_options)
        values, raw = modality.values, dict[str, Any](mask=modality.mask, cache=cache)
        self.candidates: Candidates | None = None
        if learned_candidates:
            wider = {"k": learned_candidates, "clamp_negative": False}
            found = knn(values, **{**self.knn_options, **wider}, **raw)
            self.candidates = Candidates(found.crow, found.col)
        nearest = knn(values, candidates=self.candidates, **self.knn_options, **raw)
        self.initial = normalize(nearest, "symmetric")
        self.last_search: tuple[Tensor, Graph] | None = None
        self.set_skip(lambda_coeff, graph_learning)

    def start_epoch(self) -> None:
        super().start_epoch()
        self.neighbours: Graph | None = None  # `edges`: this epoch's neighbours

    def initial_graph(self) -> Graph:
        """S~^m from the raw features (Eq. 1-3)."""
        return self.initial

    def learned(self) -> Graph:
        """The learned kNN graph before normalisation, its weights with gradient to W_m (Eq. 4)."""
        features = self.transformed()
        learning = self.training and torch.is_grad_enabled()
        neighbours = self.neighbours if learning else None
        if neighbours is None:
            neighbours = self.search(features.detach().float())
        if not learning:
            return neighbours
        if self.graph_learning == "edges":
            self.neighbours = neighbours
        clamp = self.knn_options["clamp_negative"]
        return neighbours.with_values(edge_similarity(neighbours, features, clamp))

    def search(self, features: Tensor) -> Graph:
        """kNN graph of `features` [n_items, d]; the last one again where they are the same.

        With `first_batch` they change once an epoch, and evaluation, negatives and training each need it.
        """
        if self.last_search is None or not torch.equal(features, self.last_search[0]):
            nearest = knn(features, mask=self.mask, candidates=self.candidates, **self.knn_options)
            self.last_search = features, nearest
        return self.last_search[1]

    def learned_graph(self) -> Graph:
        """A~^m (Eq. 4)."""
        return normalize(self.learned(), "symmetric")


class FusedGraph(SkipConnection, HoldsTensors):
    """One graph of all modalities, mixed by the trainable weights softmax(w) (LATTICE, Section 3.2).

    The initial part is a mix of normalised graphs; the learned graphs are mixed and then normalised.
    """

    def __init__(self, graphs: Iterable[ModalityGraph]):
        super().__init__()
        self.graphs = cast(Sequence[ModalityGraph], nn.ModuleList(graphs))
        self.weight = nn.Parameter(torch.zeros(len(self.graphs)))
        self.set_skip(self.graphs[0].lambda_coeff, self.graphs[0].graph_learning)

    def start_epoch(self) -> None:
        super().start_epoch()
        for graph in self.graphs:
            graph.start_epoch()

    def initial_graph(self) -> Graph:
        """sum_m softmax(w)_m S~^m."""
        return mix([graph.initial for graph in self.graphs], self.weight.softmax(0))

    def learned_graph(self) -> Graph:
        """sum_m softmax(w)_m A^m of the learned graphs, normalised."""
        return normalize(mix([graph.learned() for graph in self.graphs], self.weight.softmax(0)), "symmetric")

    def parts(self) -> list[Graph]:
        """What each modality adds to A, at evaluation: graphs whose sum is `whole_graph()`."""
        alpha, share = self.weight.softmax(0), self.lambda_coeff
        initial = times([graph.initial for graph in self.graphs], alpha * share)
        if share == 1:
            return initial
        learned = times([graph.learned() for graph in self.graphs], alpha)
        degree = row_sums(mix(learned, [1.0] * len(learned)))
        learned = [normalize(graph, "symmetric", degree) for graph in learned]
        return [mix(both, (1.0, 1 - share)) for both in zip(initial, learned, strict=True)]


def times(graphs: Iterable[Graph], factors: Tensor) -> list[Graph]:
    """Each graph with its weights times its factor of `factors` [n_graphs]."""
    return [graph.with_values(graph.val * factor) for graph, factor in zip(graphs, factors, strict=True)]


def supported_share(graph: Graph, histories: Graph) -> float:
    """Share of the edges between two different items that some user has both of; 0 without such edges.

    `graph` [n_items, n_items]; `histories` [n_users, n_items]: which user has what.
    """
    row, col = graph.row.cpu().numpy(), graph.col.cpu().numpy()
    row, col = row[row != col], col[row != col]
    users = (histories.t_crow, histories.t_col)
    pointer, index = (part.cpu().numpy() for part in users)
    shape = histories.shape[::-1]
    of_item = scipy.sparse.csr_matrix((np.ones(len(index), dtype=np.int32), index, pointer), shape=shape)
    both = 0
    for start in range(0, len(row), _EDGES_AT_ONCE):
        part = slice(start, start + _EDGES_AT_ONCE)
        both += int(np.count_nonzero(of_item[row[part]].multiply(of_item[col[part]]).sum(axis=1)))
    return both / len(row) if len(row) else 0.0


def _repeat(step: Callable[[Tensor], Tensor], x: Tensor, times: int) -> Tensor:
    for _ in range(times):
        x = step(x)
    return x
