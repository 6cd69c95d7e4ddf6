"""Pairs of a user and an item as sorted whole numbers: who has what, for all users at once."""

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

SPREAD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 divided by the golden ratio
LARGEST_TABLE = 26  # 2^26 bytes
Kind = TypeVar("Kind", bound="Pairs")


class Pairs:
    """A set of pairs (user, item), for users below `n_users` and items below `n_items`.

    `keys`: user * n_items + item, int64 ascending, each pair once; on a device `torch.searchsorted` finds
    pairs among them.  `first` [n_users + 1]: where each user's begin.  The ids may be others, such as the
    head and the tail in a knowledge graph.
    """

    def __init__(self, keys: np.ndarray, n_users: int, n_items: int):
        self.keys, self.n_users, self.n_items = keys, n_users, n_items
        self.first = np.searchsorted(keys, np.arange(n_users + 1, dtype=np.int64) * n_items)

    @classmethod
    def of(cls: type[Kind], users: Any, items: Any, n_users: int, n_items: int) -> Kind:
        """Those of two arrays (or tensors) of equal length, in any order and with repetitions."""
        keys = np.asarray(users, dtype=np.int64) * n_items + np.asarray(items, dtype=np.int64)
        return cls(distinct(keys), n_users, n_items)

    @classmethod
    def of_keys(cls: type[Kind], other: "Pairs") -> Kind:
        """The same pairs."""
        return cls(other.keys, other.n_users, other.n_items)

    def __or__(self: Kind, other: "Pairs") -> Kind:
        keys = distinct(np.concatenate([self.keys, other.keys]))
        return type(self)(keys, self.n_users, self.n_items)

    def __sub__(self: Kind, other: "Pairs") -> Kind:
        keys = np.setdiff1d(self.keys, other.keys, assume_unique=True)
        return type(self)(keys, self.n_users, self.n_items)

    def __len__(self) -> int:
        return self.n_users

    @property
    def counts(self) -> np.ndarray:
        """How many items each user has, [n_users]."""
        return np.diff(self.first)

    def contains(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Whether each user has the item at the same place, bool; IndexError for a user that there is not."""
        found = np.zeros(len(users), dtype=bool)
        if not len(self.keys) or not len(users):
            return found
        if users.min() < 0 or users.max() >= self.n_users:
            raise IndexError(f"There are {self.n_users} users.")
        wanted = users * self.n_items + items
        likely = np.flatnonzero(self.hashed[self.hashes(wanted)])  # most are in no pair: no search for those
        wanted = wanted[likely]
        found[likely] = self.keys.take(np.searchsorted(self.keys, wanted), mode="clip") == wanted
        return found

    @cached_property
    def hashed(self) -> np.ndarray:
        """Which hashes the keys have, bool; one in eight or fewer, but for very many pairs."""
        table = np.zeros(2 ** min(max(len(self.keys).bit_length() + 3, 10), LARGEST_TABLE), dtype=bool)
        # `hashes` reads the size of the table.
        self.shift = np.uint64(65 - len(table).bit_length())
        table[self.hashes(self.keys)] = True
        return table

    def hashes(self, keys: np.ndarray) -> np.ndarray:
        """A place in `hashed` for each key: the highest bits of its product with an odd number (Knuth)."""
        return (keys.view(np.uint64) * SPREAD) >> self.shift

    def items_of(self, user: int) -> np.ndarray:
        """The items of one user, ascending."""
        return self.keys[self.first[user] : self.first[user + 1]] - user * self.n_items

    def rows(self, users: np.ndarray) -> tuple[Tensor, Tensor]:
        """All items of these users: the row of the user in `users`, and the item, two int64 tensors."""
        ragged = Ragged.of(self.counts_of(users))
        items = self.keys[self.first[users][ragged.row] + ragged.place] - users[ragged.row] * self.n_items
        return torch.from_numpy(ragged.row), torch.from_numpy(items)

    def counts_of(self, users: np.ndarray) -> np.ndarray:
        """How many items each of these users has."""
        return self.first[users + 1] - self.first[users]


def distinct(keys: np.ndarray) -> np.ndarray:
    """The values of an array, ascending, each once; np.unique hashes such keys, fifty times as slowly."""
    keys = np.sort(keys, kind="stable")  # merges parts that are sorted already
    return keys[np.concatenate([[True], keys[1:] != keys[:-1]])] if len(keys) else keys


class Ragged(NamedTuple):
    """Rows of unequal length, one after another: per entry its row, and its place in the row."""

    row: np.ndarray
    place: np.ndarray

    @classmethod
    def of(cls, lengths: np.ndarray) -> "Ragged":
        """From the length of each row."""
        row = np.repeat(np.arange(len(lengths)), lengths)
        begin = np.cumsum(lengths) - lengths
        return cls(row, np.arange(len(row)) - begin[row])


class UsedIds(Pairs):
    """What RecBole's samplers call `used_ids`: by user a set of items, made where somebody asks for one."""

    def __getitem__(self, user):
        if isinstance(user, (np.ndarray, Sequence)):
            return objects(set(self.items_of(one).tolist()) for one in user)
        return set(self.items_of(user).tolist())


class ItemLists(Pairs):
    """What RecBole's loaders keep by user: a tensor of items, made where somebody asks for one."""

    def __getitem__(self, user):
        if isinstance(user, (np.ndarray, Sequence)):
            return objects(self[int(one)] for one in user)
        return torch.from_numpy(self.items_of(user))


def objects(values: Iterable) -> np.ndarray:
    """An array of objects."""
    values = list(values)
    made = np.empty(len(values), dtype=object)
    made[:] = values
    return made
