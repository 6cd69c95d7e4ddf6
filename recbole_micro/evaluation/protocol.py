"""Protocols of evaluation: what is masked at test, and which ideal NDCG is measured against.

`recbole` masks a user's training and validation items when the test items are ranked, `paper` (MICRO's
published code) the training items only.  While the validation items are ranked, both mask the training items.
"""

import copy
from collections.abc import Mapping
from types import MethodType
from typing import Any

import numpy as np
from recbole.data.dataloader import FullSortEvalDataLoader
from recbole.data.dataset import Dataset
from recbole.sampler import Sampler
from recbole.trainer import Trainer

from recbole_micro.data.pairs import ItemLists
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


def histories(loader: FullSortEvalDataLoader, datasets: list[Dataset]) -> ItemLists:
    """Per user the items of `datasets` that are none of its positives in `loader`."""
    users, items = (
        np.concatenate([np.asarray(one.inter_feat[field]) for one in datasets])
        for field in (loader.uid_field, loader.iid_field)
    )
    positive = loader.uid2positive_item
    return ItemLists.of(users, items, positive.n_users, positive.n_items) - positive
