"""Raw features as models take them in: through a linear map, or whitened to start from."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse.linalg
import torch
from torch import Tensor, nn

from recbole_micro.data.features import Modality
from recbole_micro.nn.device import HoldsTensors

_DENSE = 1024  # up to this many rows or columns all singular vectors are computed, beyond it those needed
_RANK = 1e-5  # smaller singular values, relative to the greatest, are rounding


class FeatureTransform(HoldsTensors):
    """e~ = W e + b of one modality's features e (MICRO Eq. 4), [n_items, size].

    An item without features gets zeros.
    `freeze_features`: keep the raw features e fixed and out of the state dict, or train them.
    """

    def __init__(self, modality: Modality, size: int, freeze_features: bool = True):
        super().__init__()
        self.mask = modality.mask
        self.raw = modality.values if freeze_features else nn.Parameter(modality.values.clone())
        self.transform = nn.Linear(modality.values.shape[1], size)
        nn.init.xavier_uniform_(self.transform.weight)

    def transformed(self, items: Tensor | None = None) -> Tensor:
        """e~ of these items [batch], or of all."""
        raw, mask = (self.raw, self.mask) if items is None else (self.raw[items], self.mask[items])
        return self.transform(raw) * mask[:, None]

    forward: Callable[..., Any] = transformed


def whitened(modality: Modality, size: int) -> Tensor:
    """Left singular vectors of the present rows times sqrt(rows / size), greatest value first, [n, size].

    Rows have a length of about 1 on average; absent rows are zeros.  In each column the largest entry is
    positive.  Where the features have a smaller rank than `size`, the other columns are drawn, with entries
    of the same scale.
    """
    present = modality.mask & modality.values.ne(0).any(1)
    if not present.any():
        return torch.zeros(len(modality.values), size)
    rows = modality.values[present].numpy()
    vectors = torch.from_numpy(left_singular_vectors(rows, size)).float()
    columns = torch.randn(len(rows), size) / math.sqrt(size)
    columns[:, : vectors.shape[1]] = vectors * math.sqrt(len(rows) / size)
    result = torch.zeros(len(modality.values), size)
    result[present] = columns
    return result


def all_vectors(n_rows: int, width: int, size: int) -> bool:
    """Whether all singular vectors are computed, in double precision, to keep the first `size`."""
    return min(n_rows, width) <= max(_DENSE, size)


def left_singular_vectors(rows: np.ndarray, size: int) -> np.ndarray:
    """Those of the `size` greatest singular values, or of all that are not zero, [n, <= size]."""
    if all_vectors(rows.shape[0], rows.shape[1], size):
        vectors, values, _ = scipy.linalg.svd(rows.astype(np.float64), full_matrices=False)
    else:
        start = np.ones(min(rows.shape), dtype=rows.dtype)  # ARPACK draws one otherwise
        vectors, values, _ = scipy.sparse.linalg.svds(rows, size, v0=start)
    order = np.argsort(-values, kind="stable")[:size]
    order = order[values[order] > _RANK * values.max(initial=0)]
    vectors = vectors[:, order]
    largest = np.abs(vectors).argmax(0)
    return vectors * np.sign(vectors[largest, np.arange(len(largest))])
