"""A training that starts from an earlier one's weights, on data that have changed since."""

from collections.abc import Mapping
from logging import getLogger
from typing import Any

import torch
from recbole.model.abstract_recommender import AbstractRecommender
from recbole.utils import ModelType
from torch import Tensor, nn

from recbole_micro.checkpoint import load_checkpoint, tokens
from recbole_micro.data.features import Modality
from recbole_micro.errors import UserError
from recbole_micro.models.new_items import encode_new_items
from recbole_micro.training.experiment import Experiment

USERS, ITEMS, BOTH = "users", "items", "users and items"


def start_from(experiment: Experiment, checkpoint: str) -> None:
    """Put the checkpoint's weights into the model, row by row where a row stands for a user or an item.

    Rows are matched by id.  New users and items keep their fresh rows; in a model that encodes new items
    (`encode_new_items`) a new item's ID embedding starts in the direction of that vector, with the median
    length of the known ones.  The optimiser starts anew.  One line of the log counts what became of them.
    Raises UserError for a checkpoint without ids, a model that learns nothing by steps, and other sizes.
    """
    config, model = experiment.config, experiment.model
    state = load_checkpoint(checkpoint, map_location=config["device"])
    before, now = state.get("tokens"), tokens(experiment.train_data._dataset)
    if config["MODEL_TYPE"] == ModelType.TRADITIONAL:
        raise UserError(
            f"{config['model']} learns nothing by steps, so it cannot start from a checkpoint: train anew."
        )
    if not before:
        raise UserError(
            f"The checkpoint {checkpoint} does not say which ids its rows stand for: train it again, and "
            "start from that one."
        )
    rows = {kind: places(before[kind], now[kind]) for kind in now}
    shift = torch.where(rows[ITEMS] >= 0, rows[ITEMS] + len(before[USERS]), -1)
    rows[BOTH] = torch.cat([rows[USERS], shift])
    counts = {kind: (len(before[kind]), len(now[kind])) for kind in now}
    counts[BOTH] = (sum(old for old, _ in counts.values()), sum(new for _, new in counts.values()))
    fresh = put_in(model, state["state_dict"], rows, counts, checkpoint)
    new_items = rows[ITEMS] < 0
    placed = place_new_items(model, new_items.to(config["device"]))
    said = [said_of(kind, before[kind], now[kind]) for kind in (USERS, ITEMS)]
    said += [f"{placed:,} of the new items from their features"] if placed else []
    said += [f"weights that it lacks, and that start fresh: {', '.join(fresh)}"] if fresh else []
    getLogger().info(f"Started from {checkpoint}: {'; '.join(said)}.")


def places(before: list[str], now: list[str]) -> Tensor:
    """Where each id of `now` was `before`, -1 for new ones, [len(now)]."""
    known = {token: place for place, token in enumerate(before)}
    return torch.tensor([known.get(token, -1) for token in now])


def said_of(kind: str, before: list[str], now: list[str]) -> str:
    """How many ids are known, new and gone; the padding is no id."""
    old, new = set(before[1:]), set(now[1:])
    return f"{len(old & new):,} {kind} known, {len(new - old):,} new, {len(old - new):,} gone"


def put_in(
    model: AbstractRecommender,
    stored: Mapping[str, Tensor],
    rows: Mapping[str, Tensor],
    counts: Mapping[str, tuple[int, int]],
    checkpoint: str,
) -> list[str]:
    """Load what the checkpoint has into the model; the names of what it lacks."""
    modules = dict(model.named_modules())
    state, fresh = model.state_dict(), []
    for name, value in state.items():
        old = stored.get(name)
        if old is None:
            fresh.append(name)
            continue
        kind = kind_of(name, modules[name.rpartition(".")[0]], old, value, counts)
        if kind:
            place = rows[kind].to(value.device)
            state[name] = torch.where(
                (place >= 0).view(-1, *[1] * (value.ndim - 1)), old[place.clamp(min=0)], value
            )
        elif old.shape == value.shape:
            state[name] = old
        else:
            raise UserError(
                f"The weights {name} of {checkpoint} are {tuple(old.shape)}, those of the model here "
                f"{tuple(value.shape)}: give the options of that training, such as embedding_size."
            )
    model.load_state_dict(state)
    return fresh


def kind_of(
    name: str, owner: nn.Module, old: Tensor, new: Tensor, counts: Mapping[str, tuple[int, int]]
) -> str | None:
    """Whose rows a tensor has, or None where its rows stand for neither users nor items.

    Its length tells, before and now; where that fits both, its name does.  A linear map is never a table.
    """
    if isinstance(owner, nn.Linear) or not new.ndim or old.shape[1:] != new.shape[1:]:
        return None
    fitting = [kind for kind, sizes in counts.items() if sizes == (len(old), len(new))]
    if len(fitting) > 1:
        fitting = [kind for kind in fitting if kind.removesuffix("s") in name.lower()] or fitting
    if len(fitting) > 1:
        raise UserError(f"There are as many users as items, and {name} may stand for either: train anew.")
    return fitting[0] if fitting else None


@torch.no_grad()
def place_new_items(model: AbstractRecommender, new: Tensor) -> int:
    """Give new items (`new` [n_items]) ID embeddings from their neighbours by features; how many have any."""
    backbone: Any = getattr(model, "backbone", None)
    if not hasattr(model, "graphs") or not hasattr(model, "fuse") or backbone is None or not new.any():
        return 0
    table = backbone.item_embedding.weight
    known, drawn = ~new, table[new].clone()
    known[0] = False  # the padding
    table[new] = 0  # so that only known items speak
    features = {m: Modality(part.values[new], part.mask[new]) for m, part in model.modalities.items()}
    vectors = encode_new_items(model, features)[:, : table.shape[1]]  # a bias may stand behind them
    found = vectors.norm(dim=1) > 0
    length = table[known].norm(dim=1).median() if bool(known.any()) else table.new_ones(())
    table[new] = torch.where(found[:, None], length * vectors, drawn)
    model.train()
    return int(found.sum())
