"""Vectors for items that were not in the data at all, from their features and a trained MICRO."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from recbole_micro.data.features import Modality
from recbole_micro.errors import UserError
from recbole_micro.models.base import MultimodalRecommender
from recbole_micro.nn.graph import Graph
from recbole_micro.nn.item_graph import ModalityGraph
from recbole_micro.nn.knn import like_known, nearest
from recbole_micro.nn.ops import propagate

if TYPE_CHECKING:  # models are imported when they are asked for
    from recbole_micro.models.micro import MICRO


@torch.no_grad()
def encode_new_items(
    model: MultimodalRecommender,
    features: Mapping[str, Tensor | np.ndarray | Modality],
    k: int | None = None,
) -> Tensor:
    """Vectors [n_new, D] of new items, to be ranked beside `model.embeddings()[1]`.

    Per modality a new item receives from its `k` (default: the model's `knn_k`) nearest known items, in the
    raw and in the transformed features, normalised as in Eq. 3 with the new item's own row sum and without a
    self-loop; then the trained attention; x~ is 0.  `features` maps modalities to [n_new, d_m]; a row of
    zeros, or a modality left out, is one that the item lacks, and where the model was trained with `missing:
    zero` or `mean` it gets those.  Puts the model into evaluation mode.
    Raises UserError for other models than MICRO, and for features that do not fit it.
    """
    if not hasattr(model, "graphs") or not hasattr(model, "fuse"):
        name = type(model).__name__
        raise UserError(f"{name} cannot encode new items: train MICRO with an item graph or features.")
    model.eval()
    micro = cast("MICRO", model)  # or one of a user's own with the same parts
    given = aligned(micro, features)
    views = {m: new_view(micro, graph, given[m], k) for m, graph in micro.graphs.items()}
    present = torch.stack([given[m].mask for m in views], 1)
    return micro.scoring.new_item_end(F.normalize(micro.fuse(views, present)[0], dim=-1))


@torch.no_grad()
def nearest_known(model: "MICRO", features: Mapping[str, Any]) -> dict[str, Graph] | None:
    """The known items near new ones, as `Walk.of_new` takes them; None for a model whose scores lack that."""
    walk = model.walk
    if walk is None or model.item_view == "none":
        return None
    shares = dict(zip(model.graphs, model.prior.softmax(0).tolist(), strict=True))
    found = {}
    for m, new in aligned(model, features).items():
        known = Modality(model.modalities[m].values, model.modalities[m].mask)
        options = {**model.graphs[m].knn_options, "k": model.walk_k, "clamp_negative": True}
        graph = nearest(new, known, options)
        found[m] = graph.with_values(shares[m] * graph.val)
    return found


def aligned(model: "MICRO", features: Mapping[str, Any]) -> dict[str, Modality]:
    """The features of every modality of the model, on its device; UserError where they do not fit."""
    unknown = [m for m in features if m not in model.graphs]
    if unknown or not features:
        known = ", ".join(model.graphs)
        raise UserError(
            f"New items need features of the model's modalities ({known}), not {unknown or 'none'}."
        )
    given = {m: as_modality(values) for m, values in features.items()}
    counts = {m: len(modality.values) for m, modality in given.items()}
    if len(set(counts.values())) > 1:
        raise UserError(f"The new items' features have different numbers of rows: {counts}.")
    result = {}
    for m, graph in model.graphs.items():
        width, like = graph.raw.shape[1], graph.raw
        empty = torch.zeros(next(iter(counts.values())), width)
        values, mask = given.get(m) or as_modality(empty)
        if values.shape[1] != width:
            raise UserError(
                f"The new items' {m} features have {values.shape[1]} columns, the model's {width}."
            )
        if not bool(values.isfinite().all()):
            raise UserError(f"The new items' {m} features have NaN or infinite values.")
        values, mask = values.to(like), mask.to(like.device)
        if model.missing in ("zero", "mean"):  # new items share users with none
            given_instead = like[graph.mask].mean(0) * (model.missing == "mean")
            values, mask = torch.where(mask[:, None], values, given_instead), torch.ones_like(mask)
        result[m] = Modality(values, mask)
    return result


def as_modality(values: Tensor | np.ndarray | Modality) -> Modality:
    """Features [n, d] with a mask: a row of zeros is an item without the modality."""
    if isinstance(values, Modality):
        return values
    values = torch.as_tensor(values)
    return Modality(values, values.ne(0).any(1))


def new_view(model: "MICRO", graph: ModalityGraph, new: Modality, k: int | None) -> Tensor:
    """h^m of the new items, [n_new, d]; `graph` is the model's of this modality."""
    transformed = graph.transform(new.values) * new.mask[:, None]
    if model.item_view == "features":
        return transformed
    by_id = model.item_input == "id"
    if not model.n_item_layers:
        return torch.zeros_like(transformed) if by_id else transformed
    known = model.backbone.item_embedding.weight if by_id else graph.transformed()
    h = graph(known, model.n_item_layers - 1)
    options = dict(graph.knn_options)
    options["k"] = options["k"] if k is None else k
    raw = nearest(new, Modality(graph.raw, graph.mask), options)
    view = graph.lambda_coeff * propagate(like_known(raw, graph.initial_graph()), h)
    if graph.lambda_coeff < 1:
        learned = nearest(Modality(transformed, new.mask), Modality(graph.transformed(), graph.mask), options)
        view = view + (1 - graph.lambda_coeff) * propagate(like_known(learned, graph.learned_graph()), h)
    return view
