"""Evaluation by several processes with the result of one.

RecBole gives every process its share of the users, some of them twice so that the shares are equal, and
averages rounded averages.  Here the batches are those of one process, each is ranked by one process, and the
metrics are computed from the rankings of all users.
"""

from collections.abc import Iterable, Iterator
from itertools import islice

import torch
import torch.distributed as dist
from recbole.data.dataloader import AbstractDataLoader, FullSortEvalDataLoader
from recbole.evaluator.collector import DataStruct

# What RecBole's collector keeps for each user (or label), by its names.
PER_USER = ("rec.topk", "rec.meanrank", "rec.score", "rec.items", "data.label")


def own_batches(count: int) -> range:
    """The batches, of `count`, that this process ranks: a range, in the order of the processes."""
    rank, size = dist.get_rank(), dist.get_world_size()
    return range(rank * count // size, (rank + 1) * count // size)


class OwnBatches:
    """This process's share of the batches of an evaluation loader.

    Where items are sampled all batches are drawn, as one process would, and some are kept.
    """

    def __init__(self, loader: AbstractDataLoader):
        self.loader, self.own = loader, own_batches(len(loader))

    def __len__(self) -> int:
        return len(self.own)

    def __iter__(self) -> Iterator:
        if isinstance(self.loader, FullSortEvalDataLoader):
            rows: Iterable = islice(self.loader.batch_sampler, self.own.start, self.own.stop)
            return (self.loader.collate_fn(batch) for batch in rows)
        return (batch for number, batch in enumerate(self.loader) if number in self.own)


def of_all_users(struct: DataStruct) -> DataStruct:
    """RecBole's data behind the metrics with the rankings of all processes, in the order of one process."""
    parts: list = [None] * dist.get_world_size()
    dist.all_gather_object(parts, {name: struct.get(name) for name in PER_USER if name in struct})
    for name in PER_USER:
        shares = [part[name] for part in parts if name in part]
        if shares:
            struct.set(name, torch.cat(shares))
    return struct
