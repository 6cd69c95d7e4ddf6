"""All scores of a model whose vectors give them, with MICRO's step from own items, as a plain matrix."""

import torch


def whole(model) -> torch.Tensor:
    """[n_users, n_items], without the evaluation's batches and masks."""
    user, item = (part.detach() for part in model.eval().embeddings())
    scores = user @ item.T
    return scores if model.walk is None else model.walk.add(scores, torch.arange(len(user)))
