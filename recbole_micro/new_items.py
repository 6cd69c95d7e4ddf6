"""Vectors for items that were not in the data at all, from their features and a trained MICRO."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from recbole_micro.errors import UserError
from recbole_micro.features import Modality
from recbole_micro.graphs import Graph, best_per_row, norms, propagate
from recbole_micro.item_graph import ModalityGraph


@torch.no_grad()
def encode_new_items(
    model, features: Mapping[str, Tensor | np.ndarray | Modality], k: int | None = None
) -> Tensor:
    """Vectors [n_new, d] of new items, to be ranked beside `model.embeddings()[1]`.

    Per modality a new item receives from its `k` (default: the model's `knn_k`) nearest known items, in the
    raw and in the transformed features, normalised as in Eq. 3 with the new item's own row sum and without a
    self-loop; then the trained attention; x~ is 0.  `features` maps modalities to [n_new, d_m]; a row of
    zeros, or a modality left out, is one that the item lacks.  Puts the model into evaluation mode.
    """
    if not hasattr(model, "graphs") or not hasattr(model, "fuse"):
        name = type(model).__name__
        raise UserError(f"{name} cannot encode new items: train MICRO with an item graph or features.")
    model.eval()
    given = aligned(model, features)
    views = {m: new_view(model, graph, given[m], k) for m, graph in model.graphs.items()}
    present = torch.stack([given[m].mask for m in views], 1)
    return F.normalize(model.fuse(views, present)[0], dim=-1)


def aligned(model, features: Mapping) -> dict[str, Modality]:
    """The features of every modality of the model, on its device; UserError where they do not fit."""
    unknown = [m for m in features if m not in model.graphs]
    if unknown or not features:
        there = ", ".join(model.graphs)
        raise UserError(
            f"New items need features of the model's modalities ({there}), not {unknown or 'none'}."
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
        result[m] = Modality(values.to(like), mask.to(like.device))
    return result


def as_modality(values) -> Modality:
    """Rows of zeros are items without the modality, as in the graphs of the known items."""
    if isinstance(values, Modality):
        return values
    values = torch.as_tensor(values)
    return Modality(values, values.ne(0).any(1))


def new_view(model, graph: ModalityGraph, new: Modality, k: int | None) -> Tensor:
    """h^m of the new items, [n_new, d]."""
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


def like_known(found: Graph, known: Graph) -> Graph:
    """w_ij / sqrt(d_i d_j), d_i the row sums of `found` and d_j those behind the normalised graph `known`.

    A known item is its own neighbour with cosine 1, so its diagonal entry is 1 / d_j.
    """
    row, col = found.row.long(), found.col.long()
    diagonal = known.row == known.col
    inverse = torch.ones(known.shape[0], dtype=known.val.dtype, device=known.val.device)
    inverse[known.row[diagonal].long()] = known.val[diagonal]
    degree = found.val.new_zeros(found.shape[0]).index_add(0, row, found.val)
    return found.with_values(found.val * degree.clamp(min=1e-12).rsqrt()[row] * inverse[col].sqrt())


def nearest(new: Modality, known: Modality, options: dict) -> Graph:
    """The k nearest known rows of every new row by cosine: ties to the lower index, absent rows left out.

    `options` are those of `graphs.knn`; the search is exact and takes about `memory` MB.
    """
    n_new, n_known = len(new.values), len(known.values)
    lengths = norms(new.values), norms(known.values)
    there = known.mask & (lengths[1] > 0)
    k = min(options["k"], int(there.sum()))
    unit = torch.where(there, 1 / lengths[1], 0.0).to(known.values.dtype)
    slack = 4 * (known.values.shape[1] + 4) * 2.0**-24  # of a float32 cosine
    height = max(1, int(options["memory"] * 2**20) // (16 * n_known))
    rows, cols, values = [], [], []
    for start in range(0, n_new if k else 0, height):
        block = slice(start, start + height)
        length = lengths[0][block]
        cosine = (new.values[block] @ known.values.T) * unit / length.clamp(min=1e-30)[:, None].to(unit.dtype)
        cosine[:, ~there] = -torch.inf
        bound = cosine.topk(k).values[:, -1] - slack
        bound[~new.mask[block] | (length == 0)] = torch.inf
        row, col = (cosine >= bound[:, None]).nonzero(as_tuple=True)
        step = max(1, int(options["memory"] * 2**20) // (32 * known.values.shape[1]))
        value = torch.cat(
            [
                (new.values[start + r].double() * known.values[c].double()).sum(1)
                for r, c in zip(row.split(step), col.split(step), strict=True)
            ]
        )
        value = value / (length[row] * lengths[1][col])
        keep = best_per_row(row, value, k)
        if options["clamp_negative"]:
            keep &= value > 0
        rows.append(row[keep] + start)
        cols.append(col[keep])
        values.append(value[keep].to(known.values.dtype))
    if not rows:
        rows = cols = [torch.empty(0, dtype=torch.long, device=known.values.device)]
        values = [known.values.new_empty(0)]
    return Graph.from_sorted(torch.cat(rows), torch.cat(cols), torch.cat(values), (n_new, n_known))
