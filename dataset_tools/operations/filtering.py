"""Choosing interactions: one per pair of user and item, a least rating, a k-core."""

from dataclasses import replace

import numpy as np

from dataset_tools.dataset.interactions import Interactions
from dataset_tools.errors import DataError

EVENTS = ("first", "last", "sum", "count")


def merge(interactions: Interactions, how: str = "first") -> tuple[Interactions, int]:
    """One interaction of every pair of user and item (and part of a fixed split), and how many are gone.

    `first` and `last` are by time where there is one, else by the order of the rows; `sum` adds the ratings,
    `count` makes the number of events the rating, and both keep the time of the last one.
    """
    found = interactions
    if how == "sum" and found.rating is None:
        raise DataError("The interactions have no ratings to add up; name their column.")
    pair = found.user.astype(np.int64) * max(1, len(found.items)) + found.item
    if found.part is not None:
        pair = pair * 3 + found.part
    time = np.zeros(len(found)) if found.timestamp is None else found.timestamp
    order = np.lexsort((np.arange(len(found)), time, pair))
    starts = np.flatnonzero(np.diff(pair[order], prepend=-1))
    ends = np.append(starts[1:], len(found)) - 1
    chosen = order[starts if how == "first" else ends[: len(starts)]]
    if how in ("sum", "count"):
        of_each = np.ones(len(found)) if how == "count" or found.rating is None else found.rating[order]
        rating = np.zeros(len(found))
        rating[chosen] = np.add.reduceat(of_each, starts) if len(starts) else 0.0
        found = replace(found, rating=rating)
    return found.take(np.sort(chosen)), len(interactions) - len(chosen)


def deduplicate(interactions: Interactions) -> tuple[Interactions, int]:
    """The first interaction of every pair of user and item, in their order, and how many were dropped."""
    key = interactions.user.astype(np.int64) * max(1, len(interactions.items)) + interactions.item
    _, first = np.unique(key, return_index=True)
    return interactions.take(np.sort(first)), len(interactions) - len(first)


def at_least(interactions: Interactions, rating: float) -> Interactions:
    """Interactions rated `rating` or better; DataError where there are no ratings."""
    if interactions.rating is None:
        raise DataError("The interactions have no ratings to choose by.")
    return interactions.take(interactions.rating >= rating)


def k_core(interactions: Interactions, k: int) -> Interactions:
    """The largest part in which every user and every item has at least k interactions; ids are compacted."""
    user, item = interactions.user, interactions.item
    keep = np.ones(len(interactions), dtype=bool)
    while True:
        users = np.bincount(user[keep], minlength=len(interactions.users))
        items = np.bincount(item[keep], minlength=len(interactions.items))
        poor = keep & ((users[user] < k) | (items[item] < k))
        if not poor.any():
            return interactions.take(keep).compact()
        keep &= ~poor
