"""What a score has beside the dot product of vectors: a step from the user's own items to others near."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from recbole_micro_server import layout
from recbole_micro_server.layout import Rows, read_array

COLLABORATIVE = "collaborative"  # of the graphs, the one of items that users have in common


class Walk:
    """`weight` (sqrt(p^C) + sqrt(p^F)): p are the probabilities that a step from one of the user's training
    items ends at an item, by the users that both have (C) and by all modalities' features together (F).

    `entry`: of the manifest, with the `graphs` by name in their order, and the `weight`.  Row j of `near` has
    n_items * g + i for every item i that item j hands something to in the graph g, and how much.
    """

    def __init__(self, folder: Path, entry: Mapping[str, Any], n_users: int, n_items: int):
        self.graphs, self.weight = list(entry["graphs"]), float(entry["weight"])
        self.n_items = n_items
        starts = read_array(folder / layout.OWN_STARTS, n_users + 1)
        items = read_array(folder / layout.OWN_ITEMS, int(starts[-1]))
        self.own = Rows(starts, items, items)
        starts = read_array(folder / layout.WALK_STARTS, n_items + 1)
        columns, values = (
            read_array(folder / name, int(starts[-1])) for name in (layout.WALK_ITEMS, layout.WALK_VALUES)
        )
        self.near = Rows(starts, columns, values)

    def scores(self, user: int) -> np.ndarray:
        """What is added to the user's score of every item, [n_items]."""
        own = self.own.row(user)[0]
        if not len(own):
            return np.zeros(self.n_items)
        columns, values = (np.concatenate(part) for part in zip(*map(self.near.row, own), strict=True))
        found = np.bincount(columns, values, len(self.graphs) * self.n_items)
        reached = dict(zip(self.graphs, found.reshape(-1, self.n_items) / len(own), strict=True))
        together = reached.pop(COLLABORATIVE, np.zeros(1))
        return self.weight * (np.sqrt(together) + np.sqrt(sum(reached.values(), np.zeros(self.n_items))))

    def shares(self, user: int, item: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """By graph, from which of the user's own items what is added to this one comes, and how much."""
        own = self.own.row(user)[0]
        found = {}
        for number, name in enumerate(self.graphs):
            amounts = np.array([self.handed(int(j), item + number * self.n_items) for j in own])
            found[name] = own[amounts > 0], amounts[amounts > 0] / max(1, len(own))
        features = sum(float(amounts.sum()) for name, (_, amounts) in found.items() if name != COLLABORATIVE)
        totals = {
            name: float(found[name][1].sum()) if name == COLLABORATIVE else features for name in self.graphs
        }
        return {
            name: (items, self.weight * amounts / np.sqrt(totals[name]) if len(items) else amounts)
            for name, (items, amounts) in found.items()
        }

    def handed(self, own: int, column: int) -> float:
        """What an item hands to a column of `near`."""
        columns, values = self.near.row(own)
        return float(values[columns == column].sum())
