"""Item graphs that are made once: FREEDOM's frozen one, and those that several sources agree on (DA-MRS)."""

import math
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import torch
from scipy.sparse import csr_matrix
from torch import Tensor

from recbole_micro.data.array_cache import ArrayCache
from recbole_micro.data.features import Modality
from recbole_micro.errors import UserError
from recbole_micro.nn.graph import Graph, mix, normalize
from recbole_micro.nn.knn import best_per_row, kept, knn, norms, pair_cosines

_ROUNDING = 1e-9  # a cosine this much below the mean reaches it: rows of a modality may all be equal
SIDES = ("values", "mask")  # of a modality
_ITEMS = 4096  # rows of the items' common users that are counted at a time


def frozen_graph(
    modalities: Mapping[str, Modality], knn_k: int, modality_weights: Mapping[str, Any], **knn_options: Any
) -> Graph:
    """sum_m w_m S~^m: kNN graphs with all weights 1, each normalised, then mixed (FREEDOM, Section 3.1).

    `modality_weights` as in `shares_of`; `knn_options` (memory, backend, cache) are arguments of `knn`.
    """
    shares = shares_of(modalities, modality_weights)
    return mix(frozen_graphs(modalities, knn_k, **knn_options).values(), shares.values())


def frozen_graphs(modalities: Mapping[str, Modality], knn_k: int, **knn_options: Any) -> dict[str, Graph]:
    """S~^m of every modality (see `frozen_graph`)."""
    graphs = {}
    for name, modality in modalities.items():
        graph = knn(modality.values, knn_k, modality.mask, clamp_negative=False, **knn_options)
        graphs[name] = normalize(graph.with_values(torch.ones_like(graph.val)), "symmetric")
    return graphs


def shares_of(modalities: Iterable[str], modality_weights: Mapping[str, Any]) -> dict[str, float]:
    """The share w_m of each modality: its weight, or an equal one where it has none, over their sum.

    Raises UserError for weights that make no shares.
    """
    names = list(modalities)
    weights = {name: modality_weights.get(name, 1 / len(names)) for name in names}
    total = 0.0
    if all(isinstance(weight, (int, float)) and 0 <= weight < math.inf for weight in weights.values()):
        total = sum(weights.values())
    if not total:
        raise UserError(f"Option modality_weights gives {weights}: weights must be numbers >= 0, not all 0.")
    return {name: weight / total for name, weight in weights.items()}


class _Source:
    """One modality's rows, which of them exist, and the mean cosine of all pairs of those, `mean`."""

    def __init__(self, modality: Modality):
        self.values, self.norm = modality.values, norms(modality.values)
        self.valid = modality.mask & (self.norm > 0)
        self.scale = torch.where(self.valid, 1 / self.norm, 0.0)
        total = torch.zeros(self.values.shape[1], dtype=torch.float64, device=self.values.device)
        for part, scale in zip(self.values.split(_ITEMS), self.scale.split(_ITEMS), strict=True):
            total += scale @ part.double()
        self.mean = float(total.square().sum() / self.valid.sum().clamp(min=1) ** 2)
        self.slack = 4 * (self.values.shape[1] + 4) * 2.0**-24  # of a float32 cosine

    def cosines(self, rows: slice) -> Tensor:
        """Cosines of some rows with all, [h, n] in single precision."""
        scale = self.scale.to(self.values.dtype)
        return (self.values[rows] @ self.values.T).mul_(scale).mul_(scale[rows, None])

    def agrees(self, cosine: Tensor, rows: slice, margin: float) -> Tensor:
        """Which of these cosines [h, n] reach the mean and the margin, or are of a row that is not there."""
        return (cosine >= self.mean + margin) | ~self.valid[rows, None] | ~self.valid

    def agrees_exactly(self, row: Tensor, col: Tensor, memory: float) -> Tensor:
        """The same for pairs [n_pairs], without rounding that depends on the others."""
        reaches = pair_cosines(self.values, self.norm, row, col, memory) >= self.mean - _ROUNDING
        return reaches | ~self.valid[row] | ~self.valid[col]


