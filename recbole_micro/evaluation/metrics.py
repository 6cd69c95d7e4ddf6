"""The plugin's metric, and results that say how they were measured."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
from recbole.evaluator import register
from recbole.evaluator.base_metric import AbstractMetric
from recbole.evaluator.collector import DataStruct
from recbole.evaluator.metrics import NDCG


class NDCGOnArrays(NDCG):
    """RecBole's NDCG@k, the same numbers, without a step of Python for each user."""

    def metric_info(self, pos_index: np.ndarray, pos_len: np.ndarray) -> np.ndarray:
        """NDCG@1 to @k of every user, [n_users, k]; `pos_len` [n_users]: how many positives each has."""
        length = pos_index.shape[1]
        discount = 1.0 / np.log2(np.arange(1.0, length + 1) + 1)
        last = np.minimum(pos_len, length)[:, None] - 1
        ideal = np.cumsum(discount)[np.minimum(np.arange(length), last)]
        return np.cumsum(np.where(pos_index, discount, 0), axis=1) / ideal


class NDCG_hits(NDCG):
    """NDCG@k with the ideal list of the hits among the k items instead of the user's positives.

    That of MICRO's published code: never below NDCG@k, and not comparable with it.
    """

    def metric_info(self, pos_index: np.ndarray, pos_len: np.ndarray | None = None) -> np.ndarray:
        """NDCG@1 to @k of every user, [n_users, k]; `pos_index` [n_users, k]: whether an item is a hit."""
        discount = 1 / np.log2(np.arange(pos_index.shape[1]) + 2)
        gain = np.cumsum(pos_index * discount, axis=1)
        ideal = np.concatenate([[1.0], np.cumsum(discount)])  # without hits the gain is 0
        return gain / ideal[np.cumsum(pos_index, axis=1)]

    def calculate_metric(self, dataobject: DataStruct) -> dict[str, float]:
        """`{ndcg_hits@k: mean over users}` (RecBole hook)."""
        return self.topk_result("ndcg_hits", self.metric_info(self.used_info(dataobject)[0]))


# A new metric is one line here and a class with RecBole's interface.
METRICS: dict[str, type[AbstractMetric]] = {"NDCG_hits": NDCG_hits}


# What lists show beside their hits: RecBole's metrics of how much of the catalogue they hold, how evenly, how
# popular it is, and how rare.
BEYOND = ("ItemCoverage", "GiniIndex", "AveragePopularity", "TailPercentage")


def with_beyond(metrics: Sequence[str]) -> list[str]:
    """These metrics, and those of `BEYOND` that are not among them."""
    known = [name.lower() for name in metrics]
    return [*metrics, *(name for name in BEYOND if name.lower() not in known)]


def register_metrics() -> None:
    """Make the plugin's metrics known to RecBole; idempotent."""
    for name, metric in METRICS.items():
        register_metric(name, metric)


def register_metric(name: str, metric: type[AbstractMetric]) -> None:
    """Make a metric known to RecBole; `metrics` names it, in any case of letters.

    The class has RecBole's attributes `metric_need` (what is collected), `metric_type` and `smaller`
    (whether smaller values are better).
    """
    key = name.lower()
    register.metrics_dict[key] = metric
    register.metric_information[key] = metric.metric_need
    register.metric_types[key] = metric.metric_type
    if metric.smaller and key not in register.smaller_metrics:
        register.smaller_metrics.append(key)


class Metrics(OrderedDict):
    """Results of one evaluation, `{metric: value}`, with the protocol and what else they must say.

    `note`: in which ranking they were measured, where that is not all items, and for what a model says
    nothing; empty otherwise.
    """

    def __init__(self, values: Any = (), protocol: str = "recbole", note: str = ""):
        super().__init__(values)
        self.protocol, self.note = protocol, note

    @property
    def label(self) -> str:
        """Protocol and note, for people."""
        return ", ".join(filter(None, (self.protocol, self.note)))

    def __reduce__(self):
        return type(self), (dict(self), self.protocol, self.note)

    def __repr__(self):
        return f"{dict(self)} (protocol: {self.label})"

    __str__ = __repr__
