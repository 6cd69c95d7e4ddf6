"""Evaluation by several processes with the result of one.

RecBole gives every process its share of the users, some of them twice so that the shares are equal, and
averages rounded averages.  Here the batches are those of one process, each is ranked by one process, and the
metrics are computed from the rankings of all users.
"""

import copy
from itertools import islice

import torch
import torch.distributed as dist
from recbole.data.dataloader import FullSortEvalDataLoader, NegSampleEvalDataLoader
from recbole.evaluator import Collector
from recbole.trainer import Trainer

from recbole_micro.distributed import from_first, same_draws

PER_USER = ("rec.topk", "rec.meanrank", "rec.score", "rec.items", "data.label")


def own_batches(count: int) -> range:
    """The batches, of `count`, that this process ranks: a range, in the order of the processes."""
    rank, size = dist.get_rank(), dist.get_world_size()
    return range(rank * count // size, (rank + 1) * count // size)


class Batches:
    """The rows of a loader's batches, of some batches only."""

    def __init__(self, rows, own: range):
        self.rows, self.own = rows, own

    def __iter__(self):
        return islice(self.rows, self.own.start, self.own.stop)

    def __len__(self):
        return max(1, len(self.own))  # RecBole does not evaluate an empty loader at all


class Drawn:
    """Some batches of a loader that samples items: all are drawn, as one process would, and some are kept."""

    def __init__(self, loader: NegSampleEvalDataLoader, own: range):
        self.loader, self.own = loader, own

    def __iter__(self):
        return (batch for number, batch in enumerate(self.loader) if number in self.own)

    def __len__(self):
        return max(1, len(self.own))

    def __getattr__(self, name):
        return getattr(vars(self)["loader"], name)


def share(loader):
    """This process's share of an evaluation loader."""
    own = own_batches(len(loader))
    if not isinstance(loader, FullSortEvalDataLoader):
        return Drawn(loader, own)
    part = copy.copy(loader)
    vars(part)["batch_sampler"] = Batches(loader.batch_sampler, own)  # PyTorch refuses to set it by name
    return part


def whole_loader(original):
    """An evaluation loader holds all users, in batches as large as in one process."""

    def __init__(self, config, dataset, sampler, shuffle=False):
        before = config["single_spec"]
        config["single_spec"] = True
        try:
            original(self, config, dataset, sampler, shuffle=shuffle)
        finally:
            config["single_spec"] = before

    return __init__


def shared_work(original):
    """Every process ranks its share; sampled items are those of the first process."""

    def evaluate(self, eval_data, load_best_model=True, model_file=None, show_progress=False):
        if self.config["single_spec"] or not eval_data:
            return original(self, eval_data, load_best_model, model_file, show_progress)
        with same_draws(self.device):
            return original(self, share(eval_data), load_best_model, model_file, show_progress)

    return evaluate


def all_users(original):
    """What the metrics are computed from is that of all users, in the order of one process."""

    def get_data_struct(self):
        struct = original(self)
        if self.config["single_spec"]:
            return struct
        parts = [None] * dist.get_world_size()
        dist.all_gather_object(parts, {name: struct.get(name) for name in PER_USER if name in struct})
        for name in PER_USER:
            found = [part[name] for part in parts if name in part]
            if found:
                struct.set(name, torch.cat(found))
        return struct

    return get_data_struct


def one_result(original):
    """The first process's result counts: last digits that differ must not let one process stop alone."""

    def _map_reduce(self, result, num_sample):
        return from_first(result)

    return _map_reduce


WRAPS = (
    (FullSortEvalDataLoader, "__init__", whole_loader),
    (NegSampleEvalDataLoader, "__init__", whole_loader),
    (Trainer, "evaluate", shared_work),
    (Trainer, "_map_reduce", one_result),
    (Collector, "get_data_struct", all_users),
)
