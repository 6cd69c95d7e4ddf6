"""The parts of a model's scores as arrays, of which explanations are made without PyTorch."""

import json
from pathlib import Path

import numpy as np
from recbole.model.abstract_recommender import AbstractRecommender
from torch import Tensor

from dataset_tools.progress import progress
from recbole_micro.models.base import MultimodalRecommender
from recbole_micro.models.score_parts import LinearParts, ScoreParts, View, WithWalk, row_of_power
from recbole_micro_server.layout import USER_VECTORS
from recbole_micro_server.reasons import ATTENTION, COLLABORATIVE, INDEX

USERS, SAME = "users.npy", f"../{USER_VECTORS}"


def parts_of(model: AbstractRecommender) -> tuple[LinearParts | None, str]:
    """The parts of a model's scores by modality; None, and why, for a model without such parts."""
    parts = model.score_parts() if isinstance(model, MultimodalRecommender) else ScoreParts()
    if isinstance(parts, WithWalk):  # which is written beside them
        parts = parts.parts
    if isinstance(parts, LinearParts) and parts.modalities:
        return parts, ""
    return None, f"no part of {type(model).__name__}'s score comes from vectors of an item's neighbours."


def write_reasons(parts: LinearParts, folder: Path) -> None:
    """Write what `recbole_micro_server.reasons.Reasons` reads, beside the vectors that are there already.

    The padding's row is left out everywhere.
    """
    folder.mkdir()
    attention = np.empty((len(parts.item), len(parts.attention)), np.float32)  # some models have none
    for column, values in enumerate(parts.attention.values()):
        attention[:, column] = array(values)
    np.save(folder / ATTENTION, np.nan_to_num(attention[1:]))  # an item without modalities attends to none
    np.save(folder / COLLABORATIVE, array(parts.item)[1:])
    users, user = SAME, array(parts.user)[1:]
    if not np.array_equal(user, np.load(folder / SAME)):
        users = USERS
        np.save(folder / USERS, user)
    sources: list[Tensor] = []  # modalities may share one, which is written once
    names = {}
    for modality, view in parts.views.items():
        number = next((n for n, known in enumerate(sources) if known is view.source), len(sources))
        names[modality] = f"source.{number}.npy"
        if number == len(sources):
            sources.append(view.source)
            np.save(folder / names[modality], array(view.source)[1:])
        weight = array(view.weight)[1:]
        np.save(folder / f"{modality}.weights.npy", weight if weight.ndim == 2 else weight[:, None])
        write_paths(view, modality, folder)
    index = {"users": users, "attention": list(parts.attention), "sources": names}
    (folder / INDEX).write_text(json.dumps(index), encoding="utf-8")


def write_paths(view: View, modality: str, folder: Path) -> None:
    """For every item, from which items something reaches it: which, over how many steps, how much."""
    starts, items, hops, values = [0], [], [], []
    for item in progress(range(1, len(view.source)), f"paths of {modality}", unit="item"):
        columns, away, weights = row_of_power(view, item)
        items.append(columns.cpu().numpy().astype(np.int32) - 1)
        hops.append(away.cpu().numpy().astype(np.uint8))
        values.append(weights.cpu().numpy().astype(np.float32))
        starts.append(starts[-1] + len(columns))
    np.save(folder / f"{modality}.starts.npy", np.array(starts))
    for name, parts in (("items", items), ("hops", hops), ("values", values)):
        np.save(folder / f"{modality}.{name}.npy", np.concatenate(parts))


def array(values: Tensor) -> np.ndarray:
    """float32, in memory of its own."""
    return np.array(values.detach().float().cpu().numpy())
