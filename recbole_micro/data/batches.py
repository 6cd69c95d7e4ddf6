"""Batches of row numbers as arrays, in the order in which PyTorch's loader would have listed them."""

from collections.abc import Iterator

import numpy as np
import torch
from torch.utils.data import BatchSampler, DataLoader, RandomSampler


class Rows:
    """The rows of a data set, each for itself: a batch of them is the array of their numbers."""

    def __init__(self, count: int):
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, row):
        return row

    __getitems__ = __getitem__  # PyTorch's, for a whole batch


class ArrayBatches(BatchSampler):
    """PyTorch's batches as int64 arrays: the same rows, and the same draws from the same generator."""

    def __iter__(self) -> Iterator[np.ndarray]:  # type: ignore[override]
        order = self.order()
        for start in range(0, len(order), self.batch_size):
            yield order[start : start + self.batch_size]

    def order(self) -> np.ndarray:
        """All rows of one epoch, in their order."""
        sampler = self.sampler
        if type(sampler) is not RandomSampler or sampler.replacement or sampler.generator is None:
            return np.fromiter(sampler, np.int64)
        count = len(sampler.data_source)
        order = torch.randperm(count, generator=sampler.generator)
        torch.randperm(count, generator=sampler.generator)  # PyTorch draws the none of another round as well
        return order.numpy()


class OnArrays(DataLoader):
    """PyTorch's loader behind RecBole's classes: `collate_fn` gets an array of row numbers, not a list."""

    def __init__(self, dataset, *arguments, **named):
        super().__init__(Rows(len(dataset)), *arguments, **named)
        # PyTorch forbids to set it; as an argument it would exclude `sampler`, which RecBole reads.
        vars(self)["batch_sampler"] = ArrayBatches(self.sampler, self.batch_size, self.drop_last)
