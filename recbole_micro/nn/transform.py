"""One modality's raw features and their linear transform (MICRO Eq. 4; models that read the vectors)."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from recbole_micro.data.features import Modality
from recbole_micro.nn.device import HoldsTensors


class FeatureTransform(HoldsTensors):
    """e~ = W e + b, [n_items, size]; an item without features gets zeros.

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
