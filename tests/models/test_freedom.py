"""FREEDOM against its equations."""

import pytest
import torch

from recbole_micro.errors import UserError
from tests.models.shared import ModelTests, SamplesEdges
from tests.support.dense import MODALITIES, affine, bpr, frozen_graph, lightgcn


class TestFREEDOM(SamplesEdges, ModelTests):
    name = "FREEDOM"
    small = dict(knn_k=4, edge_dropout=0.0, reg_weight=0.1)
    cases = {
        "no feature loss": dict(reg_weight=0.0),
        "two item layers": dict(n_item_layers=2, n_ui_layers=1),
        "other weights": dict(modality_weights={"textual": 3, "visual": 1}),
        "trained features": dict(freeze_features=False),
        "negative cosines": dict(knn_k=60),
    }
    band = (0.25, 1.0)

    def forward(self, model, knn_k, n_item_layers=1, n_ui_layers=2, modality_weights=None, **options):
        a = frozen_graph(model, knn_k, modality_weights)
        user, item = lightgcn(model, n_ui_layers)
        h = model.backbone.item_embedding.weight
        for _ in range(n_item_layers):
            h = a @ h
        return user, item + h

    def losses(self, model, batch, reg_weight, **options):
        users, positives, negatives = batch["user_id"], batch["item_id"], batch["neg_item_id"]
        user, item = self.forward(model, **options)
        features = torch.zeros(())
        for transform, modality in zip(model.transforms, model.modalities.values(), strict=True):
            f = affine(transform.transform, transform.raw)
            both = modality.mask[positives] & modality.mask[negatives]
            features = features + bpr(user[users[both]], f[positives[both]], f[negatives[both]])
        return bpr(user[users], item[positives], item[negatives]), reg_weight * features

    @pytest.mark.parametrize(
        "weights",
        [{"visual": 0, "textual": 0}, {"visual": -1}, {"visual": "much"}, {"visual": float("inf")}],
    )
    def test_weights_that_make_no_graph_are_refused(self, bench, weights):
        with pytest.raises(UserError, match="modality_weights"):
            self.make(bench, modality_weights=weights)

    def test_a_modality_that_is_not_named_gets_an_equal_share(self, bench):
        model = self.make(bench, MODALITIES)
        expected = self.forward(model, **self.small)[1]
        assert torch.allclose(model()[1], expected, atol=1e-6)
