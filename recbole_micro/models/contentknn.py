"""ContentKNN: nearest neighbours by features, without training (Pazzani and Billsus, 2007)."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from recbole_micro.models.memory import Sizes
from recbole_micro.models.score_parts import OwnItems, ScoreParts
from recbole_micro.models.without_epochs import WithoutEpochs
from recbole_micro.nn.graph import mix
from recbole_micro.nn.ops import propagate


class ContentKNN(WithoutEpochs):
    r"""How similar an item's features are to those of the user's items: what features say by themselves.

    .. math::
        s(u, i) = \frac{1}{|M_i|} \sum_{m \in M_i} \sum_{j \in N_u \cap N_k^m(i)} \cos(f_i^m, f_j^m)

    :math:`N_u` are the user's training items, :math:`N_k^m(i)` the k items nearest to i, :math:`M_i` the
    modalities that i has; an item with none scores 0.  Nothing is learned and interactions decide nothing
    else, so every gain over it is one of training.  Content-based recommendation: Pazzani and Billsus, The
    Adaptive Web 2007, https://doi.org/10.1007/978-3-540-72079-9_10.  Options and their defaults:
    `properties/model/ContentKNN.yaml`.
    """

    ranks_cold_items = True

    @classmethod
    def graph_sizes(cls, config: Mapping[str, Any], sizes: Sizes) -> dict[str, int]:
        graphs = super().graph_sizes(config, sizes)
        graphs["item graphs"] *= 2  # each modality's, and their sum
        return graphs

    def __init__(self, config, dataset):
        super().__init__(config, dataset)
        n_modalities = torch.stack([modality.mask for modality in self.modalities.values()]).sum(0)
        self.graphs = {m: self.neighbours(config, m) for m in self.modalities}
        for modality, graph in self.graphs.items():
            self.graphs[modality] = graph.with_values(graph.val / n_modalities[graph.row.long()])
        self.similarity = mix(self.graphs.values(), [1.0] * len(self.graphs))

    def score_parts(self) -> ScoreParts:
        return OwnItems(
            self.histories, self.graphs, lambda user: dict.fromkeys(self.graphs, 1.0), self.score_of
        )

    def scores(self, users: Tensor) -> Tensor:
        return propagate(self.similarity, self.items_of(users).to_dense().T).T
