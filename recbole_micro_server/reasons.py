"""What explanations are made of: the parts of every score, by modality and by the items that add to it."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from recbole_micro_server.layout import Rows, read_array, read_json
from recbole_micro_server.walk import COLLABORATIVE as BY_USERS
from recbole_micro_server.walk import Walk

INDEX, ATTENTION, COLLABORATIVE = "reasons.json", "attention.npy", "collaborative.npy"


class Found(NamedTuple):
    """The parts of one score; `neighbours`: (modality, row of the item, hops, share), largest shares first.

    `through`: the sum of all shares of each modality; `rest`: of those that are not listed.
    """

    collaborative: float
    through: dict[str, float]
    neighbours: list[tuple[str, int, int, float]]
    rest: float


class Reasons:
    """s(u, i) = x_u . (c_i + sum_m w^m_i * sum_j P^m_ij X^m_j), as `ScoreParts` of recbole_micro has it.

    `users` [n_users, D] is x, `collaborative` [n_items, D] c, and by modality `sources` [n_items, d] X, which
    meet the first d columns of x (behind them may stand a bias), `weights` [n_items, 1 or d] w, `paths` the
    sparse P, `hops` how many steps of a graph each entry of P is.
    `walk`: what scores have beside vectors, whose shares are of one step from the user's own items.
    `attention` [n_items, n], to the modalities `attended`, none in some models.
    """

    def __init__(self, folder: Path, n_users: int, n_items: int, walk: Walk | None = None):
        self.walk = walk
        index = read_json(folder / INDEX)
        self.modalities: list[str] = list(index["sources"])
        self.users = read_array(folder / index["users"], n_users, None)
        width = self.users.shape[1]
        self.attended: list[str] = index["attention"]
        self.attention = read_array(folder / ATTENTION, n_items, len(self.attended))
        self.collaborative = read_array(folder / COLLABORATIVE, n_items, width)
        files = {name: read_array(folder / name, n_items, None) for name in set(index["sources"].values())}
        self.sources = {m: files[name] for m, name in index["sources"].items()}
        self.weights, self.paths, self.hops = {}, {}, {}
        for m in self.modalities:
            self.weights[m] = read_array(folder / f"{m}.weights.npy", n_items, None)
            starts = read_array(folder / f"{m}.starts.npy", n_items + 1)
            entries = int(starts[-1])
            items, values, hops = (
                read_array(folder / f"{m}.{part}.npy", entries) for part in ("items", "values", "hops")
            )
            self.paths[m], self.hops[m] = Rows(starts, items, values), Rows(starts, items, hops)

    def of(self, user: int, item: int, limit: int | None) -> Found:
        """The parts of the score of an item for a user, both by their rows; at most `limit` neighbours."""
        vector = self.users[user].astype(np.float64)
        collaborative = float(self.collaborative[item].astype(np.float64) @ vector)
        beside = self.walk.shares(user, item) if self.walk else {}
        collaborative += float(beside[BY_USERS][1].sum()) if beside else 0.0
        places, steps, parts = [], [], []
        for m in self.modalities:
            items, values = self.paths[m].row(item)
            source = self.sources[m]
            reader = vector[: source.shape[1]] * self.weights[m][item]
            hops, shares = self.hops[m].row(item)[1], values * (source[items].astype(np.float64) @ reader)
            if beside:
                items, hops, shares = joined(items, hops, shares, *beside[m])
            places.append(items)
            steps.append(hops)
            parts.append(shares)
        modality = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        items, hops, shares = (np.concatenate(found) for found in (places, steps, parts))
        order = np.argsort(-np.abs(shares), kind="stable")
        kept, left = order[:limit], order[len(order) if limit is None else limit :]
        names = [self.modalities[number] for number in modality[kept].tolist()]
        rows = (found[kept].tolist() for found in (items, hops, shares))
        through = {m: float(part.sum()) for m, part in zip(self.modalities, parts, strict=True)}
        neighbours = list(zip(names, *rows, strict=True))
        return Found(collaborative, through, neighbours, float(shares[left].sum()))

    def attention_of(self, item: int) -> dict[str, float]:
        """The attention of an item to each modality."""
        return dict(zip(self.attended, self.attention[item].tolist(), strict=True))

    def attention_by_modality(self) -> dict[str, list[float]]:
        """The attention of all items, by modality."""
        columns = np.round(self.attention.astype(float), 3).T
        return dict(zip(self.attended, columns.tolist(), strict=True))


def joined(
    items: np.ndarray, hops: np.ndarray, shares: np.ndarray, own: np.ndarray, more: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Items with their hops and shares, [n] each, and those of `own` one hop away with `more` shares."""
    found, place = np.unique(np.concatenate([items, own]), return_inverse=True)
    least = np.full(len(found), 255, dtype=np.uint8)
    np.minimum.at(least, place, np.concatenate([hops, np.ones(len(own), dtype=np.uint8)]))
    return found, least, np.bincount(place, np.concatenate([shares, more]), len(found))
