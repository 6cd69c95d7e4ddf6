"""`inspect`: what a data set holds, and whether its features fit its interactions."""

from collections.abc import Iterator

import numpy as np

from dataset_tools.dataset import alignment, summary
from dataset_tools.dataset.catalog import KNOWN
from dataset_tools.dataset.interactions import PARTS, Interactions
from dataset_tools.dataset.reading import Dataset
from dataset_tools.inspection.measures import MOST_REPEATED, Measures, ModalityMeasures, most_used

SHOWN_ITEMS = 10
SHOWN_NEIGHBOURS = 3


def report(dataset: Dataset, sample: int = SHOWN_ITEMS) -> Iterator[str]:
    """Lines for people: counts beside the catalogue's, degrees, each modality, then all on the same items."""
    counts = summary.of_dataset(dataset)
    yield from summary.lines(counts | {"expected": summary.compare(counts, KNOWN.get(dataset.name))})
    yield from _parts(dataset.interactions)
    measures = Measures(dataset)
    for what, degree in measures.degrees.items():
        unused = int((degree == 0).sum())
        yield (
            f"interactions per {what}: min {degree.min()}, median {np.median(degree):g}, "
            f"mean {degree.mean():.2f}, max {degree.max()}; {unused:,} {what}s without any"
        )
    if measures.repeated_pairs:
        yield f"{measures.repeated_pairs:,} interactions repeat a pair of user and item"
    on_the_same: dict[str, float] = {}
    for name in dataset.modalities:
        found = measures.modality(name)
        yield from _modality(measures, found, sample)
        on_the_same[name] = found.shared_real
    if measures.comparable:
        ranked = sorted(on_the_same.items(), key=lambda one: -one[1])
        shares = ", ".join(f"{name} {share:.2%}" for name, share in ranked)
        yield f"neighbours co-interacted on the {int(measures.shared.sum()):,} items that all have: {shares}"


def _parts(interactions: Interactions) -> Iterator[str]:
    if interactions.part is not None:
        counts = np.bincount(interactions.part, minlength=len(PARTS))
        yield "fixed split: " + ", ".join(f"{name} {n:,}" for name, n in zip(PARTS, counts, strict=True))


def _modality(measures: Measures, found: ModalityMeasures, sample: int) -> Iterator[str]:
    yield f"[{found.name}]"
    if len(found.there) < 2:
        yield f"  only {len(found.there)} items have features: nothing to compare"
        return
    if found.zeros:
        yield f"  {found.zeros:,} items have a row of zeros, which is similar to nothing"
    if found.repeated:
        yield f"  {repeated(measures.dataset, found)}"
    yield (
        f"  mean cosine: {found.everything:.4f} of all pairs, {found.together:.4f} of co-interacted pairs "
        "(Table 1)"
    )
    shares = ", ".join(f"{share:.2%} (k={k})" for k, share in found.shares.items())
    yield f"  users with a similar pair: {shares} (Table 2)"
    yield f"  neighbours co-interacted: {found.real:.2%}, with shuffled items {found.shuffled:.2%}"
    if found.suspicious:
        yield f"  {alignment.warning(found.name)}"
    yield from _nearest(measures, found, sample)


def repeated(dataset: Dataset, found: ModalityMeasures) -> str:
    """How many items share a vector with others, and the largest groups of them."""
    items = sum(map(len, found.repeated))
    groups = [
        ", ".join(dataset.items[place] for place in group[:3]) + (", ..." if len(group) > 3 else "")
        for group in found.repeated[:MOST_REPEATED]
    ]
    more = "; ..." if len(found.repeated) > MOST_REPEATED else ""
    return f"{items:,} items share their vector with another: {'; '.join(groups)}{more}"


def alignment_warning(dataset: Dataset, modality: str) -> str:
    """A line where a modality's nearest neighbours are no more co-interacted than random pairs, else "".

    See `misfit` for which items are compared.
    """
    shares = alignment.misfit(dataset.features(modality).path, modality, dataset.interactions)
    return alignment.warning(modality, shares) if shares else ""


def _nearest(measures: Measures, found: ModalityMeasures, sample: int) -> Iterator[str]:
    """The most used items with their nearest neighbours."""
    dataset, titles = measures.dataset, measures.dataset.titles()
    for row in most_used(measures.matrix[:, found.there], sample):
        near = zip(found.index[row, :SHOWN_NEIGHBOURS], found.cosine[row], strict=False)
        names = "; ".join(f"{_name(dataset, found.there[i], titles)} ({value:.2f})" for i, value in near)
        yield f"  {_name(dataset, found.there[row], titles)}: {names}"


def _name(dataset: Dataset, item: int, titles: dict[str, str]) -> str:
    token = dataset.items[item]
    title = titles.get(token, "")
    return f"{token} {title[:40]}".strip()
