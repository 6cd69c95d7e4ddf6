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
        raise DataError("The interactions have no ratings to add up; name their column with --rating.")
    order, starts = _by_pair(found, of_parts=True)
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
    order, starts = _by_pair(replace(interactions, timestamp=None))
    return interactions.take(np.sort(order[starts])), len(interactions) - len(starts)


def _by_pair(interactions: Interactions, of_parts: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """The rows pair by pair, those of one by time and then as they stand, and where each pair begins.

    `of_parts`: a pair in two parts of a split is two.
    """
    pair = interactions.user.astype(np.int64) * max(1, len(interactions.items)) + interactions.item
    if of_parts and interactions.part is not None:
        pair = pair * 3 + interactions.part
    order = np.argsort(pair)  # not stable, which takes several times as long; what is equal is sorted below
    ordered = pair[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=-1))
    sizes = np.diff(np.append(starts, len(pair)))
    several = np.repeat(sizes > 1, sizes)
    rows = order[several]
    time = np.zeros(len(rows)) if interactions.timestamp is None else interactions.timestamp[rows]
    order[several] = rows[np.lexsort((rows, time, ordered[several]))]
    return order, starts


def at_least(interactions: Interactions, rating: float) -> Interactions:
    """Interactions rated `rating` or better; DataError where there are no ratings."""
    if interactions.rating is None:
        raise DataError("The interactions have no ratings to choose by.")
    return interactions.take(interactions.rating >= rating)


def k_core(interactions: Interactions, k: int) -> Interactions:
    """The largest part in which every user and every item has at least k interactions; ids are compacted."""
    rows, user, item = np.arange(len(interactions)), interactions.user, interactions.item
    while True:
        users = np.bincount(user, minlength=len(interactions.users))
        items = np.bincount(item, minlength=len(interactions.items))
        rich = (users[user] >= k) & (items[item] >= k)
        if rich.all():
            return interactions.take(rows).compact()
        rows, user, item = rows[rich], user[rich], item[rich]
