"""Vectors of users and items whose dot products are a model's scores, found and then checked."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from recbole.data.dataset import Dataset
from recbole.model.abstract_recommender import AbstractRecommender
from torch import Tensor

from recbole_micro.errors import UserError
from recbole_micro.inference.export.walk import beside
from recbole_micro.inference.recommend import USERS_AT_ONCE, scores_of

CHECKED_USERS = USERS_AT_ONCE
TOLERANCE = 1e-4  # of the largest score, or of 1: a wrong pair of vectors is off by far more


@torch.no_grad()
def score_vectors(model: AbstractRecommender, dataset: Dataset) -> tuple[np.ndarray, np.ndarray, float]:
    """float32 user [n_users, D] and item [n_items, D] vectors in RecBole's order, row 0 the padding.

    With a `walk` (`MultimodalRecommender`) they are those of the rest of the scores.
    The third value is the largest difference between the model's own scores of up to 256 users, spread over
    all of them, and the dot products of their vectors.
    Raises UserError where no pair of vectors gives the model's scores.
    """
    model.eval()
    users = np.unique(np.linspace(1, dataset.user_num - 1, CHECKED_USERS).astype(int))
    expected = scores_of(model, dataset, users, None)[:, 1:]
    if getattr(model, "walk", None) is not None:
        expected = expected - beside(model.walk, users)[:, 1:]
    scale = max(1.0, float(expected.abs().max()))
    for user, item in candidates(model, dataset):
        difference = float((user[users] @ item[1:].T - expected).abs().max())
        if difference <= TOLERANCE * scale:
            return user.numpy(), item.numpy(), difference
    raise UserError(
        f"The scores of {type(model).__name__} are not dot products of a user's and an item's vector, so it "
        "has no vectors to export: use recbole-micro recommend, or export another model."
    )


def candidates(model: AbstractRecommender, dataset: Dataset) -> Iterator[tuple[Tensor, Tensor]]:
    """The pairs of matrices that a model may score by, as float32 on the CPU, most probable first."""
    shapes = dataset.user_num, dataset.item_num
    ways: tuple[Callable[[], Any], ...] = (
        lambda: model.embeddings(),  # the plugin's models
        lambda: (model.restore_user_e, model.restore_item_e),  # RecBole's graph models, after scoring
        lambda: model.forward()[:2],
        lambda: (model.user_embedding.weight, model.item_embedding.weight),
    )
    for way in ways:
        try:
            pair = way()
        except (AttributeError, TypeError, NotImplementedError, IndexError):
            continue  # a model without this
        if all(isinstance(part, Tensor) and part.ndim == 2 for part in pair):
            user, item = (part.detach().float().cpu().contiguous() for part in pair)
            if (len(user), len(item)) == shapes and user.shape[1] == item.shape[1]:
                yield user, item
