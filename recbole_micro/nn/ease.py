"""EASE in closed form (Steck, WWW 2019) and scores on one scale per user."""

import torch
from torch import Tensor

from recbole_micro.nn.graph import Graph, take_rows
from recbole_micro.nn.ops import propagate

_ROWS = 256  # of the Gram matrix that are made at a time
_EQUAL = 1e-6  # of the mean: what a row of equal scores may deviate by rounding
_SINGLE = 1e-3  # relative error up to which single precision will do


@torch.no_grad()
def gram(histories: Graph) -> Tensor:
    """R'R, dense [n_items, n_items], of the users' items R [n_users, n_items]."""
    items = histories.transpose()
    result = items.val.new_empty(items.shape[0], items.shape[0])
    for rows in torch.arange(items.shape[0], device=items.val.device).split(_ROWS):
        result[:, rows] = propagate(items, take_rows(items, rows).to_dense().T)
    return result


def precision(histories: Graph, reg_weight: float) -> torch.dtype:
    """Single where the solution's error stays below a thousandth, else double.

    The condition of R'R + l I bounds it, and the largest row sum bounds the eigenvalues of a matrix of
    numbers >= 0.
    """
    per_user = histories.crow.diff().to(histories.val.dtype)[:, None]
    sums = propagate(histories.transpose(), per_user)
    largest = float(sums.max()) if len(sums) else 0.0
    single = torch.finfo(torch.float32).eps * (1 + largest / reg_weight) <= _SINGLE
    return torch.float32 if single else torch.float64


@torch.no_grad()
def ease(histories: Graph, reg_weight: float) -> Tensor:
    """B = I - P / diag(P) with P = (R'R + l I)^-1, float32 [n_items, n_items], zeros on the diagonal."""
    matrix = gram(histories.with_values(histories.val.to(precision(histories, reg_weight))))
    matrix.diagonal().add_(reg_weight)
    torch.linalg.cholesky(matrix, out=matrix)
    matrix = torch.cholesky_inverse(matrix)
    matrix /= -matrix.diagonal().clone()
    # Rows by rows: by columns, as it is solved, every batch of scores would copy it.
    return matrix.fill_diagonal_(0).float().contiguous()


def z_scores(scores: Tensor) -> Tensor:
    """Every column [n_items, n_users] less its mean, by its standard deviation; 0 where all are equal."""
    mean = scores.mean(0)
    scores = scores - mean
    return scores.mul_(1 / _spread(scores, mean))


def deviations(scores: Tensor) -> Tensor:
    """The standard deviation of every column [n_items, n_users]; infinite where all are equal."""
    mean = scores.mean(0)
    return _spread(scores - mean, mean)


def _spread(centred: Tensor, mean: Tensor) -> Tensor:
    deviation = (centred.square().sum(0) / len(centred)).sqrt()
    return torch.where(deviation > _EQUAL * mean.abs(), deviation, torch.inf)
