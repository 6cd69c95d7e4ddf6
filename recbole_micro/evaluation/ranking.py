"""What is ranked in an evaluation: all items or, in a cold-start run, cold and warm ones by themselves.

Beside the plain ranking of all interactions among all items a cold-start run measures four more: `cold_all`,
a user's cold items among all items; `cold`, among the cold items only; `warm_all`, the other items of users
who have training interactions, among all items, which tells what room for cold items costs; `warm`, the same
among the warm items.  Where items lack features (`split --missing`,
`missing_share`) a user's items are told apart by what they have, among all items: `complete`, `partial`,
`without`.
"""

from collections.abc import Mapping
from logging import getLogger
from typing import NamedTuple

import torch
from recbole.data.dataloader import AbstractDataLoader, FullSortEvalDataLoader
from recbole.data.dataset import Dataset
from recbole.model.abstract_recommender import AbstractRecommender
from torch import Tensor

from recbole_micro.data.cold_items import cold_items
from recbole_micro.data.features import item_groups
from recbole_micro.evaluation.metrics import Metrics

# What each ranking ranks, for people.
PLAIN = "all"
WHAT = {
    PLAIN: "all items",
    "cold_all": "cold items among all items",
    "cold": "cold items among cold items",
    "warm_all": "warm items among all items",
    "warm": "warm items among warm items",
    "complete": "items that have every modality, among all items",
    "partial": "items that lack a modality and have another, among all items",
    "without": "items without any modality, among all items",
}
COLD = ("cold_all", "cold")  # those that a model may not be able to rank
BY_DEFINITION = ("Random", "Pop")  # RecBole's models that say something about items nobody trained on
EQUAL = ("Pop",)  # of these, those that give all cold items the same score, below the others


class Ranking(NamedTuple):
    """One ranking to measure: a loader's users, masks and positives, and which items are ranked.

    `candidates`: bool [n_items], None for all.  `note`: what the metrics must say of it.
    """

    name: str
    loader: AbstractDataLoader
    candidates: Tensor | None
    protocol: str
    note: str


def ranks_cold_items(model: AbstractRecommender) -> bool:
    """Whether a model's scores of cold items mean anything, as it says itself; RecBole's know only ids."""
    return getattr(model, "ranks_cold_items", type(model).__name__ in BY_DEFINITION)


def rankings(loader: AbstractDataLoader) -> dict[str, Ranking]:
    """The rankings of an evaluation loader by name: that of all items first, then those of cold start."""
    protocol, parts = getattr(loader, "protocol", "recbole"), getattr(loader, "parts", {})
    found = {PLAIN: Ranking(PLAIN, loader, None, protocol, WHAT[PLAIN] if parts else "")}
    for name, (part, candidates) in parts.items():
        found[name] = Ranking(name, part, candidates, protocol, WHAT[name])
    return found


def selecting(loader: AbstractDataLoader, model: AbstractRecommender, warned: set[str]) -> Ranking:
    """The ranking by which the epoch is selected; says once (`warned`) where it is not the one asked for."""
    measured = rankings(loader)
    if len(measured) == 1:
        return measured[PLAIN]
    able = ranks_cold_items(model) or loader.selection == PLAIN
    order = (loader.selection, "warm", PLAIN) if able else ("warm", PLAIN)
    chosen = next(name for name in order if name in measured)
    if chosen != loader.selection and chosen not in warned:
        warned.add(chosen)
        reason = "validation has no cold items" if able else f"{type(model).__name__} cannot rank cold items"
        getLogger().warning(f"The epoch is selected by the ranking of {WHAT[chosen]}: {reason}.")
    return measured[chosen]


def joined(model: AbstractRecommender, results: Mapping[str, Metrics]) -> Metrics:
    """One result of all rankings of a test.

    The keys are RecBole's for the plain ranking, and with `cold_all:`, `cold:` and `warm:` in front for the
    others, or those of what items have; what a model cannot rank is NaN.  The note is the legend.
    """
    plain = results[PLAIN]
    if len(results) == 1:
        return plain
    able, name = ranks_cold_items(model), type(model).__name__
    values = {}
    for ranking, result in results.items():
        front = "" if ranking == PLAIN else f"{ranking}:"
        known = ranking not in COLD or able and (ranking == "cold_all" or name not in EQUAL)
        values.update({front + metric: value if known else float("nan") for metric, value in result.items()})
    legend = "; ".join(f"{ranking}: {WHAT[ranking]}" for ranking in results if ranking != PLAIN)
    unable = "" if able or not set(COLD) & set(results) else f"{name} cannot rank cold items"
    return Metrics(values, plain.protocol, ", ".join(filter(None, (legend, unable))))


def cold_start_parts(
    loader: FullSortEvalDataLoader, train: Dataset
) -> dict[str, tuple[Tensor, Tensor | None]]:
    """Per ranking of a cold-start run: the loader's interactions that it measures, the items that it ranks.

    Both are bool, [n_interactions] and [n_items], the latter None for all.  A ranking without interactions is
    left out.
    """
    dataset = loader._dataset
    cold = torch.from_numpy(cold_items(loader.config, train))
    known = torch.zeros(train.user_num, dtype=torch.bool)
    known[train.inter_feat[train.uid_field]] = True
    on_cold = cold[dataset.inter_feat[dataset.iid_field]]
    on_warm = ~on_cold & known[dataset.inter_feat[dataset.uid_field]]
    asked = {"cold_all": (on_cold, None), "cold": (on_cold, cold)}
    asked |= {"warm_all": (on_warm, None), "warm": (on_warm, ~cold)}
    return {name: (chosen, items) for name, (chosen, items) in asked.items() if chosen.any()}


def feature_parts(loader: FullSortEvalDataLoader, train: Dataset) -> dict[str, tuple[Tensor, Tensor | None]]:
    """The same for the rankings by what items have, each of its items' interactions among all items."""
    interactions = loader._dataset.inter_feat[loader._dataset.iid_field]
    found: dict[str, tuple[Tensor, Tensor | None]] = {}
    for name, group in item_groups(loader.config, train).items():
        chosen = torch.from_numpy(group)[interactions]
        if chosen.any():
            found[name] = chosen, None
    return found
