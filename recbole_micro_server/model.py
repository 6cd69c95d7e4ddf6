"""An exported model: lists, neighbours and reasons by NumPy, with the data set's own ids."""

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from dataset_tools.errors import DataError
from recbole_micro_server import layout
from recbole_micro_server.layout import Rows, read_array, read_json
from recbole_micro_server.reasons import Reasons
from recbole_micro_server.walk import Walk

MOST_POINTS = 20_000  # of the map: a browser draws no more at once, nor does anybody see more


class UnknownId(LookupError):
    """A user, an item or a kind of neighbours that the folder does not have; its text is one sentence."""


class ExportedModel:
    """What `recbole-micro export` wrote to `folder`; every answer is made of plain values.

    Arrays are mapped, so that several processes share one copy.  Raises DataError for a folder that is no
    export, or a damaged one; its methods raise UnknownId.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self.manifest: dict[str, Any] = layout.read_manifest(self.folder)
        try:
            self._read()
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f"{self.folder} is damaged, or of another version ({error!r}): export again."
            ) from error

    def _read(self) -> None:
        """Read ids and columns, map the arrays."""
        self.users: list[str] = read_json(self.folder / layout.USERS)
        self.columns: dict[str, list[str]] = read_json(self.folder / layout.ITEMS)
        self.items = self.columns["id"]
        n_users, n_items = len(self.users), len(self.items)
        self.user_vectors = self.array(layout.USER_VECTORS, n_users, None)
        self.item_vectors = self.array(layout.ITEM_VECTORS, n_items, self.user_vectors.shape[1])
        starts = self.array(layout.SEEN_STARTS, n_users + 1)
        items = self.array(layout.SEEN_ITEMS, int(starts[-1]))
        self.seen = Rows(starts, items, items)
        self.user_row = {user: row for row, user in enumerate(self.users)}
        self.item_row = {item: row for row, item in enumerate(self.items)}
        self.neighbours = {
            by: [self.array(file, n_items, None) for file in layout.neighbour_files(by)]
            for by in self.manifest["neighbours"]
        }
        entry, reasons = self.manifest.get("walk"), self.folder / layout.REASONS
        self.walk = Walk(self.folder, entry, n_users, n_items) if entry else None
        whole = self.manifest["modalities"]
        self.reasons = Reasons(reasons, n_users, n_items, self.walk) if whole else None

    def array(self, name: str, *shape: int | None) -> np.ndarray:
        """An array of the folder; DataError where it does not fit."""
        return read_array(self.folder / name, *shape)

    def row_of_user(self, user: str) -> int:
        """The row of a user; UnknownId for others."""
        row = self.user_row.get(user)
        if row is None:
            raise UnknownId("There is no such user in this model: give an id as in the data set.")
        return row

    def row_of_item(self, item: str) -> int:
        """The row of an item; UnknownId for others."""
        row = self.item_row.get(item)
        if row is None:
            raise UnknownId("There is no such item in this model: give an id as in the data set.")
        return row

    def item(self, row: int) -> dict[str, Any]:
        """An item for people: `id`, and `title`, `category` and `picture` where they are known."""
        found: dict[str, Any] = {"id": self.items[row]}
        found |= {
            name: self.columns[name][row] for name in ("title", "category", "picture") if name in self.columns
        }
        return {name: value for name, value in found.items() if value}

    def item_details(self, item: str) -> dict[str, Any]:
        """An item with every column that was exported, how many users had it, and its attention."""
        row = self.row_of_item(item)
        more = {name: column[row] for name, column in self.columns.items() if name != "id" and column[row]}
        details = {"id": item, **more, "users": int(self.popularity[row])}
        if self.reasons is not None:
            details["attention"] = self.reasons.attention_of(row)
        return details

    @cached_property
    def pictures(self) -> frozenset[str]:
        """The names of all pictures."""
        return frozenset(filter(None, self.columns.get("picture", [])))

    @cached_property
    def popularity(self) -> np.ndarray:
        """How many users had each item, [n_items]."""
        return np.bincount(np.asarray(self.seen.columns), minlength=len(self.items))

    def history(self, user: str) -> list[dict[str, Any]]:
        """The items that a user has had, the newest first where the data say so."""
        return [self.item(int(row)) for row in self.seen.row(self.row_of_user(user))[0]]

    def recommend(self, user: str, k: int = 20, keep_seen: bool = False) -> list[dict[str, Any]]:
        """The k best items of a user, best first, with their `rank` and `score`.

        What the user has had is left out but for `keep_seen`.
        """
        row = self.row_of_user(user)
        scores = self.scores(row)
        if not keep_seen:
            scores[self.seen.row(row)[0]] = -np.inf
        return [
            {"rank": rank, **self.item(int(place)), "score": float(scores[place])}
            for rank, place in enumerate(best(scores, k), 1)
        ]

    def scores(self, user: int) -> np.ndarray:
        """The scores of all items for the user in this row, [n_items]."""
        scores = self.item_vectors @ self.user_vectors[user]
        return scores if self.walk is None else scores + self.walk.scores(user)

    @property
    def kinds(self) -> list[str]:
        """What `similar` can go by, its default first."""
        return list(self.neighbours)

    def similar(self, item: str, k: int = 10, by: str | None = None) -> list[dict[str, Any]]:
        """The k items nearest to an item, nearest first, with their `cosine`; no more than were exported.

        `by`: whose vectors are compared, one of `kinds`.
        """
        row = self.row_of_item(item)
        if by is not None and by not in self.neighbours:
            raise UnknownId(f"Neighbours go by {', '.join(self.kinds)} in this model: choose one of these.")
        items, cosines = (part[row, :k] for part in self.neighbours[by or self.kinds[0]])
        near = zip(items[items >= 0].tolist(), cosines[items >= 0].tolist(), strict=True)
        return [{**self.item(place), "cosine": cosine} for place, cosine in near]

    def explain(self, user: str, item: str, limit: int | None = None) -> dict[str, Any]:
        """The score of an item for a user taken apart, as `recbole-micro explain --out F.json` writes it.

        `collaborative`, the shares of `neighbours` and `rest` sum to `score`; `rest` is what the neighbours
        beyond the `limit` largest shares add, `through` what all of a modality do.
        Raises UnknownId where the model has no such parts.
        """
        u, i = self.row_of_user(user), self.row_of_item(item)
        if self.reasons is None:
            name, why = self.manifest["model"], self.manifest["why"]
            raise UnknownId(f"{name} was exported without what explanations need: {why}")
        found = self.reasons.of(u, i, limit)
        had = set(self.seen.row(u)[0].tolist())
        titles = self.columns.get("title")
        neighbours = [
            {
                "modality": m,
                "item": self.items[j],
                "title": (titles[j] or None) if titles else None,
                "hops": hops,
                "share": share,
                "chosen": j in had,
            }
            for m, j, hops, share in found.neighbours
        ]
        return {
            "user": user,
            "item": item,
            "score": float(self.scores(u)[i]),
            "collaborative": found.collaborative,
            "through": found.through,
            "modalities": self.reasons.attention_of(i),
            "neighbours": neighbours,
            "rest": found.rest,
        }

    def find_users(self, text: str, limit: int) -> list[str]:
        """The user of this id, then the first whose ids begin with it, then those that have it elsewhere."""
        begins = [user for user in self.users if user.startswith(text)]
        begins.sort(key=lambda user: user != text)
        if len(begins) < limit and text:
            begins += [user for user in self.users if text in user[1:] and not user.startswith(text)]
        return begins[:limit]

    def map(self) -> dict[str, Any]:
        """The 2-D map of the items: ids, titles, `x`, `y`, categories, and attention by modality.

        Of more than `MOST_POINTS` items every second, third, ... one.
        """
        points = self.array(layout.MAP, len(self.items), 2)
        step = -(-len(self.items) // MOST_POINTS) or 1
        names = [name for name in ("id", "title", "category") if name in self.columns]
        found: dict[str, Any] = {name: self.columns[name][::step] for name in names}
        found |= {axis: rounded(points[::step, column]) for column, axis in enumerate("xy")}
        if self.reasons is not None:
            attention = self.reasons.attention_by_modality()
            found["attention"] = {m: values[::step] for m, values in attention.items()}
        return found


def best(scores: np.ndarray, k: int) -> np.ndarray:
    """Places of the k highest finite scores, highest first, the lower place first among equals."""
    places = np.flatnonzero(np.isfinite(scores))
    if k < len(places):
        least = np.partition(scores[places], len(places) - k)[len(places) - k]
        places = places[scores[places] >= least]
    return places[np.lexsort((places, -scores[places]))][:k]


def rounded(values: np.ndarray) -> list[float]:
    """Coordinates with four digits: a page needs no more."""
    return np.round(values.astype(float), 4).tolist()
