"""Similar items: by features, by the graphs that were learned from them, by what was trained."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from recbole.data.dataset import Dataset
from recbole.model.abstract_recommender import AbstractRecommender
from torch import Tensor

from recbole_micro.data.features import Modality
from recbole_micro.errors import UserError, hint
from recbole_micro.inference.recommend import scores_of
from recbole_micro.models.base import MultimodalRecommender, of_all
from recbole_micro.nn.knn import nearest

ITEMS_AT_ONCE = 1024
MEMORY = 256  # MB of a search beside its inputs


class Similar(NamedTuple):
    """Pairs of items [n] in one space: positions, the nearest first; `cosine` [n]."""

    item: Tensor
    other: Tensor
    cosine: Tensor


@torch.no_grad()
def spaces(model: AbstractRecommender, dataset: Dataset) -> dict[str, Modality]:
    """The vectors in which a model's items can be compared, by name.

    Of a multimodal model each modality's features (those of the initial graph), as `MODALITY:learned` what is
    learned from them (the learned graph), `fused` and `collaborative` where the model has these parts, and
    `trained`, which it scores with.  Of RecBole's models `collaborative`: its item vectors.
    Raises UserError for a model that has none.
    """
    model.eval()
    if isinstance(model, MultimodalRecommender):
        return model.spaces()
    scores_of(model, dataset, np.array([1]), None)  # several keep what they score with
    vectors = item_vectors(model)
    if vectors is None or len(vectors) != dataset.item_num:
        name = type(model).__name__
        raise UserError(
            f"{name} has no vector of each item, so its items cannot be compared: take another model."
        )
    return {"collaborative": of_all(vectors.detach().float())}


def item_vectors(model: AbstractRecommender) -> Tensor | None:
    """The vectors [n_items, d] that a model of RecBole's scores with, or else those it starts from."""
    for name in ("restore_item_e", "item_embedding"):
        vectors = getattr(model, name, None)
        vectors = getattr(vectors, "weight", vectors)
        if torch.is_tensor(vectors) and vectors.dim() == 2:
            return vectors
    return None


def similar(model: AbstractRecommender, dataset: Dataset, by: str = "") -> dict[str, Modality]:
    """The spaces that `by` asks for: one by its name, a modality with what is learned from it, or all ("").

    Raises UserError where there is none of this name.
    """
    known = spaces(model, dataset)
    found = {name: space for name, space in known.items() if by in ("", name, name.partition(":")[0])}
    if not found:
        name, among = type(model).__name__, ", ".join(known)
        raise UserError(f"{name} cannot compare items by {by!r}: choose among {among}{hint(by, known, '.')}")
    return found


def nearest_items(space: Modality, items: Tensor, k: int) -> Iterator[Similar]:
    """The `k` other items nearest to each of these `items` [n] by cosine, in portions.

    Larger cosines come first, then lower indices; an item without a vector has none.
    """
    options = {"k": k + 1, "clamp_negative": False, "memory": MEMORY}
    for part in items.split(ITEMS_AT_ONCE):
        graph = nearest(Modality(space.values[part], space.mask[part]), space, options)
        row, other, cosine = graph.row.long(), graph.col.long(), graph.val
        apart = part[row] != other
        row, other, cosine = row[apart], other[apart], cosine[apart]
        order = torch.sort(cosine, descending=True, stable=True).indices
        order = order[torch.sort(row[order], stable=True).indices]
        row, other, cosine = row[order], other[order], cosine[order]
        rank = torch.arange(len(row), device=row.device) - torch.searchsorted(row, row)
        row, other, cosine = row[rank < k], other[rank < k], cosine[rank < k]
        yield Similar(part[row], other, cosine)
