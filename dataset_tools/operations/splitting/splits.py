"""Which interactions are for training, validation and test: 0, 1, 2 for each, the same for the same seed.

No split depends on the order of the interactions, only on their ids.
"""

from dataclasses import replace

import numpy as np

from dataset_tools.dataset.interactions import Interactions
from dataset_tools.errors import DataError

NAMES = ("paper", "cold", "none")  # those that `apply` knows
SMALL = 10  # a user with fewer interactions gives one each to validation and test
WITHHELD = 0.2  # share of a user's interactions, or of the items, that is not for training


def per_user(interactions: Interactions, seed: int = 0) -> Interactions:
    """The MICRO paper's split: 80/10/10 of each user's interactions at random.

    Users with fewer than 10 give 1 to validation and 1 to the test; the others a fifth, halved, the odd one
    to validation.  A user's only interaction, or one of two, stays in training.
    """
    rank, count = _ranks(interactions, _random_keys(interactions, seed))
    withheld = np.where(count < SMALL, np.minimum(2, count - 1), (WITHHELD * count + 1e-9).astype(np.int64))
    test = np.where(withheld == 1, 1, withheld // 2)
    return _parts(interactions, rank, test, withheld)


def by_ratio(
    interactions: Interactions, ratios: tuple[float, float, float], seed: int = 0, by_time: bool = False
) -> Interactions:
    """Shares of each user's interactions, at random or with the latest in the test set.

    Shares are rounded down; one that comes to less than an interaction is one, the test's first, as long as
    training keeps one (RecBole's `Dataset._calcu_split_ids`).
    """
    if len(ratios) != 3 or min(ratios) < 0 or abs(sum(ratios) - 1) > 1e-6:
        raise DataError(f"The ratios {ratios} must be three shares that add up to 1.")
    if by_time:
        if interactions.timestamp is None:
            raise DataError("The data set has no timestamps, so it cannot be split by time.")
        order = -interactions.timestamp
    else:
        order = _random_keys(interactions, seed)
    rank, count = _ranks(interactions, order)
    test, valid = (np.floor(ratio * count + 1e-9).astype(np.int64) for ratio in (ratios[2], ratios[1]))
    for part, ratio in ((test, ratios[2]), (valid, ratios[1])):
        part += (ratio > 0) & (part == 0) & (count - test - valid > 1)
    return _parts(interactions, rank, test, test + valid)


def cold(interactions: Interactions, seed: int = 0, share: float = WITHHELD) -> Interactions:
    """The paper's cold-start split: a share of the items is kept for test (half) and validation."""
    items = len(interactions.items)
    order = cold_order(items, seed, share)
    part = np.zeros(items, dtype=np.int8)
    part[order], part[order[: len(order) // 2]] = 1, 2
    return replace(interactions, part=part[interactions.item])


def cold_order(n_items: int, seed: int, share: float) -> np.ndarray:
    """The item numbers that `cold` withholds; the first half is the test's."""
    if not 0 < share < 1:
        raise DataError(f"The share {share} of cold items must lie between 0 and 1.")
    if int(share * n_items) < 2:
        raise DataError(
            f"A share of {share} of {n_items} items is {int(share * n_items)} cold item(s): "
            "choose a larger share, so that validation and test have one each."
        )
    return np.random.default_rng(seed).permutation(n_items)[: int(share * n_items)]


def _random_keys(interactions: Interactions, seed: int) -> np.ndarray:
    """One random number per interaction that depends on its ids and the seed, not on its place."""
    keys = np.empty(len(interactions))
    keys[np.lexsort((interactions.item, interactions.user))] = np.random.default_rng(seed).random(len(keys))
    return keys


def _ranks(interactions: Interactions, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each interaction's place by `keys` among its user's (ties by item), and the user's count."""
    order = np.lexsort((interactions.item, keys, interactions.user))
    count = np.bincount(interactions.user, minlength=len(interactions.users))
    first = np.concatenate([[0], np.cumsum(count)[:-1]]) if len(count) else count
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order)) - first[interactions.user[order]]
    return rank, count[interactions.user]


def _parts(
    interactions: Interactions, rank: np.ndarray, test: np.ndarray, withheld: np.ndarray
) -> Interactions:
    """The first `test` of a user's interactions are 2, up to `withheld` 1, the rest 0."""
    part = np.where(rank < test, 2, np.where(rank < withheld, 1, 0))
    return replace(interactions, part=part.astype(np.int8))


def apply(interactions: Interactions, how: str, seed: int = 0) -> Interactions:
    """A split by its name on the command line: paper, cold, or none (RecBole splits)."""
    if how == "none":
        return replace(interactions, part=None)
    return per_user(interactions, seed) if how == "paper" else cold(interactions, seed)
