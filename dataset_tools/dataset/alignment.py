"""Whether a modality's rows belong to the items that they are joined to: found before any training."""

from pathlib import Path

from dataset_tools.dataset.interactions import Interactions
from dataset_tools.features import feature_similarity as similarity
from dataset_tools.features.feature_file import FeatureFile
from dataset_tools.features.join import ItemIndex, join


def misfit(path: Path, modality: str, found: Interactions) -> tuple[float, float] | None:
    """The shares of neighbours that are co-interacted, real and with shuffled items, where the file misfits.

    None where its nearest neighbours are more co-interacted than those of shuffled items, or where too few
    items can be compared (see `feature_similarity.misfit`).
    """
    joined = join(FeatureFile(path, modality), ItemIndex(found.items))
    matrix = similarity.used(found.user, found.item, len(found.users), len(found.items))
    return similarity.misfit(joined.values, joined.mask, matrix)


def warning(modality: str, shares: tuple[float, float] | None = None) -> str:
    """The line on a modality that does not fit."""
    line = (
        f"WARNING: the nearest neighbours in {modality} are no more co-interacted than random pairs; "
        "the features may belong to other items (check the ids or the row order)"
    )
    return (
        line if shares is None else f"{line} ({shares[0]:.2%} of pairs, {shares[1]:.2%} with shuffled items)"
    )
