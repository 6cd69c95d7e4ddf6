"""Metrics of lists and scores that come from anywhere, under the plugin's protocols."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from recbole.config import Config as RecBoleConfig
from recbole.data.dataloader import AbstractDataLoader
from recbole.data.dataset import Dataset
from recbole.evaluator import Collector, Evaluator
from recbole.evaluator.register import metric_information
from torch import Tensor

from recbole_micro.data.lacking import GROUPS
from recbole_micro.errors import UserError
from recbole_micro.evaluation.metrics import Metrics
from recbole_micro.evaluation.ranking import PLAIN, WHAT, Ranking, rankings
from recbole_micro.inference.list_files import read_lists
from recbole_micro.inference.recommend import ByUser

OF_LISTS = (
    PLAIN,
    "cold_all",
    "warm_all",
    *GROUPS,
)  # rankings of all items: a list says nothing about the others


class Given:
    """Scores of items by user, from a table of pairs; an item without a score is not recommended.

    `user`, `item` [n_pairs]: internal ids; `value`: larger is better.  `lists`: whether the pairs are top-k
    lists, which say nothing about what is below them.
    """

    def __init__(self, user: np.ndarray, item: np.ndarray, value: np.ndarray, n_items: int, lists: bool):
        self.pairs, self.n_items, self.lists = ByUser(user, item), n_items, lists
        self.value = torch.from_numpy(value)[self.pairs.order]

    def scores(self, users: Tensor) -> Tensor:
        """[n_users, n_items], minus infinity where there is none."""
        row, place = self.pairs.rows(users.numpy())
        scores = torch.full((len(users), self.n_items), -torch.inf, dtype=torch.float64)
        scores[row, self.pairs.item[place]] = self.value[place]
        return scores


class Measured(NamedTuple):
    """Metrics, and remarks on what of the file took no part."""

    metrics: Metrics
    remarks: list[str]


def read_given(path: Path, dataset: Dataset, lists: bool) -> tuple[Given, list[str]]:
    """What a file of lists, or of scores, says about a data set's users and items; remarks on the others.

    Lists are ordered by their `rank`, or else by `score`, or else as they stand; scores need `score`, or are
    an `.npz` of `users`, `items` and `scores` [n_users, n_items].  Raises UserError for a pair that comes
    twice, and for a file of other users or items.
    """
    table = matrix_table(path) if path.suffix == ".npz" and not lists else read_lists(path)
    if not lists and "score" not in table:
        raise UserError(f"{path} has no column score: name it with --lists where it has lists.")
    fields = {"user_id": dataset.uid_field, "item_id": dataset.iid_field}
    ids = {name: table[name].map(dataset.field2token_id[field]).fillna(0) for name, field in fields.items()}
    user, item = (ids[name].to_numpy(dtype=np.int64) for name in fields)
    remarks = []
    for name, known in (("users", user > 0), ("items", item > 0)):
        if not known.any():
            first = table[f"{name[:-1]}_id"].iloc[0] if len(table) else "none"
            raise UserError(
                f"{path} has no {name} of {dataset.dataset_name} (first: {first}): write its ids."
            )
        if not known.all():
            count = table.loc[~known, f"{name[:-1]}_id"].nunique()
            remarks.append(f"{count:,} {name} of {path} are none of {dataset.dataset_name}'s.")
    if lists:
        column = "rank" if "rank" in table else "score" if "score" in table else None
        value = np.arange(len(table), dtype=float) if column is None else table[column].to_numpy(dtype=float)
        value = value if column == "score" else -value
    else:
        value = table["score"].to_numpy(dtype=float)
    there = (user > 0) & (item > 0)
    twice = pd.Series(user[there] * dataset.item_num + item[there]).duplicated().to_numpy()
    if twice.any():
        row = table[there].iloc[int(twice.argmax())]
        raise UserError(
            f"{path} has the item {row['item_id']} twice for the user {row['user_id']}: keep one."
        )
    return Given(user[there], item[there], value[there], dataset.item_num, lists), remarks


def matrix_table(path: Path) -> pd.DataFrame:
    """The rows of an `.npz` of `users`, `items` and `scores`; minus infinity stands for no score."""
    if not path.is_file():
        raise UserError(f"There is no file {path}: name one with lists or scores.")
    try:
        with np.load(path, allow_pickle=False) as file:
            users, items, scores = (file[name] for name in ("users", "items", "scores"))
    except (ValueError, KeyError, OSError) as error:
        raise UserError(f"{path} cannot be read ({error}): write plain users, items and scores.") from error
    if scores.shape != (len(users), len(items)) or np.isnan(scores).any() or (scores == np.inf).any():
        raise UserError(
            f"{path}: scores has the shape {scores.shape} for {len(users)} users and {len(items)} items, or "
            "values that are no numbers: write a finite score for each pair."
        )
    row, column = np.nonzero(scores > -np.inf)
    columns = {"user_id": users[row].astype(str), "item_id": items[column].astype(str)}
    return pd.DataFrame(columns | {"score": scores[row, column]})


def evaluate_given(
    given: Given,
    config: RecBoleConfig,
    train_data: AbstractDataLoader,
    test_data: AbstractDataLoader,
    evaluator: Evaluator | None = None,
) -> Measured:
    """The metrics of `config` on the test set, as those of a model with these lists or scores.

    Raises UserError for metrics that these cannot tell.
    """
    evaluator = evaluator or Evaluator(config)
    check_metrics(evaluator.metrics)
    asked = rankings(test_data)
    asked = {name: one for name, one in asked.items() if not given.lists or name in OF_LISTS}
    collector = Collector(config)
    collector.data_collect(train_data)
    values: dict[str, float] = {}
    remarks: list[str] = []
    for name, ranking in asked.items():
        collect(
            given,
            ranking,
            collector,
            max(config["topk"]),
            evaluator.metrics,
            remarks if name == PLAIN else [],
        )
        struct = collector.get_data_struct()
        front = "" if name == PLAIN else f"{name}:"
        values |= {front + metric: float(value) for metric, value in evaluator.evaluate(struct).items()}
    legend = "; ".join(f"{name}: {WHAT[name]}" for name in asked if name != PLAIN)
    return Measured(Metrics(values, asked[PLAIN].protocol, legend), remarks)


def check_metrics(metrics: Iterable[str]) -> None:
    """Raise UserError for metrics that need a rank or a score of every item."""
    for metric in metrics:
        if {"rec.meanrank", "rec.score"} & set(metric_information[metric]):
            raise UserError(f"{metric} is no metric of top-k lists: leave it out of metrics.")


def collect(
    given: Given,
    ranking: Ranking,
    collector: Collector,
    longest: int,
    metrics: Iterable[str],
    remarks: list[str],
) -> None:
    """Give RecBole's collector the ranking's users, with hits among the items that have a score alone."""
    positives, masked, without, short, hits = [], 0, 0, 0, 0
    for interaction, history, user, item in ranking.loader:
        scores = given.scores(interaction[ranking.loader.uid_field])
        known = scores > -torch.inf
        without += int((~known.any(1)).sum())
        if history is not None:
            masked += int(known[history].sum())
            known[history] = False
        if ranking.candidates is not None:
            known[:, ~ranking.candidates] = False
        scores[~known] = -torch.inf
        short += int((known.sum(1) < longest).sum())
        there = known[user, item]
        hits += int(there.sum())
        positives.append(torch.bincount(user, minlength=len(scores)))
        collector.eval_batch_collect(scores, interaction, user[there], item[there])
    total = torch.cat(positives)
    struct = collector.data_struct
    if "rec.topk" in struct:
        found = struct.get("rec.topk")
        struct.set("rec.topk", torch.cat([found[:, :-1], total[:, None].to(found)], 1))
    whole = [name for name in metrics if "rec.items" in metric_information[name]]
    if short and whole:
        raise UserError(
            f"{', '.join(whole)} cannot be measured: {short:,} of {len(total):,} users have fewer than "
            f"{longest} items left after masking: give longer lists, scores, or a smaller topk."
        )
    if masked:
        protocol = ranking.protocol
        remarks.append(
            f"{masked:,} pairs of user and item are masked under protocol {protocol}: they take no part."
        )
    if without:
        remarks.append(f"{without:,} of {len(total):,} test users have no item: they count as 0.")
    if not hits:
        remarks.append(
            "No test item is among them: lists of recbole-micro recommend need --hide=train,valid for this."
        )
