"""What `inspect` measures of a data set, for the lines and for the page alike."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import scipy.sparse as sp

from dataset_tools.dataset.interactions import Interactions
from dataset_tools.dataset.reading import Dataset
from dataset_tools.features import feature_similarity as similarity

MOST_REPEATED = 3  # groups of equal vectors that are shown


@dataclass(frozen=True)
class ModalityMeasures:
    """A modality's items and what its vectors say about behaviour.

    `there` [n]: places of the items with features; `index`, `cosine` [n, k]: their nearest neighbours among
    these.  `shares`: k -> share of users with a similar pair.  `real`, `shuffled`: share of neighbours that
    are co-interacted, also `shared_real` on the items that all modalities have.  `repeated`: groups of places
    of items with equal vectors, the largest first.
    """

    name: str
    width: int
    there: np.ndarray
    zeros: int = 0
    everything: float = float("nan")
    together: float = float("nan")
    shares: dict[int, float] = field(default_factory=dict)
    real: float = float("nan")
    shuffled: float = float("nan")
    suspicious: bool = False
    index: np.ndarray = field(default_factory=lambda: np.empty((0, 0), np.int64))
    cosine: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    shared_real: float = float("nan")
    repeated: list[np.ndarray] = field(default_factory=list)


class Measures:
    """A data set's counts and, modality by modality, its features against its interactions."""

    def __init__(self, dataset: Dataset):
        self.dataset = dataset
        found = dataset.interactions
        place = {item: number for number, item in enumerate(dataset.items)}
        item = np.array([place[token] for token in found.items], dtype=np.int64)[found.item]
        self.matrix = similarity.used(found.user, item, len(found.users), len(dataset.items))
        self.degrees = {
            "user": np.bincount(found.user, minlength=len(found.users)),
            "item": np.bincount(item, minlength=len(dataset.items)),
        }
        self.repeated_pairs = len(found) - self.matrix.nnz

    @property
    def interactions(self) -> Interactions:
        return self.dataset.interactions

    @cached_property
    def shared(self) -> np.ndarray:
        """Which items all modalities have, bool [items]."""
        place = {item: number for number, item in enumerate(self.dataset.items)}
        count = np.zeros(len(self.dataset.items), dtype=np.int64)
        for modality in self.dataset.modalities:
            ids = [token for tokens in self.dataset.features(modality).ids() for token in tokens.to_pylist()]
            count[[place[token] for token in ids if token in place]] += 1
        return count == len(self.dataset.modalities)

    @property
    def comparable(self) -> bool:
        """Whether there are modalities to compare on the same items."""
        return len(self.dataset.modalities) > 1 and int(self.shared.sum()) > similarity.ALIGNMENT_K

    def modality(self, name: str) -> ModalityMeasures:
        """The measures of one modality; of fewer than two items only their number."""
        values, mask = self.dataset.matrix(name)
        there, width = np.flatnonzero(mask), values.shape[1]
        if len(there) < 2:
            return ModalityMeasures(name, width, there)
        values = values[there]
        unit, matrix = similarity.unit_rows(values), self.matrix[:, there]
        everything, together = similarity.mean_similarity(unit, matrix)
        index, cosine = similarity.neighbours(unit, max(similarity.SIMILAR_K))
        real, shuffled, suspicious = similarity.alignment(index, matrix)
        return ModalityMeasures(
            name, width, there, int((~unit.any(axis=1)).sum()), everything, together,
            {k: similarity.similar_pair_share(matrix, index, k) for k in similarity.SIMILAR_K},
            real, shuffled, suspicious, index, cosine,
            self._shared_real(unit, there, real), _repeated(values, there),
        )  # fmt: skip

    def _shared_real(self, unit: np.ndarray, there: np.ndarray, real: float) -> float:
        """The share of neighbours that are co-interacted, among the items that all modalities have."""
        same = self.shared[there]
        if same.all() or not self.comparable:
            return real
        index, _ = similarity.neighbours(unit[same], similarity.ALIGNMENT_K)
        return similarity.co_interacted(index, self.matrix[:, there[same]])


def _repeated(values: np.ndarray, there: np.ndarray) -> list[np.ndarray]:
    """Groups of places of items with equal vectors, rows of zeros aside, the largest first."""
    rows = np.flatnonzero(values.any(axis=1))
    whole = np.ascontiguousarray(values[rows]).view(np.dtype((np.void, values.itemsize * values.shape[1])))
    _, group, count = np.unique(whole.ravel(), return_inverse=True, return_counts=True)
    order = np.argsort(group, kind="stable")
    groups = np.split(there[rows[order]], np.cumsum(count)[:-1])
    return sorted((one for one in groups if len(one) > 1), key=len, reverse=True)


def most_used(matrix: sp.csr_array, count: int) -> np.ndarray:
    """Places of the items that most users have, [count]."""
    return np.argsort(-np.asarray(matrix.sum(axis=0)).ravel(), kind="stable")[:count]