@torch.no_grad()
def consistent_knn(
    modalities: Mapping[str, Modality], k: int, memory: float = 256.0, cache: ArrayCache | None = None
) -> dict[str, Graph]:
    """Per modality, the k nearest rows of every row by cosine among those that all modalities find similar.

    A pair counts where its cosine is at least that of the average pair in every modality that both rows have;
    the row itself is one of the k and always stays.  Absent rows, and rows of zeros, get no edges.  The
    choice is that of `knn`: larger cosines, then lower indices, the same for every block size.  Takes about
    `memory` MB beside the inputs and the graphs.  A `cache` keeps the graphs, as for `knn`.
    """
    if cache is not None:
        given = {
            f"{m} {side}": getattr(modality, side) for m, modality in modalities.items() for side in SIDES
        }
        again = partial(consistent_knn, modalities, k, memory)
        return kept(cache, given, {"consistent": k}, again, len(next(iter(modalities.values())).values))
    sources = {name: _Source(modality) for name, modality in modalities.items()}
    n = len(next(iter(sources.values())).values)
    height = max(1, min(n, int(memory * 2**20) // (8 * n * (len(sources) + 1))))
    edges: dict[str, list[tuple[Tensor, Tensor, Tensor]]] = {name: [] for name in sources}
    for start in range(0, n, height):
        rows = slice(start, min(start + height, n))
        cosines = {name: source.cosines(rows) for name, source in sources.items()}
        sure, maybe = (
            torch.stack([s.agrees(cosines[m], rows, sign * s.slack) for m, s in sources.items()]).all(0)
            for sign in (1, -1)
        )
        for name, source in sources.items():
            row, col = _candidates(source, rows, cosines[name], sure, maybe, k)
            keep = torch.stack([s.agrees_exactly(row, col, memory) for s in sources.values()]).all(0)
            keep |= row == col
            row, col = row[keep], col[keep]
            cosine = pair_cosines(source.values, source.norm, row, col, memory)
            best = best_per_row(row, torch.where(row == col, torch.inf, cosine), k)
            edges[name].append((row[best], col[best], cosine[best].clamp(min=0).float()))
    graphs = {}
    for name, portions in edges.items():
        row, col, val = (torch.cat(column) for column in zip(*portions, strict=True))
        graphs[name] = Graph.from_sorted(row, col, val, (n, n))
    return graphs


def _candidates(
    source: _Source, rows: slice, cosine: Tensor, sure: Tensor, maybe: Tensor, k: int
) -> tuple[Tensor, Tensor]:
    """Pairs, sorted by row, that contain the k nearest of each row of the block, whatever rounding hides.

    `sure`, `maybe` [h, n]: pairs that all modalities find similar, with a margin and but for a margin.
    """
    there = source.valid[rows, None] & source.valid
    certain = cosine.masked_fill(~(sure & there), -torch.inf)
    bound = certain.topk(min(k, certain.shape[1])).values[:, -1:] - source.slack
    hit = maybe & there & (cosine >= bound)
    itself = torch.arange(rows.start, rows.stop, device=cosine.device)
    hit[itself - rows.start, itself] = source.valid[rows]
    row, col = hit.nonzero(as_tuple=True)
    return row + rows.start, col


def common_users(user: Tensor, item: Tensor, n_items: int, k: int, at_least: int = 2) -> Graph:
    """The k items that share most users with every item, `at_least` so many, and the item itself; weights 1.

    `user`, `item` [n_edges]: the interactions.  More common users win, then lower indices; an item without
    interactions has no edges.
    """
    shape = n_items, int(user.max()) + 1
    by_item = csr_matrix((torch.ones(len(user)).numpy(), (item.numpy(), user.numpy())), shape=shape)
    by_item.data[:] = 1  # a repeated interaction is one
    seen = torch.from_numpy(by_item.getnnz(axis=1) > 0)
    rows, cols = [seen.nonzero()[:, 0]], [seen.nonzero()[:, 0]]
    by_user = by_item.T.tocsr()
    for start in range(0, n_items, _ITEMS):
        counts = by_item[start : start + _ITEMS] @ by_user
        counts.sort_indices()
        counts = counts.tocoo()
        row, col = (torch.from_numpy(index).long() for index in (counts.row + start, counts.col))
        count = torch.from_numpy(counts.data)
        pair = (row != col) & (count >= at_least)
        row, col, count = row[pair], col[pair], count[pair]
        best = best_per_row(row, count, k)
        rows.append(row[best])
        cols.append(col[best])
    row, col = torch.cat(rows), torch.cat(cols)
    return Graph.from_edges(row, col, torch.ones(len(row)), (n_items, n_items))
