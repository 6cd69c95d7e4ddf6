"""VBPR against its equation."""

import torch

from tests.models.shared import ModelTests
from tests.support.dense import half_squares


class TestVBPR(ModelTests):
    name = "VBPR"
    small = dict(reg_weight=0.01)
    cases = {"no biases": dict(use_bias=False)}
    band = (0.6, 1.0)

    def make(self, bench, modalities=("visual", "textual"), **options):
        """The biases start at 0, where L2 has neither value nor gradient."""
        model = super().make(bench, modalities, **options)
        if model.use_bias:
            for bias in (model.item_bias, model.feature_bias):
                torch.nn.init.normal_(bias, std=0.1)
        return model

    def features(self, model):
        return torch.cat([modality.values for modality in model.modalities.values()], 1)

    def forward(self, model, use_bias=True, **options):
        f = self.features(model)
        user = [model.user_embedding.weight, model.user_taste.weight]
        item = [model.item_embedding.weight, f @ model.feature_map.weight.T]
        if use_bias:
            one = torch.ones(model.n_users, 1)
            user += [one, one]
            item += [f @ model.feature_bias.T, model.item_bias[:, None]]
        return torch.cat(user, 1), torch.cat(item, 1)

    def score(self, model, u, i, use_bias):
        """b_i + g_u . g_i + t_u . (E f_i) + beta' . f_i, pair by pair."""
        f = self.features(model)[i]
        score = model.user_embedding.weight[u] @ model.item_embedding.weight[i]
        score = score + model.user_taste.weight[u] @ (model.feature_map.weight @ f)
        return score + model.item_bias[i] + model.feature_bias[0] @ f if use_bias else score

    def losses(self, model, batch, reg_weight, use_bias=True, **options):
        fields = [batch[field].tolist() for field in ("user_id", "item_id", "neg_item_id")]
        triples = list(zip(*fields, strict=True))
        bpr = reg = 0
        for u, i, j in triples:
            difference = self.score(model, u, i, use_bias) - self.score(model, u, j, use_bias)
            bpr = bpr - difference.sigmoid().log() / len(triples)
            vectors = [model.user_embedding.weight[u], model.user_taste.weight[u]]
            vectors += [model.item_embedding.weight[item] for item in (i, j)]
            vectors += [model.item_bias[item] for item in (i, j)] if use_bias else []
            reg = reg + half_squares(*vectors) / len(triples)
        reg = reg + half_squares(model.feature_map.weight, *([model.feature_bias] if use_bias else []))
        return bpr, reg_weight * reg

    def test_features_are_read_in_the_order_of_the_modalities(self, bench):
        one, other = (self.make(bench, order) for order in (("visual", "audio"), ("audio", "visual")))
        assert one.widths == other.widths[::-1]
        with torch.no_grad():
            swapped = {
                name: torch.cat(one.get_parameter(name).split(one.widths, 1)[::-1], 1)
                for name in ("feature_map.weight", "feature_bias")
            }
            other.load_state_dict({**one.state_dict(), **swapped})
        assert torch.allclose(one.eval().embeddings()[1], other.eval().embeddings()[1])
