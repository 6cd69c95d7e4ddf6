"""Training losses: BPR, L2 on the batch, InfoNCE."""

from collections.abc import Iterable
from functools import reduce

import torch
from torch import Tensor
from torch.nn import functional as F

Pairs = tuple[Tensor, Tensor] | Tensor  # rows and columns, [n_pairs] each, or bool [n_rows, n_columns]

MIN_TAU = 0.03  # exp(1 / tau), summed over all items, stays far inside float32
BLOCK = 4096  # rows of a similarity matrix that are held at a time
ENTRIES = 1 << 24  # entries of a similarity matrix that are held at a time where its width is any


def bpr(positive: Tensor, negative: Tensor, known: Tensor | None = None) -> Tensor:
    """Mean of -log sigmoid(positive - negative) over the batch's (`known`) scores [batch] (MICRO Eq. 15)."""
    return mean(-F.logsigmoid(positive - negative), known)


def softmax(user: Tensor, positive: Tensor, others: Tensor, known: Pairs | None = None) -> Tensor:
    """Mean of -log softmax of each user's logit with its positive beside those with the `others`.

    `user`, `positive` [b, d], `others` [s, d]: logits are dot products.  `known`: pairs (row, column) of the
    [b, s] logits that are positive themselves and take no part, [n_pairs] each, or bool [b, s].  Sampled
    softmax (Wu et al., "On the Effectiveness of Sampled Softmax Loss for Item Recommendation", TOIS 2024).
    """
    asked = (user * positive).sum(-1)
    return F.softplus(_LogSumOfOthers.apply(user, others, known) - asked).mean()


def mean(values: Tensor, known: Tensor | None = None) -> Tensor:
    """Mean of `values` [batch] where `known` [batch] says so; 0 where it never does."""
    return values.mean() if known is None else (values * known).sum() / known.sum().clamp(min=1)


def total(terms: Iterable[Tensor]) -> Tensor:
    """The sum of one or more terms of a loss."""
    return reduce(torch.add, terms)


def l2(*vectors: Tensor) -> Tensor:
    """Half of the sum of squares of the batch's vectors [batch, d], divided by the batch size."""
    return 0.5 * total(v.square().sum() for v in vectors) / len(vectors[0])


def mean_squares(*parts: Tensor) -> Tensor:
    """Sum of the parts' mean squares (the L2 term of MMGCN and GRCN)."""
    return total(part.square().mean() for part in parts)


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


def within(x: Tensor, tau: float) -> Tensor:
    """Sum over j != i of exp(cos(x_i, x_j) / tau), [n]; `x` [n, d] L2-normalised."""
    return _ExpSumsWithin.apply(x, tau)


def contrast(a: Tensor, b: Tensor, tau: float, among: Tensor | None = None) -> Tensor:
    """InfoNCE in one direction, -log( e(a_i, b_i) / sum_j e(a_i, c_j) ) with e = exp(cos / tau), [n].

    `a`, `b` [n, d]; c is `among` [m, d], which has the rows of `b` among its own, or `b` itself.
    """
    with torch.autocast(a.device.type, enabled=False):
        a, b = unit(a), unit(b)
        return log_sum(a, b if among is None else unit(among), tau) - (a * b).sum(-1) / tau


def batch_contrast(a: Tensor, b: Tensor, tau: float, known: Tensor | None = None) -> Tensor:
    """Mean of `contrast` over the (`known` [batch]) rows of a batch; `a`, `b` [batch, d] (MGCN Eq. 19)."""
    return mean(contrast(a, b, tau), known)


def log_sum(a: Tensor, among: Tensor, tau: float) -> Tensor:
    """log sum_j exp(a_i . c_j / tau) of every row, [n]; `a` [n, d] and c = `among` [m, d] L2-normalised.

    The n x m products are taken in blocks of 16 million and recomputed in the backward pass.
    """
    if tau < MIN_TAU:
        raise ValueError(f"tau must be at least {MIN_TAU}, not {tau}")
    sums: Tensor = _ExpRowSums.apply(a, among, tau)
    return sums.log()


