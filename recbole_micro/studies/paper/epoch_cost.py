"""How long an epoch of a run takes, measured in a process of its own under the conditions of the run.

A few batches are enough: an epoch has its first one, where graphs are built, and others that are alike.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from recbole.data.dataloader import AbstractDataLoader

from dataset_tools.files import write_text
from recbole_micro.options.config import Config, own_command_line
from recbole_micro.options.values import read_yaml
from recbole_micro.studies.worker import OPTIONS, RESULT, in_folder
from recbole_micro.training.experiment import build

WORKER = (sys.executable, "-m", "recbole_micro.studies.paper.epoch_cost")
SECONDS, BATCHES = 3.0, 4  # at least so many of both, or the whole epoch


def time_in(folder: Path) -> dict[str, float]:
    """Train a few batches of what `FOLDER/options.yaml` says, validate once, write `result.json`.

    The result has seconds (prepare, epoch, evaluation) and the counts epochs, eval_step.
    """
    start = time.perf_counter()
    options = {**read_yaml(folder / OPTIONS), "checkpoint_dir": str(folder), "show_progress": False}
    with own_command_line({}):
        config = Config(config_dict=options)
    experiment = build(config)
    trainer, train_data = experiment.trainer, experiment.train_data
    epochs, eval_step = trainer.epochs, trainer.eval_step
    trainer.epochs = trainer.eval_step = 1
    trained = watch(train_data)
    ready = time.perf_counter()
    trainer.fit(train_data, experiment.valid_data, verbose=False, saved=False)
    timing = {"epoch": epoch_seconds(trained, len(train_data)) if len(trained) > 1 else 0.0}
    timing["evaluation"] = time.perf_counter() - (trained or [ready])[-1]
    timing |= {"prepare": ready - start, "epochs": epochs, "eval_step": eval_step}
    write_text(folder / RESULT, json.dumps(timing))
    return timing


def watch(loader: AbstractDataLoader, clock: Callable[[], float] = time.perf_counter) -> list[float]:
    """Let the loader stop early; a list that fills with the moments before the first batch and after each.

    Moments are in seconds, of the `clock`.
    """
    moments: list[float] = []
    original: Any = type(loader)

    class Watched(original):
        """Ends after SECONDS and BATCHES."""

        def __iter__(self) -> Iterator[Any]:
            moments.append(clock())
            for batch in super().__iter__():
                yield batch
                moments.append(clock())
                if len(moments) > BATCHES and moments[-1] - moments[0] > SECONDS:
                    break

    loader.__class__ = Watched
    return moments


def epoch_seconds(moments: list[float], batches: int) -> float:
    """The seconds of `batches` batches: the first as it was, the others as long as their mean."""
    first = moments[1] - moments[0]
    if len(moments) == 2:
        return first * batches
    return first + (moments[-1] - moments[1]) / (len(moments) - 2) * (batches - 1)


if __name__ == "__main__":
    sys.exit(in_folder(time_in, sys.argv[1:]))
