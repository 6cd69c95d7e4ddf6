"""BM3 against its equations."""

import torch
from torch.nn.functional import dropout

from tests.models.shared import ModelTests
from tests.support.dense import affine, half_squares, lightgcn


def distance(a, b):
    """1 - mean cosine of the rows of `a` and `b`."""
    return 1 - sum(torch.cosine_similarity(x, y, dim=0) for x, y in zip(a, b, strict=True)) / len(a)


class TestBM3(ModelTests):
    name = "BM3"
    small = dict(reg_weight=0.1)
    cases = {
        "no dropout": dict(dropout=0.0),
        "two layers": dict(n_ui_layers=2, cl_weight=0.5),
        "trained features": dict(freeze_features=False),
    }
    reads_features = False  # they shape training, not the score
    world = dict(embedding_size=16)
    band = (0.0, 0.25)  # chance is 1 / 12

    def online(self, model, n_ui_layers=1, **options):
        user, item = lightgcn(model, n_ui_layers)
        return user, item + model.backbone.item_embedding.weight

    def forward(self, model, **options):
        return tuple(affine(model.predictor, x) for x in self.online(model, **options))

    def losses(self, model, batch, reg_weight, dropout=0.3, cl_weight=2.0, **options):
        users, items = batch["user_id"], batch["item_id"]
        user, item = self.online(model, **options)
        u, i = user[users], item[items]
        u_target, i_target = (self.target(x, dropout) for x in (u, i))
        predict = lambda x: affine(model.predictor, x)  # noqa: E731
        joint = distance(predict(u), i_target) + distance(predict(i), u_target)
        modal = 0
        for transform, modality in zip(model.transforms, model.modalities.values(), strict=True):
            f, known = affine(transform.transform, transform.raw[items]), modality.mask[items]
            f_target = self.target(f * known[:, None], dropout)
            modal = modal + distance(predict(f)[known], i_target[known])
            modal = modal + distance(predict(f)[known], f_target[known])
        return joint, cl_weight * modal, reg_weight * half_squares(u, i) / len(users)

    @staticmethod
    def target(x, p):
        return dropout(x.detach(), p)

    def test_no_negatives_are_drawn(self, bench, tmp_path):
        from recbole.data import create_dataset, data_preparation

        from recbole_micro import Config

        config = Config("BM3", "world", config_dict=bench.world.config())
        batch = next(iter(data_preparation(config, create_dataset(config))[0]))
        assert set(batch.interaction) == {"user_id", "item_id"}
