"""RecBole's training loader with the plugin's choice of negatives."""

from contextlib import nullcontext

from recbole.data.dataloader import TrainDataLoader as RecBoleTrainDataLoader

from recbole_micro.data.cold_items import training_sampler
from recbole_micro.errors import UserError


class TrainDataLoader(RecBoleTrainDataLoader):
    """Negatives are never cold items, and a model of the plugin's scores candidates once for an epoch."""

    def __init__(self, config, dataset, sampler, shuffle=False):
        if not len(dataset):
            raise UserError(
                f"The data set {config['dataset']} has no training interactions: look into the files in "
                f"{config['data_path']}, and at split in eval_args."
            )
        super().__init__(config, dataset, training_sampler(config, dataset, sampler), shuffle=shuffle)

    def _neg_sampling(self, inter_feat):
        # RecBole sets `model` where sampling is dynamic.
        choosing = getattr(self.model, "choosing_negatives", nullcontext)
        with choosing():
            return super()._neg_sampling(inter_feat)
