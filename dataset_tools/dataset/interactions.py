"""Interactions as integer columns with their vocabularies: what converters build and writers take."""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from dataset_tools.formats.atomic import check_tokens, numbers, quote, token_problem

PARTS = ("train", "valid", "test")
AT_ONCE = 1 << 20  # rows that are written together


@dataclass(frozen=True)
class Interactions:
    """`n` interactions; `user` and `item` index the sorted lists `users` and `items`.

    `rating` and `timestamp` (float64) and `part` (0 train, 1 valid, 2 test) are None where not known.
    """

    users: list[str]
    items: list[str]
    user: np.ndarray
    item: np.ndarray
    rating: np.ndarray | None = None
    timestamp: np.ndarray | None = None
    part: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.user)

    def take(self, rows: np.ndarray) -> "Interactions":
        """The given rows (indices or a mask) with the vocabularies unchanged."""
        pick: dict[str, Any] = {
            name: None if column is None else column[rows] for name, column in self.columns().items()
        }
        return replace(self, **pick)

    def columns(self) -> dict[str, np.ndarray | None]:
        """The columns [n] by name; None where one is not known."""
        return {name: getattr(self, name) for name in ("user", "item", "rating", "timestamp", "part")}

    def compact(self, keep_items: bool = False) -> "Interactions":
        """Vocabularies without entries that no interaction uses (items stay with `keep_items`)."""
        users, user = _compact(self.users, self.user)
        items, item = (self.items, self.item) if keep_items else _compact(self.items, self.item)
        return replace(self, users=users, items=items, user=user, item=item)

    def header(self) -> list[str]:
        """The `name:type` fields of an atomic file, for `rows`."""
        optional = [f"{name}:float" for name in ("rating", "timestamp") if getattr(self, name) is not None]
        return ["user_id:token", "item_id:token", *optional]

    def columns_of_text(self) -> Iterator[list[pa.Array]]:
        """The fields of `header`, portion by portion, as an atomic file has them."""
        users, items = (
            pa.array(map(quote, tokens), pa.large_string()) for tokens in (self.users, self.items)
        )
        floats = [column for column in (self.rating, self.timestamp) if column is not None]
        for start in range(0, len(self), AT_ONCE):
            rows = slice(start, start + AT_ONCE)
            ids = [users.take(pa.array(self.user[rows])), items.take(pa.array(self.item[rows]))]
            yield [*ids, *(numbers(column[rows]) for column in floats)]


def used(index: np.ndarray) -> np.ndarray:
    """The different numbers >= 0 in `index`, sorted."""
    return np.flatnonzero(np.bincount(index)) if len(index) else np.empty(0, dtype=np.int64)


def _compact(tokens: list[str], index: np.ndarray) -> tuple[list[str], np.ndarray]:
    kept = used(index)
    if len(kept) == len(tokens):
        return tokens, index
    place = np.zeros(len(tokens), dtype=np.int32)
    place[kept] = np.arange(len(kept), dtype=np.int32)
    return [tokens[i] for i in kept.tolist()], place[index]


class Builder:
    """Collects interactions one at a time: about 24 bytes each, plus one copy of every id."""

    def __init__(self, rating: bool = False, timestamp: bool = False, part: bool = False):
        self._users: dict[str, int] = {}
        self._items: dict[str, int] = {}
        self._user, self._item = array("i"), array("i")
        self._rating = array("d") if rating else None
        self._timestamp = array("d") if timestamp else None
        self._part: array[Any] | None = array("b") if part else None

    def __len__(self) -> int:
        """The number of interactions so far."""
        return len(self._user)

    def add_item(self, item: str) -> None:
        """Know an item, whether or not somebody interacted with it."""
        self._items.setdefault(item, len(self._items))

    def problem(self, user: str, item: str) -> str | None:
        """Why RecBole could not hold these ids, or None; what is added all the same, `build` refuses."""
        for token, kind, known in ((user, "user", self._users), (item, "item", self._items)):
            found = None if token in known else token_problem(token, kind)
            if found:
                return found
        return None

    def add(self, user: str, item: str, rating: float = 0.0, timestamp: float = 0.0, part: int = 0) -> None:
        """Append an interaction; what the builder does not keep (see `__init__`) is passed over."""
        self._user.append(self._users.setdefault(user, len(self._users)))
        self._item.append(self._items.setdefault(item, len(self._items)))
        columns: tuple[tuple[array[Any] | None, Any], ...] = (
            (self._rating, rating),
            (self._timestamp, timestamp),
            (self._part, part),
        )
        for column, value in columns:
            if column is not None:
                column.append(value)

    def extend(
        self,
        users: Sequence[str],
        user: np.ndarray,
        items: Sequence[str],
        item: np.ndarray,
        rating: np.ndarray | None = None,
        timestamp: np.ndarray | None = None,
        part: int = 0,
    ) -> None:
        """Append interactions by columns [n]; `user`, `item` index `users`, `items`, which all occur."""
        for tokens, index, known, column in (
            (users, user, self._users, self._user),
            (items, item, self._items, self._item),
        ):
            place = np.fromiter((known.setdefault(one, len(known)) for one in tokens), np.int32, len(tokens))
            column.frombytes(place[index].tobytes())
        for kept, values in ((self._rating, rating), (self._timestamp, timestamp)):
            if kept is not None:
                kept.frombytes((np.zeros(len(user)) if values is None else values).tobytes())
        if self._part is not None:
            self._part.frombytes(np.full(len(user), part, dtype=np.int8).tobytes())

    def mark(self) -> tuple[int, int, int]:
        """What `back` returns to."""
        return len(self._user), len(self._users), len(self._items)

    def back(self, mark: tuple[int, int, int]) -> None:
        """Forget what was added since `mark`."""
        rows, users, items = mark
        for known, size in ((self._users, users), (self._items, items)):
            while len(known) > size:
                known.popitem()
        for column in (self._user, self._item, self._rating, self._timestamp, self._part):
            if column is not None:
                del column[rows:]

    def build(self) -> Interactions:
        """Interactions in the order they came, with sorted vocabularies; refuses ids RecBole cannot hold."""
        check_tokens(self._users, "user")
        check_tokens(self._items, "item")
        users, user_rank = _sorted(self._users)
        items, item_rank = _sorted(self._items)
        return Interactions(
            users,
            items,
            user_rank[np.frombuffer(self._user, dtype=np.int32)]
            if len(self._user)
            else np.empty(0, np.int32),
            item_rank[np.frombuffer(self._item, dtype=np.int32)]
            if len(self._item)
            else np.empty(0, np.int32),
            _column(self._rating, np.float64),
            _column(self._timestamp, np.float64),
            _column(self._part, np.int8),
        )


def _sorted(tokens: dict[str, int]) -> tuple[list[str], np.ndarray]:
    order = sorted(tokens)
    rank = np.empty(len(order), dtype=np.int32)
    rank[[tokens[token] for token in order]] = np.arange(len(order), dtype=np.int32)
    return order, rank


def _column(values: array | None, dtype: type) -> np.ndarray | None:
    return None if values is None else np.array(values, dtype=dtype)
