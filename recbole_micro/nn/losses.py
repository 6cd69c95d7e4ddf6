"""Training losses: BPR, L2 on the batch, InfoNCE."""

import torch
from torch import Tensor
from torch.nn import functional as F

MIN_TAU = 0.03  # exp(1 / tau), summed over all items, stays far inside float32
_BLOCK = 4096  # rows of a similarity matrix that are held at a time


def bpr(positive: Tensor, negative: Tensor, known: Tensor | None = None) -> Tensor:
    """Mean of -log sigmoid(positive - negative) over the batch's (`known`) scores [batch] (MICRO Eq. 15)."""
    return mean(-F.logsigmoid(positive - negative), known)


def mean(values: Tensor, known: Tensor | None = None) -> Tensor:
    """Mean of `values` [batch] where `known` [batch] says so; 0 where it never does."""
    return values.mean() if known is None else (values * known).sum() / known.sum().clamp(min=1)


def l2(*vectors: Tensor) -> Tensor:
    """Half of the sum of squares of the batch's vectors [batch, d], divided by the batch size."""
    return 0.5 * sum(v.square().sum() for v in vectors) / len(vectors[0])


def mean_squares(*parts: Tensor) -> Tensor:
    """Sum of the parts' mean squares (the L2 term of MMGCN and GRCN)."""
    return sum(part.square().mean() for part in parts)


def info_nce(a: Tensor, b: Tensor, tau: float, b_within: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """I(a_i, b_i) and I(b_i, a_i) of MICRO Eq. 11 for every row, [n] each.

    `a`, `b` [n, d], L2-normalised (cosine critic).  The negatives of an anchor a_i are the rows j != i of
    both `b` and `a`.  `b_within`: `within(b, tau)` where the caller has it.  Beyond 4,096 rows the
    similarities are taken block by block and recomputed in the backward pass, so memory is O(4096 n), never
    n x n.
    """
    if tau < MIN_TAU:
        raise ValueError(f"tau must be at least {MIN_TAU}, not {tau}")
    b_within = within(b, tau) if b_within is None else b_within
    a_to_b, b_to_a = _ExpSums.apply(a, b, tau)
    positive = (a * b).sum(-1) / tau
    return positive - (a_to_b + within(a, tau)).log(), positive - (b_to_a + b_within).log()


def batch_contrast(a: Tensor, b: Tensor, tau: float, known: Tensor | None = None) -> Tensor:
    """Mean over the (`known`) rows of -log softmax_j(cos(a_i, b_j) / tau) at j = i; `a`, `b` [batch, d].

    One direction, without negatives inside `a` (MGCN Eq. 19).
    """
    if tau < MIN_TAU:
        raise ValueError(f"tau must be at least {MIN_TAU}, not {tau}")
    with torch.autocast(a.device.type, enabled=False):
        dtype = torch.promote_types(a.dtype, torch.float32)
        a, b = F.normalize(a.to(dtype), dim=-1), F.normalize(b.to(dtype), dim=-1)
        own = torch.arange(len(a), device=a.device)
        return mean(F.cross_entropy(a @ b.T / tau, own, reduction="none"), known)


def within(x: Tensor, tau: float) -> Tensor:
    """Sum over j != i of exp(cos(x_i, x_j) / tau), [n]; `x` [n, d] L2-normalised."""
    return _ExpSumsWithin.apply(x, tau)


class _ExpSums(torch.autograd.Function):
    """Row and column sums of exp(x y^T / tau)."""

    @staticmethod
    def forward(ctx, x, y, tau):
        ctx.tau = tau
        rows, columns = x.new_empty(len(x)), y.new_zeros(len(y))
        for start in range(0, len(x), _BLOCK):
            weight = _exp_block(x, y, start, tau)
            rows[start : start + _BLOCK] = weight.sum(1)
            columns += weight.sum(0)
        ctx.save_for_backward(x, y, weight if len(x) <= _BLOCK else None)
        return rows, columns

    @staticmethod
    def backward(ctx, grad_rows, grad_columns):
        x, y, kept = ctx.saved_tensors
        grad_x, grad_y = torch.empty_like(x), torch.zeros_like(y)
        for start in range(0, len(x), _BLOCK):
            part = slice(start, start + _BLOCK)
            weight = _exp_block(x, y, start, ctx.tau) if kept is None else kept
            grad = (grad_rows[part, None] + grad_columns).mul_(weight)
            grad_x[part] = grad @ y
            grad_y.addmm_(grad.T, x[part])
        return grad_x / ctx.tau, grad_y / ctx.tau, None


class _ExpSumsWithin(torch.autograd.Function):
    """Row sums of exp(x x^T / tau) without the diagonal."""

    @staticmethod
    def forward(ctx, x, tau):
        ctx.tau = tau
        rows = x.new_empty(len(x))
        for start in range(0, len(x), _BLOCK):
            weight = _exp_block(x, x, start, tau)
            weight[:, start : start + len(weight)].fill_diagonal_(0)
            rows[start : start + _BLOCK] = weight.sum(1)
        ctx.save_for_backward(x, weight if len(x) <= _BLOCK else None)
        return rows

    @staticmethod
    def backward(ctx, grad_rows):
        x, kept = ctx.saved_tensors
        grad_x = torch.empty_like(x)
        for start in range(0, len(x), _BLOCK):
            part = slice(start, start + _BLOCK)
            weight = _exp_block(x, x, start, ctx.tau) if kept is None else kept
            grad = (grad_rows[part, None] + grad_rows).mul_(weight)  # the matrix is symmetric
            if kept is None:
                grad[:, part].fill_diagonal_(0)
            grad_x[part] = grad @ x
        return grad_x / ctx.tau, None


def _exp_block(x: Tensor, y: Tensor, start: int, tau: float) -> Tensor:
    return ((x[start : start + _BLOCK] / tau) @ y.T).exp_()
