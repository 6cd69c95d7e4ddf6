"""Exact and approximate k nearest neighbours by cosine, blockwise within a memory budget."""

from collections.abc import Iterator

import torch
from torch import Tensor

from recbole_micro.data.features import Modality
from recbole_micro.errors import UserError, install_command
from recbole_micro.nn.graph import Graph

_CHUNK = 32  # columns per chunk in the candidate search of `knn`
Pairs = Iterator[tuple[Tensor, Tensor]]  # rows and columns of candidates, [n_pairs] each, sorted by row


@torch.no_grad()
def knn(
    features: Tensor,
    k: int,
    mask: Tensor | None = None,
    clamp_negative: bool = True,
    memory: float = 256.0,
    backend: str = "exact",
) -> Graph:
    """The k nearest rows of every row by cosine, the row itself counted (MICRO Eq. 1, 2).

    `features` [n, d]; `mask` [n] says which rows exist (a row of zeros never does): the others get no edges,
    in either direction.  Larger cosines win, then lower indices, and the row itself always stays, so the
    graph is the same for every block size and number of threads: candidates come from float32 products, the
    choice among them from float64 dot products that do not depend on the blocks.  Negative cosines are
    dropped (`clamp_negative`) or kept. `memory`: MB beside the inputs and the graph.  `backend`: `exact` or
    `faiss` (approximate, for very many rows).
    """
    n = len(features)
    norm = norms(features)
    valid = (norm > 0) if mask is None else (mask.to(norm.device) & (norm > 0))
    search = {"exact": _exact_candidates, "faiss": _faiss_candidates}[backend]
    row_parts, col_parts, val_parts = [], [], []
    for row, col in search(features, norm, valid, k, memory):
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


def norms(features: Tensor) -> Tensor:
    """Row norms in float64 [n], block by block."""
    squares = torch.empty(len(features), dtype=torch.float64, device=features.device)
    step = max(1, (1 << 20) // max(1, features.shape[1]))
    for start in range(0, len(features), step):
        block = features[start : start + step].to(torch.float64, copy=True)
        torch.sum(block.square_(), -1, out=squares[start : start + step])
    return squares.sqrt_()


def _exact_candidates(features: Tensor, norm: Tensor, valid: Tensor, k: int, memory: float) -> Pairs:
    """Yield sorted (row, col) pairs that contain each row's k nearest, whatever float32 rounds away."""
    n, d = features.shape
    k = min(k, int(valid.sum()))
    if k == 0:
        return
    budget = int(memory * 2**20)
    scale = torch.where(valid, 1 / norm, 0.0).float()
    absent = None if bool(valid.all()) else torch.where(valid, 0.0, -torch.inf).float()
    slack = 4 * (d + 4) * 2.0**-24
    n_chunks = -(-n // _CHUNK)
    height = max(1, min(n, budget // 2 // (4 * n_chunks * _CHUNK)))
    buffer = features.new_empty(height, n_chunks * _CHUNK)
    for start in range(0, n, height):
        block = buffer[: min(height, n - start)]
        block[:, n:] = -torch.inf
        cosine = block[:, :n]
        torch.mm(features[start : start + len(block)], features.T, out=cosine)
        cosine.mul_(scale).mul_(scale[start : start + len(block), None])
        if absent is not None:
            cosine.add_(absent)
        yield from _above_threshold(block, start, k, slack, valid, budget)


def _above_threshold(block: Tensor, start: int, k: int, slack: float, valid: Tensor, budget: int) -> Pairs:
    """Pairs of a block of cosines at or above each row's k-th largest less `slack`.

    The k-th largest chunk maximum is a lower bound of the k-th largest entry; only chunks that reach it are
    read.
    """
    chunks = block.view(len(block), -1, _CHUNK)
    best = chunks.amax(-1)
    bound = best.topk(k).values[:, -1] if best.shape[1] >= k else block.topk(k).values[:, -1]
    rows = torch.arange(start, start + len(block), device=block.device)
    # The row itself is always a candidate, also where more than k rows equal it.
    itself = block[torch.arange(len(block), device=block.device), rows]
    bound = torch.minimum(bound, itself) - slack
    bound = torch.where(valid[rows], bound, torch.inf)
    hit = best >= bound[:, None]
    step = max(1, budget // 4 // (32 * _CHUNK * max(1, int(hit.sum(1).max()))))
    for part in range(0, len(block), step):
        row, chunk = hit[part : part + step].nonzero(as_tuple=True)
        row = row + part
        inside, offset = (chunks[row, chunk] >= bound[row, None]).nonzero(as_tuple=True)
        if len(inside):
            yield row[inside] + start, chunk[inside] * _CHUNK + offset


def _faiss_candidates(features: Tensor, norm: Tensor, valid: Tensor, k: int, memory: float) -> Pairs:
    """The same through FAISS's HNSW index: approximate, a few seconds for a million rows."""
    try:
        import faiss
    except ImportError as error:
        raise UserError(f"knn_backend faiss needs FAISS: {install_command('faiss')}.") from error
    index_of = valid.nonzero().squeeze(1).cpu()
    unit = (features / norm.clamp(min=1e-30)[:, None].float())[valid].float().cpu().contiguous().numpy()
    if not len(unit):
        return
    index = faiss.IndexHNSWFlat(unit.shape[1], 32, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction, index.hnsw.efSearch = 80, max(64, 4 * k)
    index.add(unit)
    step = max(1, int(memory * 2**20) // (64 * (k + 1)))
    for start in range(0, len(unit), step):
        found = torch.from_numpy(index.search(unit[start : start + step], min(k + 1, len(unit)))[1])
        itself = torch.arange(start, start + len(found))[:, None]
        found = torch.cat([itself, torch.where(found < 0, itself, found)], 1)
        pair = torch.unique(itself * len(unit) + found)
        yield index_of[pair // len(unit)].to(valid.device), index_of[pair % len(unit)].to(valid.device)


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
