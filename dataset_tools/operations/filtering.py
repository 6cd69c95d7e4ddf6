"""Choosing interactions: one per pair of user and item, a least rating, a k-core."""

import numpy as np

from dataset_tools.dataset.interactions import Interactions
from dataset_tools.errors import DataError


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
