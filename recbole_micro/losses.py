"""Training losses: BPR, L2 on the batch, InfoNCE."""

from typing import Optional

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

MIN_TAU = 0.03  # below it exp((cos - 1) / tau) leaves float32
_BLOCK = 4096  # rows of a similarity matrix that are held at a time


def bpr(positive: Tensor, negative: Tensor) -> Tensor:
    """Mean of -log sigmoid(positive - negative) over the batch's scores [batch] (MICRO Eq. 15)."""
    return -F.logsigmoid(positive - negative).mean()


def l2(*vectors: Tensor) -> Tensor:
    """Half of the sum of squares of the batch's vectors [batch, d], divided by the batch size."""
    return 0.5 * sum(v.float().square().sum() for v in vectors) / len(vectors[0])


def info_nce(a: Tensor, b: Tensor, tau: float, b_within: Optional[Tensor] = None) -> tuple[Tensor, Tensor]:
    """I(a_i, b_i) and I(b_i, a_i) of MICRO Eq. 11 for every row, [n] each.

    `a`, `b` [n, d], L2-normalised (cosine critic).  The negatives of an anchor a_i are the rows j != i of both `b` and
    `a`.  `b_within`: `within(b, tau)` where the caller has it.  Beyond 4,096 rows the similarities are taken block by
    block and recomputed in the backward pass, so memory is O(4096 n), never n x n.
    """
    if tau < MIN_TAU:
        raise ValueError(f"tau must be at least {MIN_TAU}, not {tau}")
    b_within = within(b, tau) if b_within is None else b_within
    from_a, from_b = _exp_sums(a, b, tau, False)
    positive = ((a * b).sum(-1) - 1) / tau
    return positive - (from_a + within(a, tau)).log(), positive - (from_b + b_within).log()


def within(x: Tensor, tau: float) -> Tensor:
    """Sum over j != i of exp((cos(x_i, x_j) - 1) / tau), [n]; `x` [n, d] L2-normalised."""
    return _exp_sums(x, x, tau, True)[0]


def _exp_sums(x: Tensor, y: Tensor, tau: float, skip_diagonal: bool) -> tuple[Tensor, Tensor]:
    """Row and column sums of exp((x y^T - 1) / tau)."""
    if len(x) <= _BLOCK:
        return _block_sums(x, y, 0, tau, skip_diagonal)
    rows, columns = [], 0
    for start in range(0, len(x), _BLOCK):
        block = x[start : start + _BLOCK]
        row, column = checkpoint(_block_sums, block, y, start, tau, skip_diagonal, use_reentrant=False)
        rows.append(row)
        columns = columns + column
    return torch.cat(rows), columns


def _block_sums(x: Tensor, y: Tensor, start: int, tau: float, skip_diagonal: bool) -> tuple[Tensor, Tensor]:
    similarity = x @ y.T
    if skip_diagonal:
        similarity[:, start : start + len(x)].fill_diagonal_(-torch.inf)
    weight = ((similarity - 1) / tau).exp()
    return weight.sum(1), weight.sum(0)
