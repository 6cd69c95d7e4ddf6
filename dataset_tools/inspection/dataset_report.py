"""`inspect`: what a data set holds, and whether its features fit its interactions."""

from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp

from dataset_tools.dataset import alignment, summary
from dataset_tools.dataset.catalog import KNOWN
from dataset_tools.dataset.interactions import PARTS, Interactions
from dataset_tools.dataset.reading import Dataset
from dataset_tools.features import feature_similarity as similarity

SHOWN_ITEMS = 10
SHOWN_NEIGHBOURS = 3


def report(dataset: Dataset, sample: int = SHOWN_ITEMS) -> Iterator[str]:
    """Lines for people: counts beside the catalogue's, degrees, then each modality."""
    interactions = dataset.interactions
    counts = summary.of_dataset(dataset)
    yield from summary.lines(counts | {"expected": summary.compare(counts, KNOWN.get(dataset.name))})
    yield from _parts(interactions)
    place = {item: number for number, item in enumerate(dataset.items)}
    item = np.array([place[token] for token in interactions.items], dtype=np.int64)[interactions.item]
    users, items = len(interactions.users), len(dataset.items)
    for what, index, size in (("user", interactions.user, users), ("item", item, items)):
        degree = np.bincount(index, minlength=size)
        unused = int((degree == 0).sum())
        yield (
            f"interactions per {what}: min {degree.min()}, median {np.median(degree):g}, "
            f"mean {degree.mean():.2f}, max {degree.max()}; {unused:,} {what}s without any"
        )
    matrix = similarity.used(interactions.user, item, users, items)
    repeated = len(interactions) - matrix.nnz
    if repeated:
        yield f"{repeated:,} interactions repeat a pair of user and item"
    for modality in dataset.modalities:
        yield from _modality(dataset, modality, matrix, sample)


def _parts(interactions: Interactions) -> Iterator[str]:
    if interactions.part is not None:
        counts = np.bincount(interactions.part, minlength=len(PARTS))
        yield "fixed split: " + ", ".join(f"{name} {n:,}" for name, n in zip(PARTS, counts, strict=True))


def _modality(dataset: Dataset, modality: str, matrix: sp.csr_array, sample: int) -> Iterator[str]:
    values, mask = dataset.matrix(modality)
    there = np.flatnonzero(mask)
    yield f"[{modality}]"
    if len(there) < 2:
        yield f"  only {len(there)} items have features: nothing to compare"
        return
    unit = similarity.unit_rows(values[there])
    zeros = int((~unit.any(axis=1)).sum())
    if zeros:
        yield f"  {zeros:,} items have a row of zeros, which is similar to nothing"
    matrix = matrix[:, there]
    everything, together = similarity.mean_similarity(unit, matrix)
    yield f"  mean cosine: {everything:.4f} of all pairs, {together:.4f} of co-interacted pairs (Table 1)"
    index, cosine = similarity.neighbours(unit, max(similarity.SIMILAR_K))
    shares = (f"{similarity.similar_pair_share(matrix, index, k):.2%} (k={k})" for k in similarity.SIMILAR_K)
    yield "  users with a similar pair: " + ", ".join(shares) + " (Table 2)"
    real, shuffled, suspicious = similarity.alignment(index, matrix)
    yield f"  neighbours co-interacted: {real:.2%}, with shuffled items {shuffled:.2%}"
    if suspicious:
        yield f"  {alignment.warning(modality)}"
    yield from _nearest(dataset, there, matrix, index, cosine, sample)


def alignment_warning(dataset: Dataset, modality: str) -> str:
    """A line where a modality's nearest neighbours are no more co-interacted than random pairs, else "".

    See `misfit` for which items are compared.
    """
    shares = alignment.misfit(dataset.features(modality).path, modality, dataset.interactions)
    return alignment.warning(modality, shares) if shares else ""


def _nearest(
    dataset: Dataset,
    there: np.ndarray,
    matrix: sp.csr_array,
    index: np.ndarray,
    cosine: np.ndarray,
    sample: int,
) -> Iterator[str]:
    """The most used items with their nearest neighbours."""
    titles = dataset.titles()
    use = np.asarray(matrix.sum(axis=0)).ravel()
    for row in np.argsort(-use, kind="stable")[:sample]:
        near = zip(index[row, :SHOWN_NEIGHBOURS], cosine[row], strict=False)
        names = "; ".join(f"{_name(dataset, there[i], titles)} ({value:.2f})" for i, value in near)
        yield f"  {_name(dataset, there[row], titles)}: {names}"


def _name(dataset: Dataset, item: int, titles: dict[str, str]) -> str:
    token = dataset.items[item]
    title = titles.get(token, "")
    return f"{token} {title[:40]}".strip()
