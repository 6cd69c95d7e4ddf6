"""Pairs among which the nearest neighbours by cosine are: of all rows, of given columns, or by FAISS.

Sorted by row.  They come from float32 products; who takes them chooses among them (`knn`).
"""

from collections.abc import Iterator
from logging import getLogger
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from recbole_micro.errors import UserError, install_command

Pairs = Iterator[tuple[Tensor, Tensor]]  # rows and columns of candidates, [n_pairs] each, sorted by row
_CHUNK = 32  # columns per chunk in the exact search
_CACHE = 1 << 24  # bytes that a processor's cache may hold of a block and of the rows

EXACT_UP_TO = 20_000  # rows up to which exact search is as quick
SAMPLE = 200  # rows whose exact neighbours the search is measured by
AT = 10  # neighbours that recall is measured at
ENOUGH = 0.95  # recall up to which the search reads more lists
POINTS = 40  # rows a list that the lists' centres are learned from
logger = getLogger(__name__)


class Candidates(NamedTuple):
    """Columns among which each row's neighbours are sought, ascending, the row itself among them.

    `crow` [n + 1], `col` [n_pairs], int32 as in a graph; its weights and transpose would take five times as
    much.
    """

    crow: Tensor
    col: Tensor


def exact_candidates(features: Tensor, norm: Tensor, valid: Tensor, k: int, memory: float) -> Pairs:
    """Yield sorted (row, col) pairs that contain each row's k nearest, whatever float32 rounds away."""
    n, d = features.shape
    k = min(k, int(valid.sum()))
    if k == 0:
        return
    budget = int(memory * 2**20)
    scale = torch.where(valid, 1 / norm, 0.0).float()
    absent = (~valid).nonzero()[:, 0]
    slack = 4 * (d + 4) * 2.0**-24
    n_chunks = -(-n // _CHUNK)
    # Where the rows are small, blocks that stay in a processor's cache beside them are faster.
    small = not features.is_cuda and 4 * n * d <= min(budget // 4, _CACHE)
    left = features * scale[:, None] if small else features
    block_bytes = min(budget // 2, _CACHE) if small else budget // 2
    height = max(1, min(n, block_bytes // (4 * n_chunks * _CHUNK)))
    buffer = features.new_empty(height, n_chunks * _CHUNK)
    buffer[:, n:] = -torch.inf
    for start in range(0, n, height):
        block = buffer[: min(height, n - start)]
        cosine = block[:, :n]
        torch.mm(left[start : start + len(block)], left.T, out=cosine)
        if not small:
            cosine.mul_(scale).mul_(scale[start : start + len(block), None])
        cosine.index_fill_(1, absent, -torch.inf)
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


def among(
    features: Tensor, norm: Tensor, valid: Tensor, k: int, memory: float, candidates: Candidates
) -> Pairs:
    """The same among each row's `candidates`."""
    n = len(features)
    scale = torch.where(valid, 1 / norm, 0.0).float()
    unit = (features.float() * scale[:, None]).contiguous()
    slack = 4 * (features.shape[1] + 4) * 2.0**-24
    width = max(1, int(candidates.crow.diff().max())) if n else 1
    height = max(1, int(memory * 2**20) // 2 // (24 * width))
    for start in range(0, n, height):
        crow = candidates.crow[start : start + height + 1]
        edges = slice(int(crow[0]), int(crow[-1]))
        crow, col = crow - crow[0], candidates.col[edges]
        shape = len(crow) - 1, n
        pattern = torch.sparse_csr_tensor(
            crow, col, unit.new_zeros(len(col)), size=shape, check_invariants=False
        )
        rows = unit[start : start + height]
        cosine = torch.sparse.sampled_addmm(pattern, rows, unit.T, beta=0).values()
        row = torch.repeat_interleave(torch.arange(shape[0], device=unit.device), crow.diff().long())
        col = col.long()
        there = valid[row + start] & valid[col]
        cosine = cosine.masked_fill(~there, -torch.inf)
        place = torch.arange(len(col), device=unit.device) - crow[row]
        table = cosine.new_full((shape[0], width), -torch.inf)
        table[row, place] = cosine
        bound = table.topk(min(k, width)).values[:, -1] - slack
        hit = there & ((cosine >= bound[row]) | (row + start == col))
        yield row[hit] + start, col[hit]


def faiss_candidates(features: Tensor, norm: Tensor, valid: Tensor, k: int, memory: float) -> Pairs:
    """Yield sorted (row, col) pairs: each row, itself and about its k nearest.

    Rows are sorted into lists around centres (4 sqrt(n) of them), and a search reads the nearest lists: twice
    as many until a sample of rows finds ENOUGH of its AT nearest, an eighth of all at most.  The log says the
    recall.
    """
    try:
        import faiss
    except ImportError as error:
        raise UserError(f"knn_backend faiss needs FAISS: {install_command('faiss')}.") from error
    faiss.omp_set_num_threads(torch.get_num_threads())
    index_of = valid.nonzero().squeeze(1)
    n, width = len(index_of), features.shape[1]

    def unit(index: Tensor) -> np.ndarray:
        rows = features[index].float() / norm[index].float()[:, None]
        return rows.cpu().contiguous().numpy()

    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(n, generator=generator).to(index_of.device)
    n_lists = number_of_lists(n)
    centres = faiss.IndexFlatIP(width)  # the index refers to it, and does not keep it
    index = faiss.IndexIVFFlat(centres, width, n_lists, faiss.METRIC_INNER_PRODUCT)
    index.cp.max_points_per_centroid, index.cp.min_points_per_centroid, index.cp.niter = POINTS, 1, 6
    index.train(unit(index_of[order[: POINTS * n_lists]]))
    height = max(1, int(memory * 2**20) // (16 * width))
    for start in range(0, n, height):
        index.add(unit(index_of[start : start + height]))
    sample = order[:SAMPLE].sort().values
    exact = exact_neighbours(features, norm, index_of, sample)
    index.nprobe, recall = 4, 0.0
    while recall < ENOUGH and index.nprobe < max(8, n_lists // 8):
        index.nprobe *= 2
        recall = recall_of(index, unit(index_of[sample]), sample, exact)
    logger.info(
        f"Neighbours of {n:,} items x {width} by FAISS: recall@{AT} {recall:.3f} of the exact ones, on "
        f"{len(sample)} sampled items ({index.nprobe} of {n_lists:,} lists are read)."
    )
    step = max(1, int(memory * 2**20) // (64 * (k + 1) + 8 * width))
    for start in range(0, n, step):
        found = torch.from_numpy(index.search(unit(index_of[start : start + step]), min(k + 1, n))[1])
        itself = torch.arange(start, start + len(found))[:, None]
        found = torch.cat([itself, torch.where(found < 0, itself, found)], 1)
        pair = torch.unique(itself * n + found).to(index_of.device)
        yield index_of[pair // n], index_of[pair % n]


def number_of_lists(n: int) -> int:
    """How many lists `n` rows are sorted into."""
    return int(4 * n**0.5)


def exact_neighbours(features: Tensor, norm: Tensor, index_of: Tensor, sample: Tensor) -> Tensor:
    """The AT nearest of these rows but themselves, by position in `index_of`, [n_sample, AT]."""
    parts = []
    for position in sample.split(20):
        rows = index_of[position]
        cosine = (features[rows].float() @ features.T.float())[:, index_of] / norm[index_of].float()
        cosine[torch.arange(len(rows), device=cosine.device), position] = -torch.inf
        parts.append(cosine.topk(min(AT, cosine.shape[1])).indices)
    return torch.cat(parts)


def recall_of(index: Any, queries: np.ndarray, sample: Tensor, exact: Tensor) -> float:
    """The share of the `exact` neighbours that the index finds, the rows themselves (`sample`) left out."""
    found = torch.from_numpy(index.search(queries, AT + 1)[1]).to(exact.device)
    found = found.masked_fill(found == sample[:, None], -1)
    others = (found != -1).cumsum(1) <= AT  # not an eleventh one where the row itself was not found
    found = found.masked_fill(~others, -1)
    return float((exact[:, :, None] == found[:, None]).any(2).float().mean())
