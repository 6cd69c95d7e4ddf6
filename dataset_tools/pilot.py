"""What features say about behaviour: the MICRO paper's Tables 1 and 2, and a check of alignment."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

SIMILAR_K = (5, 10, 15, 20)
ALIGNMENT_K = 10
SHUFFLES = 20
PAIRS_AT_ONCE = 8192


@dataclass(frozen=True)
class Behaviour:
    """Who used what: binary `matrix` [users, items]; `pairs` [p, 2] of items that some user has both."""

    matrix: sp.csr_array
    pairs: np.ndarray

    @classmethod
    def of(cls, user: np.ndarray, item: np.ndarray, users: int, items: int) -> "Behaviour":
        ones = np.ones(len(user), dtype=np.int32)
        matrix = sp.csr_array((ones, (user, item)), shape=(users, items))
        matrix.data[:] = 1
        together = sp.triu(matrix.T @ matrix, k=1).tocoo()
        return cls(matrix, np.stack([together.row, together.col], axis=1))


def unit_rows(values: np.ndarray) -> np.ndarray:
    """Rows of length 1; rows of zeros stay zeros."""
    length = np.linalg.norm(values, axis=1, keepdims=True)
    return values / np.where(length > 0, length, 1.0)


def mean_similarity(unit: np.ndarray, pairs: np.ndarray) -> tuple[float, float]:
    """Table 1: mean cosine of all pairs of items, and of the given pairs [p, 2] (NaN without any)."""
    n = len(unit)
    total = np.square(unit.sum(axis=0, dtype=np.float64)).sum() - np.square(unit, dtype=np.float64).sum()
    everything = total / (n * (n - 1)) if n > 1 else float("nan")
    together = 0.0
    for start in range(0, len(pairs), PAIRS_AT_ONCE):
        left, right = pairs[start : start + PAIRS_AT_ONCE].T
        together += float(np.einsum("ij,ij->", unit[left], unit[right], dtype=np.float64))
    return float(everything), together / len(pairs) if len(pairs) else float("nan")


def neighbours(unit: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k most similar other rows: (index [n, k], cosine [n, k]), k cut to what there is."""
    from sklearn.neighbors import NearestNeighbors

    k = min(k, len(unit) - 1)
    if k < 1:
        return np.empty((len(unit), 0), dtype=np.int64), np.empty((len(unit), 0))
    search = NearestNeighbors(n_neighbors=k, metric="cosine", algorithm="brute").fit(unit)
    distance, index = search.kneighbors()
    return index, 1.0 - distance


def similar_pair_share(matrix: sp.csr_array, index: np.ndarray, k: int) -> float:
    """Table 2: the share of users with two items of which one is among the other's k nearest neighbours.

    `matrix` [users, items] is binary, `index` [items, >= k] leaves the item itself out: with it every user
    would count.  Users with one item count as having no pair.
    """
    n, k = index.shape[0], min(k, index.shape[1])
    rows = np.repeat(np.arange(n), k)
    graph = sp.csr_array((np.ones(n * k, dtype=np.int32), (rows, index[:, :k].ravel())), shape=(n, n))
    hits = (matrix @ graph).multiply(matrix).sum(axis=1)
    return float((np.asarray(hits).ravel() > 0).mean())


def alignment(index: np.ndarray, pairs: np.ndarray, seed: int = 0) -> tuple[float, float, bool]:
    """(co-interacted share of neighbour pairs, the same with shuffled items, whether the first is no larger).

    The neighbours count as misaligned where their share lies within 3 standard deviations of what shuffled
    items give.
    """
    n = index.shape[0]
    index = index[:, :ALIGNMENT_K]
    left, right = np.repeat(np.arange(n), index.shape[1]), index.ravel()
    known = np.unique(_key(pairs[:, 0], pairs[:, 1], n))
    real = _share(left, right, known, n)
    generator = np.random.default_rng(seed)
    shuffled = []
    for _ in range(SHUFFLES):
        place = generator.permutation(n)
        shuffled.append(_share(place[left], place[right], known, n))
    mean, spread = float(np.mean(shuffled)), float(np.std(shuffled))
    return real, mean, real <= mean + 3 * spread


def _key(left: np.ndarray, right: np.ndarray, n: int) -> np.ndarray:
    return np.minimum(left, right).astype(np.int64) * n + np.maximum(left, right)


def _share(left: np.ndarray, right: np.ndarray, known: np.ndarray, n: int) -> float:
    if not len(left) or not len(known):
        return 0.0
    keys = _key(left, right, n)
    place = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    return float((known[place] == keys).mean())
