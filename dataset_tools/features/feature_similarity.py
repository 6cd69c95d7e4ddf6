"""What features say about behaviour: the MICRO paper's Tables 1 and 2, and a check of alignment."""

from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp

SIMILAR_K = (5, 10, 15, 20)
ALIGNMENT_K = 10
SHUFFLES = 20
MOST_COMPARED = 2000  # items that `misfit` looks at
FEWEST_COMPARED = 100
MOST_PAIRS = 0.2  # of all pairs of items, those that the users whom it looks at have together
PAIRS_AT_ONCE = 8192  # vectors that are multiplied
SHARED_AT_ONCE = 1 << 22  # pairs of items that some user has both of


def used(user: np.ndarray, item: np.ndarray, users: int, items: int) -> sp.csr_array:
    """Which users have an interaction with which items, [users, items], 0 or 1."""
    matrix = sp.csr_array((np.ones(len(user), dtype=np.int32), (user, item)), shape=(users, items))
    matrix.data[:] = 1
    return matrix


def shared(matrix: sp.csr_array) -> Iterator[tuple[int, sp.csr_array]]:
    """(first row, rows [b, items]) of how many users have both of two items, in portions that fit memory."""
    of_item = matrix.T.tocsr()
    most = np.minimum(of_item @ matrix.sum(axis=1), matrix.shape[1])  # entries of a row, at most
    portion = np.cumsum(most) // SHARED_AT_ONCE
    starts = np.flatnonzero(np.diff(portion, prepend=-1)).tolist()
    for start, stop in zip(starts, [*starts[1:], len(most)], strict=True):
        yield start, (of_item[start:stop] @ matrix).tocsr()


def unit_rows(values: np.ndarray) -> np.ndarray:
    """Rows of length 1; rows of zeros stay zeros."""
    length = np.linalg.norm(values, axis=1, keepdims=True)
    return values / np.where(length > 0, length, 1.0)


def mean_similarity(unit: np.ndarray, matrix: sp.csr_array) -> tuple[float, float]:
    """Table 1: mean cosine of all pairs of items, and of those that some user has both of (NaN without any).

    `unit` [items, d] has rows of length 1, `matrix` [users, items] is binary.
    """
    n = len(unit)
    total = np.square(unit.sum(axis=0, dtype=np.float64)).sum() - np.square(unit, dtype=np.float64).sum()
    everything = total / (n * (n - 1)) if n > 1 else float("nan")
    together, count = 0.0, 0
    for first, rows in shared(matrix):
        pairs = rows.tocoo()
        left, right = pairs.row + first, pairs.col
        left, right = left[left < right], right[left < right]
        count += len(left)
        for start in range(0, len(left), PAIRS_AT_ONCE):
            part = slice(start, start + PAIRS_AT_ONCE)
            together += float(np.einsum("ij,ij->", unit[left[part]], unit[right[part]], dtype=np.float64))
    return float(everything), together / count if count else float("nan")


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


def alignment(index: np.ndarray, matrix: sp.csr_array, seed: int = 0) -> tuple[float, float, bool]:
    """(co-interacted share of neighbour pairs, the same with shuffled items, whether the first is no larger).

    `index` [items, k] are neighbours, `matrix` [users, items] is binary.  The neighbours count as misaligned
    where their share lies within 3 standard deviations of what shuffled items give; where nearly
    all items are neighbours they do not.
    """
    index = index[:, :ALIGNMENT_K]
    n, generator = len(index), np.random.default_rng(seed)
    places = [np.arange(n), *(generator.permutation(n) for _ in range(SHUFFLES))]
    whose = [np.argsort(place) for place in places]  # the item that stands at a place
    hits = np.zeros(len(places))
    for first, rows in shared(matrix) if index.size else ():
        here = np.repeat(np.arange(rows.shape[0]), index.shape[1])
        for number, (place, item) in enumerate(zip(places, whose, strict=True)):
            right = place[index[item[first : first + rows.shape[0]]]].ravel()
            hits[number] += np.count_nonzero(rows[here, right])
    real, *shuffled = hits / max(1, index.size)
    mean, spread = float(np.mean(shuffled)), float(np.std(shuffled))
    return float(real), mean, n >= 3 * ALIGNMENT_K and bool(real <= mean + 3 * spread)


def co_interacted(index: np.ndarray, matrix: sp.csr_array) -> float:
    """The share of neighbour pairs `index` [items, k] that some user has both of, as in `alignment`."""
    index, hits = index[:, :ALIGNMENT_K], 0
    for first, rows in shared(matrix) if index.size else ():
        here = np.repeat(np.arange(rows.shape[0]), index.shape[1])
        hits += int(np.count_nonzero(rows[here, index[first : first + rows.shape[0]].ravel()]))
    return hits / max(1, index.size)


def misfit(values: np.ndarray, mask: np.ndarray, matrix: sp.csr_array) -> tuple[float, float] | None:
    """The two shares of `alignment` where it finds the features misaligned, else None.

    `values` [items, d], `mask` bool [items], `matrix` [users, items] binary.  The most used items are
    compared; of fewer than FEWEST_COMPARED nothing is said, as chance decides there.  Users of very many
    items are left out, as everything is co-interacted by them.
    """
    use = np.asarray(matrix.sum(axis=0)).ravel()
    there = np.flatnonzero(mask & (use > 1))
    there = there[np.argsort(-use[there], kind="stable")[:MOST_COMPARED]]
    if len(there) < FEWEST_COMPARED:
        return None
    matrix = matrix[:, there]
    count = np.asarray(matrix.sum(axis=1)).ravel()
    order = np.argsort(count, kind="stable")
    pairs = np.cumsum(count[order].astype(np.int64) ** 2)
    kept = order[pairs <= MOST_PAIRS * len(there) ** 2]
    index, _ = neighbours(unit_rows(values[there]), ALIGNMENT_K)
    real, shuffled, suspicious = alignment(index, matrix[np.sort(kept)])
    return (real, shuffled) if suspicious else None
