"""What a score has beside the dot product of vectors: a step from the user's own items to others near."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from recbole_micro_server import layout
from recbole_micro_server.layout import Rows, read_array

COLLABORATIVE = "collaborative"  # the name of the graph of items that users have in common


class Walk:
    """`weight` (sqrt(p^C) + sqrt(p^F)): p are the probabilities that a step from one of the user's training
    items ends at an item, by the users that both have (C) and by all modalities' features together (F).

    `entry`: of the manifest, with the `graphs` by name, C first, and the `weight`.  Row j of `near` has
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
        _, columns, values = self.handed(user)
        found = np.bincount(columns, values, len(self.graphs) * self.n_items).reshape(-1, self.n_items)
        return self.weight * (np.sqrt(found[0]) + np.sqrt(found[1:].sum(axis=0)))

    def shares(self, user: int, item: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """By graph, from which of the user's own items what is added to this one comes, and how much."""
        own, columns, values = self.handed(user)
        reached = columns % self.n_items == item
        own, graph, values = own[reached], columns[reached] // self.n_items, values[reached]
        shares = np.zeros(len(values))
        for part in (graph == 0, graph > 0):
            shares[part] = self.weight * values[part] / np.sqrt(values[part].sum() or 1.0)
        return {name: (own[graph == g], shares[graph == g]) for g, name in enumerate(self.graphs)}

    def handed(self, user: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What the user's own items hand out: which item, to which column of `near`, how likely, [n] each."""
        own = self.own.row(user)[0]
        rows = [self.near.row(item) for item in own]
        counts = [len(columns) for columns, _ in rows]
        columns = np.concatenate([np.zeros(0, dtype=np.int64), *(columns for columns, _ in rows)])
        values = np.concatenate([np.zeros(0), *(values for _, values in rows)])
        return np.repeat(own, counts), columns.astype(np.int64), values / max(1, len(own))