def unit(x: Tensor) -> Tensor:
    """Rows of length 1 in at least single precision; a row of zeros stays."""
    return F.normalize(x.float() if x.dtype in (torch.float16, torch.bfloat16) else x, dim=-1)


class _LogSumOfOthers(torch.autograd.Function):
    """log sum_j exp(u . v_j) of every row, [b]; the one matrix [b, s] is exponentiated in place."""

    @staticmethod
    def forward(ctx, user, others, known):
        logits = user @ others.T
        if known is not None:
            logits[known] = -torch.inf
        top = logits.amax(1, keepdim=True).clamp(min=torch.finfo(logits.dtype).min)  # no other at all
        weight = logits.sub_(top).exp_()
        sums = weight.sum(1, keepdim=True)
        ctx.save_for_backward(user, others, weight, sums)
        return (top + sums.log()).squeeze(1)

    @staticmethod
    def backward(ctx, grad):
        user, others, weight, sums = ctx.saved_tensors
        share = grad[:, None] / torch.where(sums > 0, sums, 1.0)
        return share * (weight @ others), weight.T @ (share * user), None


class _ExpRowSums(torch.autograd.Function):
    """Row sums of exp(x y^T / tau), block by block."""

    @staticmethod
    def forward(ctx, x, y, tau):
        ctx.tau, ctx.height = tau, max(1, ENTRIES // max(1, len(y)))
        sums = x.new_empty(len(x))
        for start in range(0, len(x), ctx.height):
            weight = _exp(x[start : start + ctx.height], y, tau)
            sums[start : start + ctx.height] = weight.sum(1)
        ctx.save_for_backward(x, y, weight if len(x) <= ctx.height else None)
        return sums

    @staticmethod
    def backward(ctx, grad):
        x, y, kept = ctx.saved_tensors
        grad_x, grad_y = torch.empty_like(x), torch.zeros_like(y)
        for start in range(0, len(x), ctx.height):
            part = slice(start, start + ctx.height)
            weight = (_exp(x[part], y, ctx.tau) if kept is None else kept) * grad[part, None]
            grad_x[part] = weight @ y
            grad_y.addmm_(weight.T, x[part])
        return grad_x / ctx.tau, grad_y / ctx.tau, None


def _exp(x: Tensor, y: Tensor, tau: float) -> Tensor:
    return ((x / tau) @ y.T).exp_()


class _ExpSums(torch.autograd.Function):
    """Row and column sums of exp(x y^T / tau)."""

    @staticmethod
    def forward(ctx, x, y, tau):
        ctx.tau = tau
        rows, columns = x.new_empty(len(x)), y.new_zeros(len(y))
        for start in range(0, len(x), BLOCK):
            weight = _exp_block(x, y, start, tau)
            rows[start : start + BLOCK] = weight.sum(1)
            columns += weight.sum(0)
        ctx.save_for_backward(x, y, weight if len(x) <= BLOCK else None)
        return rows, columns

    @staticmethod
    def backward(ctx, grad_rows, grad_columns):
        x, y, kept = ctx.saved_tensors
        grad_x, grad_y = torch.empty_like(x), torch.zeros_like(y)
        for start in range(0, len(x), BLOCK):
            part = slice(start, start + BLOCK)
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
        for start in range(0, len(x), BLOCK):
            weight = _exp_block(x, x, start, tau)
            weight[:, start : start + len(weight)].fill_diagonal_(0)
            rows[start : start + BLOCK] = weight.sum(1)
        ctx.save_for_backward(x, weight if len(x) <= BLOCK else None)
        return rows

    @staticmethod
    def backward(ctx, grad_rows):
        x, kept = ctx.saved_tensors
        grad_x = torch.empty_like(x)
        for start in range(0, len(x), BLOCK):
            part = slice(start, start + BLOCK)
            weight = _exp_block(x, x, start, ctx.tau) if kept is None else kept
            grad = (grad_rows[part, None] + grad_rows).mul_(weight)  # the matrix is symmetric
            if kept is None:
                grad[:, part].fill_diagonal_(0)
            grad_x[part] = grad @ x
        return grad_x / ctx.tau, None


def _exp_block(x: Tensor, y: Tensor, start: int, tau: float) -> Tensor:
    return _exp(x[start : start + BLOCK], y, tau)
