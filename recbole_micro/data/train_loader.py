"""RecBole's training loaders on arrays, with the plugin's choice of negatives."""

from contextlib import nullcontext

import torch
from recbole.data.dataloader import TrainDataLoader as RecBoleTrainDataLoader
from recbole.data.dataloader import UserDataLoader as RecBoleUserDataLoader
from recbole.data.interaction import Interaction
from torch import Tensor

from recbole_micro.data.batches import OnArrays
from recbole_micro.data.cold_items import training_sampler
from recbole_micro.data.interaction import Columns
from recbole_micro.errors import UserError


class TrainDataLoader(RecBoleTrainDataLoader, OnArrays):
    """Negatives are never cold items, and a model of the plugin's scores candidates once for an epoch."""

    def __init__(self, config, dataset, sampler, shuffle=False):
        if not len(dataset):
            raise UserError(
                f"The data set {config['dataset']} has no training interactions: look into the files in "
                f"{config['data_path']}, and at split in eval_args."
            )
        super().__init__(config, dataset, training_sampler(config, dataset, sampler), shuffle=shuffle)

    def _neg_sampling(self, inter_feat):
        if not self.neg_sample_args.get("dynamic", False):
            return super()._neg_sampling(inter_feat)
        choosing = getattr(self.model, "choosing_negatives", nullcontext)
        with choosing():
            return self.sampling_func(inter_feat, self.hardest(inter_feat))

    def hardest(self, batch: Interaction) -> Tensor:
        """Of `candidate_num` negatives for each row the one that the model scores highest, [rows * times]."""
        count = self.neg_sample_args["candidate_num"]
        users, items = (batch[field].numpy() for field in (self.uid_field, self.iid_field))
        drawn = self._sampler.sample_by_user_ids(users, items, self.neg_sample_num * count)
        device = self.model.device
        self.model.eval()
        asked = batch.to(device).repeat(self.neg_sample_num * count)
        asked.update(Interaction({self.iid_field: drawn.to(device)}))
        best = self.model.predict(asked).reshape(count, -1).argmax(0).cpu()
        self.model.train()
        drawn = drawn.reshape(count, -1)
        return drawn[best, torch.arange(drawn.shape[1])]


class UserDataLoader(RecBoleUserDataLoader, OnArrays):
    """Batches of users, for models that take their items from a matrix."""

    def __init__(self, config, dataset, sampler, shuffle=False):
        super().__init__(config, dataset, sampler, shuffle=shuffle)
        self.user_list = Columns.of(self.user_list.interaction)
