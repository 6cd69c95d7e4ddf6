"""RecBole's evaluation loaders with their users' items in arrays, and batches made by arrays alone."""

from functools import cached_property
from logging import getLogger

import numpy as np
import torch
from recbole.data.dataloader import FullSortEvalDataLoader as RecBoleFullSortEvalDataLoader
from recbole.data.dataloader import NegSampleEvalDataLoader as RecBoleNegSampleEvalDataLoader
from recbole.data.interaction import Interaction
from recbole.data.transform import Equal
from recbole.utils import InputType, ModelType

from recbole_micro.data.batches import OnArrays
from recbole_micro.data.interaction import Columns
from recbole_micro.data.pairs import ItemLists, Ragged, objects


def never_shuffled(loader: object, shuffle: bool) -> bool:
    """RecBole's warning where an evaluation loader is asked to shuffle; False."""
    if shuffle:
        getLogger().warning(f"{type(loader).__name__} can't shuffle")
    return False


class FullSortArrays(RecBoleFullSortEvalDataLoader, OnArrays):
    """Users with all items to rank.  `uid2positive_item`, `uid2history_item`: `ItemLists`.

    Of sequential models each interaction is ranked by itself, as RecBole does it.
    """

    def __init__(self, config, dataset, sampler, shuffle=False):
        shuffle = never_shuffled(self, shuffle)
        if config["MODEL_TYPE"] == ModelType.SEQUENTIAL:
            super().__init__(config, dataset, sampler, shuffle=shuffle)
            return
        self.logger = getLogger()
        self.uid_field, self.iid_field = dataset.uid_field, dataset.iid_field
        self.is_sequential = False
        dataset.sort(by=self.uid_field, ascending=True)
        users, items = (np.asarray(dataset.inter_feat[field]) for field in (self.uid_field, self.iid_field))
        positive = ItemLists.of(users, items, dataset.user_num, dataset.item_num)
        self.uid2positive_item, self.uid2items_num = positive, positive.counts
        self.uid2history_item = ItemLists.of_keys(sampler.used_ids) - positive
        self.uid_list = torch.from_numpy(np.flatnonzero(positive.counts))
        self.user_df = Columns.of(dataset.join(Interaction({self.uid_field: self.uid_list})).interaction)
        self.sample_size = len(self.user_df)
        # RecBole's own would fill an object a user.
        super(RecBoleFullSortEvalDataLoader, self).__init__(config, dataset, sampler, shuffle=shuffle)

    def collate_fn(self, index):
        """(users, (rows, items) that are masked, rows of positives, positives) of a batch."""
        if self.is_sequential:
            return super().collate_fn(index)
        batch = self.user_df[index]
        users = batch[self.uid_field].numpy()
        return batch, self.uid2history_item.rows(users), *self.uid2positive_item.rows(users)


class NegSampleArrays(RecBoleNegSampleEvalDataLoader, OnArrays):
    """Users with their positives and sampled negatives, or labelled interactions.

    `uid_first` [n_users]: the row at which a user's interactions begin, `uid2items_num`: how many they are.
    """

    def __init__(self, config, dataset, sampler, shuffle=False):
        shuffle = never_shuffled(self, shuffle)
        self.logger = getLogger()
        phase = sampler.phase if sampler is not None else "test"
        self._set_neg_sample_args(config, dataset, InputType.POINTWISE, config[f"{phase}_neg_sample_args"])
        self.sample_size = len(dataset)
        if self.samples:
            dataset.sort(by=dataset.uid_field, ascending=True)
            users = np.asarray(dataset.inter_feat[dataset.uid_field])
            self.uid2items_num = np.bincount(users, minlength=dataset.user_num)
            self.uid_first = np.cumsum(self.uid2items_num) - self.uid2items_num
            self.uid_list = np.flatnonzero(self.uid2items_num)
            self.sample_size = len(self.uid_list)
        super(RecBoleNegSampleEvalDataLoader, self).__init__(config, dataset, sampler, shuffle=shuffle)

    @property
    def samples(self) -> bool:
        """Whether negatives are drawn: not where interactions have labels."""
        return "none" not in (self.neg_sample_args["distribution"], self.neg_sample_args["sample_num"])

    @cached_property
    def uid2index(self) -> np.ndarray:
        """RecBole's: by user a slice of its interactions."""
        ends = self.uid_first + self.uid2items_num
        return objects(slice(start, end) for start, end in zip(self.uid_first, ends, strict=True))

    def _init_batch_size_and_step(self):
        if not self.samples:
            super()._init_batch_size_and_step()
            return
        # As many users as fit even if they are those with most interactions.
        most = np.cumsum(np.sort(self.uid2items_num)[::-1] * self.times)
        self.step = max(1, int(np.searchsorted(most, self.config["eval_batch_size"], side="right")))
        self.set_batch_size(int(most[self.step - 1]))

    def collate_fn(self, index):
        """(interactions, the user's row of each, rows of positives, positives) of a batch."""
        plain = isinstance(self.transform, Equal) and not self.neg_sample_args.get("dynamic", False)
        if not self.samples or not plain:
            return super().collate_fn(index)
        users = self.uid_list[index]
        counts, first = self.uid2items_num[users], self.uid_first[users]
        positive, entry = Ragged.of(counts), Ragged.of(counts * self.times)
        # A user's interactions as often as needed: first they themselves, then with negatives in their place.
        rows = first[entry.row] + entry.place % counts[entry.row]
        negative = entry.place >= counts[entry.row]
        batch = self._dataset.inter_feat[rows]
        owner, items = batch[self.uid_field].numpy(), batch[self.iid_field]
        drawn = self._sampler.one_after_another(
            owner[negative], items.numpy()[negative], counts * self.neg_sample_num
        )
        positives = items[torch.from_numpy(~negative)]
        items[torch.from_numpy(negative)] = drawn
        batch = self._dataset.join(batch)
        batch.update(Interaction({self.label_field: torch.from_numpy(~negative).float()}))
        return batch, torch.from_numpy(entry.row), torch.from_numpy(positive.row), positives
