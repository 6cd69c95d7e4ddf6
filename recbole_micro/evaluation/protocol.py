"""Protocols of evaluation: what is masked at test, and which ideal NDCG is measured against.

`recbole` masks a user's training and validation items when the test items are ranked, `paper` (MICRO's
published code) the training items only.  While the validation items are ranked, both mask the training items.
"""

import copy
from collections.abc import Mapping
from types import MethodType
from typing import Any

import numpy as np
import torch
from recbole.data.dataloader import FullSortEvalDataLoader
from recbole.data.dataset import Dataset
from recbole.data.interaction import Interaction
from recbole.sampler import Sampler
from recbole.trainer import Trainer

from recbole_micro.errors import UserError
from recbole_micro.evaluation.metrics import Metrics

PROTOCOLS = ("recbole", "paper")


def metrics_of(final: Mapping[str, Any]) -> list[str]:
    """The metrics to compute: with `ndcg_ideal: hits` the paper's NDCG beside the usual one."""
    metrics = [final["metrics"]] if isinstance(final["metrics"], str) else list(final["metrics"])
    names = [str(metric).lower() for metric in metrics]
    if final.get("ndcg_ideal") == "hits" and "ndcg" in names and "ndcg_hits" not in names:
        metrics.insert(names.index("ndcg") + 1, "NDCG_hits")
    return metrics


def evaluate(
    trainer: Trainer,
    test_data: FullSortEvalDataLoader,
    protocol: str,
    load_best_model: bool = False,
    **options: Any,
) -> Metrics | None:
    """The `Metrics` of `trainer.model` on `test_data` under a protocol, whatever the configuration says.

    Other arguments are those of RecBole's `Trainer.evaluate`; `load_best_model` reads the checkpoint first.
    """
    return trainer.evaluate(under(test_data, protocol), load_best_model=load_best_model, **options)


def under(loader: FullSortEvalDataLoader, protocol: str) -> FullSortEvalDataLoader:
    """A copy of a loader of full ranking that masks what the protocol says; UserError for an unknown one."""
    if protocol not in PROTOCOLS:
        raise UserError(f"There is no protocol {protocol!r}: it is one of {', '.join(PROTOCOLS)}.")
    other = copy.copy(loader)
    other.collate_fn = MethodType(type(loader).collate_fn, other)  # PyTorch keeps that of the first loader
    other.protocol = protocol
    other.uid2history_item = histories(loader, masked_parts(loader._sampler, protocol))
    other.parts = {name: (under(part, protocol), items) for name, (part, items) in loader.parts.items()}
    return other


def masked_parts(sampler: Sampler, protocol: str) -> list[Dataset]:
    """The data sets whose interactions are masked while those of `sampler.phase` are ranked."""
    earlier = sampler.datasets[: sampler.phases.index(sampler.phase)]
    return earlier[:1] if protocol == "paper" else earlier


def histories(loader: FullSortEvalDataLoader, datasets: list[Dataset]) -> np.ndarray:
    """Per user the items of `datasets` that are none of its positives in `loader`, [n_users] of objects.

    An entry is a tensor of item ids, or None for a user whom the loader does not have.
    """
    n_items = loader._dataset.item_num
    users = np.asarray(loader.uid_list)
    seen = [pair_keys(dataset.inter_feat, loader, n_items) for dataset in datasets]
    positive = [np.asarray(loader.uid2positive_item[user]) + user * n_items for user in users]
    masked = np.setdiff1d(np.concatenate(seen), np.concatenate(positive))
    first, last = np.searchsorted(masked, [users * n_items, (users + 1) * n_items])
    items = torch.from_numpy(masked % n_items)
    result = np.full(len(loader.uid2positive_item), None, dtype=object)
    for user, start, end in zip(users, first, last, strict=True):
        result[user] = items[start:end]
    return result


def pair_keys(interactions: Interaction, loader: FullSortEvalDataLoader, n_items: int) -> np.ndarray:
    """One whole number per interaction, in the order of users, then items."""
    return np.asarray(interactions[loader.uid_field]) * n_items + np.asarray(interactions[loader.iid_field])
