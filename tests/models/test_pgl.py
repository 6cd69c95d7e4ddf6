"""PGL against its equations."""

import torch
from torch.nn.functional import dropout

from tests.models.shared import ModelTests, SamplesEdges
from tests.support.dense import adjacency, affine, bpr, frozen_graph, one_way_contrast, unit


class TestPGL(SamplesEdges, ModelTests):
    name = "PGL"
    small = dict(knn_k=4, edge_dropout=0.0, cl_weight=0.3)
    cases = {
        "no contrast": dict(cl_weight=0.0),
        "no dropout": dict(dropout=0.0, tau=0.5),
        "other layers": dict(n_item_layers=2, n_ui_layers=1),
        "no item layer": dict(n_item_layers=0, n_ui_layers=3),
        "other weights": dict(modality_weights={"textual": 3, "visual": 1}),
        "trained features": dict(freeze_features=False),
    }
    band = (0.8, 1.0)

    def forward(self, model, knn_k, n_item_layers=1, n_ui_layers=2, modality_weights=None, **options):
        parts = [
            unit(affine(transform.transform, transform.raw, modality.mask))
            for transform, modality in zip(model.transforms, model.modalities.values(), strict=True)
        ]
        x, a = torch.cat(parts, 1), adjacency(model)
        layers = [torch.cat([model.user_embedding.weight, x])]
        for _ in range(n_ui_layers):
            layers.append(a @ layers[-1])
        user, item = (sum(layers) / len(layers)).split([model.n_users, model.n_items])
        b = frozen_graph(model, knn_k, modality_weights)
        return user, item + torch.linalg.matrix_power(b, n_item_layers) @ x

    def losses(self, model, batch, cl_weight, dropout=0.2, tau=0.2, **options):
        user, item = self.forward(model, **options)
        u, i, j = user[batch["user_id"]], item[batch["item_id"]], item[batch["neg_item_id"]]
        contrast = torch.zeros(())
        if cl_weight:
            for x in (u, i):
                copies = [self.dropped(x, dropout) for _ in range(2)]
                contrast = contrast + cl_weight / 2 * one_way_contrast(*copies, tau).mean()
        return bpr(u, i, j), contrast

    @staticmethod
    def dropped(x, p):
        return dropout(x, p)

    def test_a_part_that_an_item_lacks_is_zero(self, bench):
        model = self.make(bench)
        for part, modality in zip(model.features().chunk(2, 1), model.modalities.values(), strict=True):
            lengths = part.norm(dim=1)
            assert torch.allclose(lengths[modality.mask], torch.ones(()).double())
            assert not lengths[~modality.mask].any()
