"""Exact and approximate k nearest neighbours by cosine, blockwise within a memory budget."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recbole_micro.data.array_cache import ArrayCache
from recbole_micro.data.features import Modality
from recbole_micro.nn.candidates import (
    EXACT_UP_TO,
    Candidates,
    among,
    exact_candidates,
    faiss_candidates,
)
from recbole_micro.nn.graph import Graph

KEPT_FROM = 2000  # rows; below that a search takes no time
ALGORITHM = 1  # to be raised where the graph of the same features becomes another one


@torch.no_grad()
def knn(
    features: Tensor,
    k: int,
    mask: Tensor | None = None,
    clamp_negative: bool = True,
    memory: float = 256.0,
    backend: str = "exact",
    candidates: Candidates | None = None,
    cache: ArrayCache | None = None,
) -> Graph:
    """The k nearest rows of every row by cosine, the row itself counted (MICRO Eq. 1, 2).

    `features` [n, d]; `mask` [n] says which rows exist (a row of zeros never does): the others get no edges,
    in either direction.  Larger cosines win, then lower indices, and the row itself always stays, so the
    graph is the same for every block size and number of threads: candidates come from float32 products, the
    choice among them from float64 dot products that do not depend on the blocks.  Negative cosines are
    dropped (`clamp_negative`) or kept. `memory`: MB beside the inputs and the graph.  `backend`: `exact` or
    `faiss` (approximate, for very many rows).  `candidates`: search among these columns of each row alone.  A
    `cache` keeps graphs of KEPT_FROM rows or more.
    """
    n = len(features)
    if cache is not None:
        parts = {"features": features, "mask": mask}
        if candidates is not None:
            parts |= candidates._asdict()
        options = {"k": k, "clamp_negative": clamp_negative, "backend": backend}
        again = partial(knn, features, k, mask, clamp_negative, memory, backend, candidates)
        return kept(cache, parts, options, lambda: {"knn": again()}, n)["knn"]
    norm = norms(features)
    valid = (norm > 0) if mask is None else (mask.to(norm.device) & (norm > 0))
    if candidates is not None:
        pairs = among(features, norm, valid, k, memory, candidates)
    elif backend == "faiss" and int(valid.sum()) > EXACT_UP_TO:
        pairs = faiss_candidates(features, norm, valid, k, memory)
    else:
        pairs = exact_candidates(features, norm, valid, k, memory)
    row_parts, col_parts, val_parts = [], [], []
    for row, col in pairs:
        cosine = pair_cosines(features, norm, row, col, memory)
        keep = best_per_row(row, torch.where(row == col, torch.inf, cosine), k)
        if clamp_negative:
            keep &= cosine > 0
        row_parts.append(row[keep].int())
        col_parts.append(col[keep].int())
        val_parts.append(cosine[keep].float())
    if not row_parts:
        empty = torch.empty(0, dtype=torch.int32, device=features.device)
        return Graph.from_sorted(empty, empty, empty.float(), (n, n))
    return Graph.from_sorted(torch.cat(row_parts), torch.cat(col_parts), torch.cat(val_parts), (n, n))


def other_items(modality: Modality, k: int, **options: Any) -> Graph:
    """The k most similar items of every item by `knn`, itself not among them, [n_items, n_items]."""
    graph = knn(modality.values, k + 1, modality.mask, **options)
    others = graph.row != graph.col
    return Graph.from_sorted(graph.row[others], graph.col[others], graph.val[others], graph.shape)


def kept(
    cache: ArrayCache,
    parts: Mapping[str, Tensor | None],
    options: Mapping,
    search: Callable[[], dict[str, Graph]],
    n: int,
) -> dict[str, Graph]:
    """The graphs [n, n] by name that `search` finds, or has found before for the same parts and options.

    Graphs of fewer than KEPT_FROM rows are searched for every time.
    """
    if n < KEPT_FROM:
        return search()

    def make() -> dict[str, np.ndarray]:
        return {
            f"{name}.{part}": getattr(graph, part).cpu().numpy()
            for name, graph in search().items()
            for part in ("crow", "col", "val")
        }

    given = {name: part for name, part in parts.items() if part is not None}
    content = [part.cpu().numpy() for part in given.values()]
    what = {**options, "parts": [*given], "algorithm": ALGORITHM}
    graphs = read_graphs(cache.get("neighbours", content, what, make), n)
    if graphs is None:
        return search()
    device = next(iter(given.values())).device
    return {name: graph.apply(lambda part: part.to(device)) for name, graph in graphs.items()}


def read_graphs(arrays: Mapping[str, np.ndarray], n: int) -> dict[str, Graph] | None:
    """The graphs [n, n] of kept arrays; None where they make none, as in a file of somebody else's."""
    graphs = {}
    for name in {key.rpartition(".")[0]: None for key in arrays}:
        try:
            crow, col, val = (arrays[f"{name}.{part}"] for part in ("crow", "col", "val"))
        except KeyError:
            return None
        kinds = crow.dtype == col.dtype == np.int32 and val.dtype == np.float32
        shapes = crow.shape == (n + 1,) and col.ndim == 1 and val.shape == col.shape
        if not (kinds and shapes and crow[0] == 0 and crow[-1] == len(col) and (np.diff(crow) >= 0).all()):
            return None
        if len(col) and not (col.min() >= 0 and col.max() < n and np.isfinite(val).all()):
            return None
        graphs[name] = Graph(torch.from_numpy(crow), torch.from_numpy(col), torch.from_numpy(val), n)
    return graphs or None


