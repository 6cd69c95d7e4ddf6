"""The last state of a training: enough to go on, after a kill, to the result that it would have had.

It lies beside the best state, as `<best>.last.pth`, and is written whole or not at all before each epoch and
after the last one.  Per-epoch state of a model (sampled edges, learned graphs) begins anew in every epoch and
is no part of it.
"""

import os
import random
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

from recbole_micro import distributed
from recbole_micro.checkpoint import last_file, plain, trainer_state, write
from recbole_micro.evaluation.metrics import Metrics


def write_last(trainer: Any, train_data: Any) -> None:
    """Write the state of a `PluginTrainer` after its last complete epoch."""
    best = trainer.saved_model_file
    state = trainer_state(trainer, trainer.epoch)
    state["last"] = {
        "best_file": os.path.basename(best) if os.path.isfile(best) else None,
        "best_valid_result": as_plain(trainer.best_valid_result),
        "train_loss": [[int(epoch), plain(loss)] for epoch, loss in trainer.train_loss_dict.items()],
        "validations": [[int(epoch), as_plain(result)] for epoch, result in trainer.validations.items()],
        "random": random_states(trainer.device),
        "loaders": [generator.get_state() for generator in generators(train_data)],
    }
    write(state, last_file(best))


def as_plain(result: Metrics | None) -> dict[str, Any] | None:
    """A result as plain values; the inverse of `as_metrics`."""
    if result is None:
        return None
    return {"values": plain(dict(result)), "protocol": result.protocol, "note": result.note}


def as_metrics(stored: Mapping[str, Any] | None) -> Metrics | None:
    """A result from plain values."""
    return None if stored is None else Metrics(stored["values"], stored["protocol"], stored["note"])


def generators(train_data: Any) -> Iterator[torch.Generator]:
    """The generators by which a training loader (and those inside it) shuffles, in a fixed order."""
    for loader in (
        train_data,
        *(getattr(train_data, f"{kind}_dataloader", None) for kind in ("general", "kg")),
    ):
        generator = vars(loader).get("generator") if loader is not None else None
        if isinstance(generator, torch.Generator):
            yield generator


def random_states(device: torch.device) -> dict[str, Any]:
    """The states of the generators of Python, NumPy, PyTorch and its CUDA device, as plain data."""
    states = distributed.random_states(device)
    kind, keys, position, has_gauss, gauss = states.numpy
    words = torch.from_numpy(np.asarray(keys).astype(np.int64))
    version, internal, following = random.getstate()
    return {
        "python": [version, list(internal), following],
        "numpy": [kind, words, int(position), int(has_gauss), float(gauss)],
        "torch": states.cpu,
        "cuda": states.cuda,
    }


def restore_random(last: Mapping[str, Any], train_data: Any, device: torch.device) -> None:
    """Let every generator go on from where it was."""
    states = last["random"]
    version, internal, following = states["python"]
    random.setstate((version, tuple(internal), following))
    kind, keys, position, has_gauss, gauss = states["numpy"]
    of_numpy = (kind, keys.cpu().numpy().astype(np.uint32), position, has_gauss, gauss)
    of_cuda = states["cuda"].cpu() if states["cuda"] is not None and device.type == "cuda" else None
    distributed.set_random_states(distributed.RandomStates(of_numpy, states["torch"].cpu(), of_cuda), device)
    for generator, state in zip(generators(train_data), last["loaders"], strict=True):
        generator.set_state(state.cpu())
