"""One modality's item-item graph: initial, learned, and both joined by the skip connection (MICRO Eq. 1-5)."""

from typing import Optional

import torch
from torch import Tensor, nn

from recbole_micro.backbones import HoldsTensors
from recbole_micro.features import Modality
from recbole_micro.graphs import Graph, edge_similarity, knn, mix, normalize, propagate

GRAPH_LEARNING = ("step", "edges", "first_batch", "off")


class ModalityGraph(HoldsTensors):
    """A^m = lambda S~^m + (1 - lambda) A~^m over the items, and the transformed features e~^m = W_m e^m + b_m.

    `graph_learning` says how A~ follows W_m: `step` (neighbours and weights from the current W_m in every step),
    `edges` (neighbours once an epoch, their weights in every step), `first_batch` (neighbours and weights once an
    epoch, with gradient in its first batch only) or `off` (lambda = 1).  Evaluation rebuilds A~ from the current W_m.
    """

    def __init__(
        self,
        modality: Modality,
        size: int,
        knn_k: int = 10,
        lambda_coeff: float = 0.7,
        graph_learning: str = "first_batch",
        clamp_negative: bool = True,
        freeze_features: bool = True,
        **knn_options,
    ):
        super().__init__()
        self.mask = modality.mask
        if freeze_features:
            self.raw = modality.values
        else:
            self.raw = nn.Parameter(modality.values.clone())
        self.transform = nn.Linear(modality.values.shape[1], size)
        nn.init.xavier_uniform_(self.transform.weight)
        self.knn_options = dict(k=knn_k, clamp_negative=clamp_negative, **knn_options)
        self.lambda_coeff = 1.0 if graph_learning == "off" else lambda_coeff
        self.graph_learning = graph_learning
        self.initial = normalize(knn(modality.values, mask=modality.mask, **self.knn_options), "symmetric")
        self.start_epoch()

    def start_epoch(self) -> None:
        """Forget what was built in the last epoch."""
        self.neighbours: Optional[Graph] = None  # `edges`: this epoch's neighbours
        self.joined: Optional[Graph] = None  # `first_batch`: A^m after the first batch

    def transformed(self) -> Tensor:
        """e~ = W_m e + b_m, [n_items, d] (Eq. 4)."""
        return self.transform(self.raw)

    def learned(self) -> Graph:
        """The learned kNN graph before normalisation, its weights with gradient to W_m (Eq. 4)."""
        features = self.transformed()
        learning = self.training and torch.is_grad_enabled()
        neighbours = self.neighbours if learning else None
        if neighbours is None:
            neighbours = knn(features.detach().float(), mask=self.mask, **self.knn_options)
        if not learning:
            return neighbours
        if self.graph_learning == "edges":
            self.neighbours = neighbours
        return neighbours.with_values(edge_similarity(neighbours, features, self.knn_options["clamp_negative"]))

    def forward(self, x: Tensor, n_layers: int) -> Tensor:
        """H_l = A^m H_{l-1} from H_0 = `x` [n_items, d]; H_L, [n_items, d] (Eq. 5, 6)."""
        if not n_layers:
            return x
        if self.lambda_coeff == 1:
            return _repeat(lambda h: propagate(self.initial, h), x, n_layers)
        if self.training and self.joined is not None:
            return _repeat(lambda h: propagate(self.joined, h), x, n_layers)
        share, learned = self.lambda_coeff, normalize(self.learned(), "symmetric")
        if self.graph_learning == "first_batch" and self.training and torch.is_grad_enabled():
            self.joined = mix([self.initial, learned], [share, 1 - share])
        return _repeat(
            lambda h: share * propagate(self.initial, h) + (1 - share) * propagate(learned, h), x, n_layers
        )


def _repeat(step, x: Tensor, times: int) -> Tensor:
    for _ in range(times):
        x = step(x)
    return x
