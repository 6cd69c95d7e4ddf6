"""Items that lack a modality: which are made to, what they get instead of its features, and their groups.

A share of the items loses its features on request (`missing_share`), the same items as `dataset_tools split
--missing` chooses.  What an item without a row gets is `missing`: `mask` leaves it to the model.
"""

from collections.abc import Callable, Mapping
from logging import getLogger
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from recbole.data.dataset import Dataset
from scipy import sparse
from torch import Tensor

from dataset_tools.operations.splitting.missing import chosen
from recbole_micro.errors import UserError

PAIRS = 2**24  # pairs of an item that lacks features and one that has them, at a time
GROUPS = ("complete", "partial", "without")
logger = getLogger(__name__)


class Modality(NamedTuple):
    """One modality's features: `values` float32 [n_items, d] and `mask` bool [n_items].

    The mask is true where an item has a row, or was given one (`missing`); all other rows are zeros, row 0
    (RecBole's padding) among them.
    """

    values: Tensor
    mask: Tensor


def removed(config: Any, modalities: list[str], tokens: np.ndarray) -> dict[str, np.ndarray]:
    """Which items lose their features of each modality, bool [n_items]; nothing where none do.

    `tokens` [n_items]: the items' ids, first the padding's.  Raises UserError where `missing_modalities`
    names one that is not among `modalities`.
    """
    share = config["missing_share"]
    if not share:
        return {}
    affected = config["missing_modalities"] or modalities
    unknown = [modality for modality in affected if modality not in modalities]
    if unknown:
        raise UserError(
            f"missing_modalities names {', '.join(unknown)}, which is not used: it is one of "
            f"{', '.join(modalities)}, or empty for all."
        )
    gone = chosen(tokens[1:].tolist(), share, config["missing_seed"] or 0)
    lost = np.array([token in gone for token in tokens])
    lost[0] = False
    return dict.fromkeys(affected, lost)


def filled(found: Mapping[str, Modality], how: str | None, train: Dataset) -> dict[str, Modality]:
    """The modalities with what items without a row get (`missing`): rows, which the mask then has.

    `train`: the data set of the training interactions, which alone say who shares users with whom.
    """
    if how in (None, "mask"):
        return dict(found)
    result = {}
    for name, part in found.items():
        lacking = ~part.mask
        lacking[0] = False
        rows, given = FILLS[how](part, lacking, train)
        values, mask = part.values.clone(), part.mask.clone()
        values[given], mask[given] = rows, True
        result[name] = Modality(values, mask)
        rest = int(lacking.sum()) - len(given)
        still = f"; {rest:,} share users with no item that has it, and lack it" if rest else ""
        logger.info(f"Modality {name}: {len(given):,} items without a row get {WHAT[how]}{still}")
    return result


def zero(part: Modality, lacking: Tensor, train: Dataset) -> tuple[Tensor, Tensor]:
    """Zeros [n, d], and the ids [n] of the items that get them."""
    ids = lacking.nonzero()[:, 0]
    return part.values.new_zeros(len(ids), part.values.shape[1]), ids


def mean(part: Modality, lacking: Tensor, train: Dataset) -> tuple[Tensor, Tensor]:
    """The mean of the rows that are there, for each of the items [n] that lack one: [n, d] and [n]."""
    ids = lacking.nonzero()[:, 0]
    return part.values[part.mask].double().mean(0).to(part.values).expand(len(ids), -1), ids


def neighbours(part: Modality, lacking: Tensor, train: Dataset) -> tuple[Tensor, Tensor]:
    """The mean of the rows of the items that share a training user with an item: [n, d], and the ids [n].

    Every such item counts once, however many users are shared.  Items that share users with none that has
    the modality are not among the ids.
    """
    known = train.inter_matrix(form="csr").astype(bool).astype(np.float32)  # a repeated interaction is one
    ids, rows = lacking.nonzero()[:, 0], part.values[part.mask].double().numpy()
    by_item, having = known[:, ids.numpy()].T.tocsr(), known[:, part.mask.numpy()].tocsr()
    height = max(1, PAIRS // max(1, having.shape[1]))
    means, counts = [], []
    for start in range(0, len(ids), height):
        shared = sparse.csr_matrix((by_item[start : start + height] @ having) > 0, dtype=np.float64)
        counts.append(shared.getnnz(axis=1))
        means.append((shared @ rows) / np.maximum(counts[-1], 1)[:, None])
    if not means:
        return part.values.new_zeros(0, part.values.shape[1]), ids
    found = torch.from_numpy(np.concatenate(counts) > 0)
    return torch.from_numpy(np.concatenate(means)).to(part.values)[found], ids[found]


FILLS: dict[str, Callable[[Modality, Tensor, Dataset], tuple[Tensor, Tensor]]] = {
    "zero": zero,
    "mean": mean,
    "neighbours": neighbours,
}
WHAT = {
    "zero": "zeros",
    "mean": "the mean of the others",
    "neighbours": "the mean of the items that share users with them",
}


def is_told_apart(config: Any) -> bool:
    """Whether results are also given by what items have: on request, or where the data set's record is."""
    record = Path(config["data_path"]) / f"{config['dataset']}.missing.json"
    return bool(config["missing_share"]) or record.is_file()


def groups(has: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Which items have all modalities (`complete`), some (`partial`), none (`without`), bool [n_items] each.

    `has`: whether an item has each modality, bool [n_items].  The padding belongs to no group.
    """
    count = np.sum(list(has.values()), axis=0)
    found = count == len(has), (count > 0) & (count < len(has)), count == 0
    for group in found:
        group[0] = False
    return dict(zip(GROUPS, found, strict=True))