def norms(features: Tensor) -> Tensor:
    """Row norms in float64 [n], block by block."""
    squares = torch.empty(len(features), dtype=torch.float64, device=features.device)
    step = max(1, (1 << 20) // max(1, features.shape[1]))
    for start in range(0, len(features), step):
        block = features[start : start + step].to(torch.float64, copy=True)
        torch.sum(block.square_(), -1, out=squares[start : start + step])
    return squares.sqrt_()


def pair_cosines(features: Tensor, norm: Tensor, row: Tensor, col: Tensor, memory: float) -> Tensor:
    """Cosine of each pair in float64, [n_pairs]; the value of a pair does not depend on the other pairs."""
    width = features.shape[1]
    step = max(1, min(int(memory * 2**20) // 4, 1 << 22) // (24 * max(1, width)))
    # The buffers serve every portion: temporaries of changing sizes would fragment the heap.
    single = features.new_empty(step, width)
    left, right = (torch.empty(step, width, dtype=torch.float64, device=features.device) for _ in range(2))
    dot = torch.empty(len(row), dtype=torch.float64, device=features.device)
    for start in range(0, len(row), step):
        part = slice(start, min(start + step, len(row)))
        n = part.stop - start
        for index, double in ((row, left), (col, right)):
            torch.index_select(features, 0, index[part], out=single[:n])
            double[:n].copy_(single[:n])
        torch.sum(left[:n].mul_(right[:n]), -1, out=dot[part])
    return dot / (norm[row] * norm[col])


def best_per_row(row: Tensor, value: Tensor, k: int) -> Tensor:
    """Which of the pairs, sorted by row, are among their row's k largest; the earlier pair wins a tie."""
    order = torch.sort(value, descending=True, stable=True).indices
    order = order[torch.sort(row[order], stable=True).indices]
    rank = torch.arange(len(row), device=row.device) - torch.searchsorted(row, row)  # within the row
    keep = torch.empty(len(row), dtype=torch.bool, device=row.device)
    keep[order] = rank < k
    return keep


def like_known(found: Graph, known: Graph) -> Graph:
    """The graph `found` (new items to known ones) normalised as `known` is (known items to one another).

    w_ij / sqrt(d_i d_j) with d_i the row sums of `found`, d_j those behind the normalised `known`.  A known
    item is its own neighbour with cosine 1, so its diagonal entry is 1 / d_j.
    """
    row, col = found.row.long(), found.col.long()
    diagonal = known.row == known.col
    inverse = torch.ones(known.shape[0], dtype=known.val.dtype, device=known.val.device)
    inverse[known.row[diagonal].long()] = known.val[diagonal]
    degree = found.val.new_zeros(found.shape[0]).index_add(0, row, found.val)
    return found.with_values(found.val * degree.clamp(min=1e-12).rsqrt()[row] * inverse[col].sqrt())


def nearest(new: Modality, known: Modality, options: dict) -> Graph:
    """The k nearest known rows of every new row by cosine: ties to the lower index, absent rows left out.

    `options` are arguments of `knn` (k, clamp_negative, memory); the search is exact and takes about `memory`
    MB.
    """
    n_new, n_known = len(new.values), len(known.values)
    lengths = norms(new.values), norms(known.values)
    present = known.mask & (lengths[1] > 0)
    k = min(options["k"], int(present.sum()))
    unit = torch.where(present, 1 / lengths[1], 0.0).to(known.values.dtype)
    slack = 4 * (known.values.shape[1] + 4) * 2.0**-24  # of a float32 cosine
    height = max(1, int(options["memory"] * 2**20) // (16 * n_known))
    rows, cols, values = [], [], []
    for start in range(0, n_new if k else 0, height):
        block = slice(start, start + height)
        length = lengths[0][block]
        cosine = (new.values[block] @ known.values.T) * unit / length.clamp(min=1e-30)[:, None].to(unit.dtype)
        cosine[:, ~present] = -torch.inf
        bound = cosine.topk(k).values[:, -1] - slack
        bound[~new.mask[block] | (length == 0)] = torch.inf
        row, col = (cosine >= bound[:, None]).nonzero(as_tuple=True)
        step = max(1, int(options["memory"] * 2**20) // (32 * known.values.shape[1]))
        value = torch.cat(
            [
                (new.values[start + r].double() * known.values[c].double()).sum(1)
                for r, c in zip(row.split(step), col.split(step), strict=True)
            ]
        )
        value = value / (length[row] * lengths[1][col])
        keep = best_per_row(row, value, k)
        if options["clamp_negative"]:
            keep &= value > 0
        rows.append(row[keep] + start)
        cols.append(col[keep])
        values.append(value[keep].to(known.values.dtype))
    if not rows:
        rows = cols = [torch.empty(0, dtype=torch.long, device=known.values.device)]
        values = [known.values.new_empty(0)]
    return Graph.from_sorted(torch.cat(rows), torch.cat(cols), torch.cat(values), (n_new, n_known))
