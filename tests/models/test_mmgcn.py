"""MMGCN against its equations."""

import torch
from torch.nn.functional import leaky_relu

from tests.models.shared import ModelTests
from tests.support.dense import adjacency, affine, bpr, mean_squares_of_ids, unit


class TestMMGCN(ModelTests):
    name = "MMGCN"
    small = dict(latent=8, reg_weight=0.1)  # the world's features are 8, 9 and 10 wide
    cases = {
        "sum": dict(concat=False),
        "raw width": dict(latent=0),
        "as published": dict(train_id=False),
    }
    world = dict(learning_rate=0.005, embedding_size=16, epochs=60, concat=False)
    band = (0.2, 1.0)

    def forward(self, model, concat=True, latent=8, **options):
        mean, ids, outputs = adjacency(model, "mean"), model.id_embedding.weight, []
        for channel, modality in zip(model.channels, model.modalities.values(), strict=True):
            f = modality.values
            if 0 < latent < f.shape[1]:
                f = affine(channel.features.transform, f, modality.mask)
            x = unit(torch.cat([channel.preference.weight, f]))
            assert len(channel.layers) == 3
            for layer in channel.layers:
                h = leaky_relu(mean @ x @ layer.message.weight.T)
                own = leaky_relu(affine(layer.own, x)) + ids
                x = affine(layer.join, torch.cat([h, own], 1)) if concat else affine(layer.join, h) + own
                x = leaky_relu(x)
            outputs.append(x)
        return (sum(outputs) / len(outputs)).split([model.n_users, model.n_items])

    def losses(self, model, batch, reg_weight, **options):
        users, positives, negatives = batch["user_id"], batch["item_id"], batch["neg_item_id"]
        user, item = self.forward(model, **options)
        reg = mean_squares_of_ids(model, batch) + (model.channels[0].preference.weight ** 2).mean()
        return bpr(user[users], item[positives], item[negatives]), reg_weight * reg

    def test_as_published_ids_and_preferences_stay_as_they_were(self, bench):
        published = self.make(bench, train_id=False)
        still = {name for name, p in published.named_parameters() if not p.requires_grad}
        tables = {"id_embedding.weight", "channels.0.preference.weight", "channels.1.preference.weight"}
        assert still == tables <= set(published.state_dict())
        assert all(p.requires_grad for p in self.make(bench).parameters())
