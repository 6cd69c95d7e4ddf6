"""What a run's folder keeps beside the means: the test user by user and item by item, and the epochs."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from recbole.data.dataloader import AbstractDataLoader
from recbole.evaluator import Evaluator
from torch import Tensor

from dataset_tools.files import replacing, write_text
from recbole_micro.checkpoint import plain
from recbole_micro.evaluation.collector import Collector
from recbole_micro.evaluation.ranking import PLAIN, rankings

USERS, ITEMS, EPOCHS = "users.parquet", "items.parquet", "epochs.csv"
TRAIN, TEST, HITS = "train", "test", "hits@{}"  # columns: interactions of a user or an item, hits of an item


@dataclass
class Details:
    """What the first ranking of an evaluation found; filled while it runs.

    `values`: each ranking metric per user, `{metric@k: [n_users]}`, the values whose mean RecBole reports.
    `listed` and `hit` [n_users, k]: the items of the lists, and 1 where they are test items; None where the
    evaluation has no lists.
    """

    values: dict[str, np.ndarray] = field(default_factory=dict)
    listed: Tensor | None = None
    hit: Tensor | None = None


def record(evaluator: Evaluator, collector: Collector | None = None) -> Details:
    """Details that the next evaluation fills; of items only with the `collector` that it uses."""
    details = Details()
    if collector is not None:
        collector.keep_items()
    evaluate = evaluator.evaluate

    def caught_lists(struct: Any) -> Mapping[str, float]:
        if details.listed is None and "rec.items" in struct and "rec.topk" in struct:
            details.listed, details.hit = struct.get("rec.items"), struct.get("rec.topk")[:, :-1]
        return evaluate(struct)

    def caught_mean(original: Callable) -> Callable:
        def topk_result(metric: str, value: np.ndarray) -> dict[str, float]:
            result = original(metric, value)
            for name in result:
                details.values.setdefault(name, value[:, int(name.rpartition("@")[2]) - 1])
            return result

        return topk_result

    evaluator.evaluate = caught_lists
    for metric in evaluator.metric_class.values():
        if hasattr(metric, "topk_result"):
            metric.topk_result = caught_mean(metric.topk_result)
    return details


def write_details(
    folder: Path,
    train_data: AbstractDataLoader,
    test_data: AbstractDataLoader,
    details: Details,
    test_result: Mapping[str, float],
) -> None:
    """Write `users.parquet`, and `items.parquet` where the lists are known, of the test's first ranking."""
    if not test_data:
        return
    ranking = next(iter(rankings(test_data).values()))
    front = "" if ranking.name == PLAIN else f"{ranking.name}:"
    known = [name for name in details.values if not math.isnan(test_result[front + name])]
    values = {name: np.asarray(details.values[name], dtype=np.float64) for name in known}
    write_table(folder / USERS, users_table(train_data, ranking.loader, values))
    if details.listed is not None and details.hit is not None:
        write_table(folder / ITEMS, items_table(train_data, ranking.loader, details.listed, details.hit))


def users_table(
    train_data: AbstractDataLoader, loader: AbstractDataLoader, values: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    """One row per user of the test set: token, number of training interactions, metrics.

    Metrics that do not apply to the model (NaN in the result) are left out before.
    """
    dataset = loader._dataset
    if getattr(loader, "is_sequential", False):
        users = dataset.inter_feat[dataset.uid_field]
    else:
        users = loader.uid_list
    users = np.asarray(users)
    activity = counts(train_data._dataset, dataset.uid_field, dataset.user_num)
    return {"user": list(dataset.id2token(dataset.uid_field, users)), TRAIN: activity[users], **values}


def items_table(
    train_data: AbstractDataLoader, loader: AbstractDataLoader, listed: Tensor, hit: Tensor
) -> dict[str, Any]:
    """One row per item: token, numbers of training and of test interactions, and how many of the latter are
    among the first k of their users' lists, for every k of the configuration."""
    dataset = loader._dataset
    test = dataset.inter_feat
    users, items = (np.asarray(test[name]) for name in (dataset.uid_field, dataset.iid_field))
    items = np.unique(np.stack([users, items]), axis=1)[1]
    columns: dict[str, Any] = {
        "item": list(dataset.id2token(dataset.iid_field, np.arange(dataset.item_num))),
        TRAIN: counts(train_data._dataset, dataset.iid_field, dataset.item_num),
        TEST: np.bincount(items, minlength=dataset.item_num),
    }
    found, is_hit = listed.cpu().numpy(), hit.cpu().numpy() > 0
    for k in loader.config["topk"]:
        hits = found[:, :k][is_hit[:, :k]]
        columns[HITS.format(k)] = np.bincount(hits, minlength=dataset.item_num)
    return {name: column[1:] for name, column in columns.items()}  # 0 pads


def counts(dataset: Any, field_name: str, n: int) -> np.ndarray:
    """How many interactions of a data set each id has, [n]."""
    return np.bincount(np.asarray(dataset.inter_feat[field_name]), minlength=n)


def write_table(path: Path, columns: Mapping[str, Any]) -> None:
    """A Parquet file of these columns."""
    with replacing(path) as part:
        pq.write_table(pa.table(dict(columns)), part)


def write_epochs(
    path: Path,
    losses: Mapping[int, float],
    validations: Mapping[int, Mapping],
    seconds: Mapping[int, float],
) -> None:
    """One row per epoch: its number from 1, the training loss, its seconds (training and validation), the
    validation metrics where there are any."""
    names = list(next(iter(validations.values()), {}))
    lines = [",".join(["epoch", "train_loss", "seconds", *names])]
    for epoch in sorted({*losses, *validations}):
        row = [losses.get(epoch, ""), seconds.get(epoch, "")]
        row += [validations.get(epoch, {}).get(name, "") for name in names]
        lines.append(",".join(map(str, [epoch + 1, *map(plain, row)])))
    write_text(path, "\n".join(lines) + "\n")
