"""ContentKNN against its equation."""

import torch

from tests.models.shared import WithoutEpochsTests
from tests.support.dense import LACKS_ALL, interactions, knn_graph


def neighbours(values, mask, k):
    """Cosines of the k nearest others of each item, [n, n]."""
    graph = knn_graph(values, mask, k + 1)
    return graph - torch.diag(graph.diagonal())


class TestContentKNN(WithoutEpochsTests):
    name = "ContentKNN"
    small = dict(knn_k=4)
    cases = {"one neighbour": dict(knn_k=1), "all items": dict(knn_k=200)}
    world = dict(knn_k=24)
    band = (0.7, 1.0)

    def scores(self, model, knn_k, **options):
        total = sum(neighbours(values, mask, knn_k) for values, mask in model.modalities.values())
        number = sum(mask.double() for _, mask in model.modalities.values())
        similarity = torch.where(number[:, None] > 0, total / number[:, None].clamp(min=1), 0.0)
        return interactions(model) @ similarity.T

    def test_an_item_without_features_scores_zero_and_no_item_is_its_own_neighbour(self, bench):
        model = self.make(bench)
        missing = bench.item(LACKS_ALL)
        assert not self.all_scores(model)[:, missing].any()
        assert not model.similarity.to_dense().diagonal().any()
