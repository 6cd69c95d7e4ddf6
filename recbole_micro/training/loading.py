"""Trained models from their checkpoints, and trainings that go on from one."""

import os
import shlex
import shutil
from collections.abc import Mapping
from logging import getLogger
from typing import Any, NamedTuple

import torch.distributed as dist
from recbole.config import Config as RecBoleConfig
from recbole.data.dataloader import AbstractDataLoader
from recbole.data.dataset import Dataset
from recbole.model.abstract_recommender import AbstractRecommender
from recbole.trainer import Trainer
from recbole.utils import ModelType, init_logger

from dataset_tools.files import replacing
from recbole_micro.checkpoint import check_ids, last_file, load_checkpoint, restore
from recbole_micro.distributed import from_first
from recbole_micro.errors import UserError
from recbole_micro.options import user_models
from recbole_micro.options.stored import config_from_plain
from recbole_micro.training.experiment import Experiment, build
from recbole_micro.training.last_state import as_metrics

# What models score that want more than a user and an item: commands that recommend cannot serve these.
OTHER_INPUTS = {
    ModelType.SEQUENTIAL: "a sequence of items",
    ModelType.DECISIONTREE: "a table of features",
}


class Loaded(NamedTuple):
    """What RecBole's `load_data_and_model` returns."""

    config: RecBoleConfig
    model: AbstractRecommender
    dataset: Dataset
    train_data: AbstractDataLoader
    valid_data: AbstractDataLoader
    test_data: AbstractDataLoader


def load(
    checkpoint: str | os.PathLike,
    plugins: str | list[str] | None = None,
    data_path: str | os.PathLike | None = None,
) -> Loaded:
    """Configuration, model, data set and loaders of a checkpoint.

    `plugins`: Python files with models of the user's own; the checkpoint of such a model runs no file by
    itself.  `data_path`: the folder that holds the data set's, where it has moved since the training.
    Raises UserError as `load_checkpoint` does, and where the data set is another one.
    """
    user_models.load(plugins)
    return load_data_and_model(checkpoint, data_path)


def load_data_and_model(
    model_file: str | os.PathLike, data_path: str | os.PathLike | None = None, log: bool = True
) -> Loaded:
    """RecBole's function of this name for plain checkpoints; without `log` it says nothing."""
    checkpoint = load_checkpoint(model_file)
    moved = {} if data_path is None else {"data_path": str(data_path)}
    config = config_from_plain({**checkpoint["config"], **moved})
    if config["device"].type != "cpu":
        checkpoint = load_checkpoint(model_file, map_location=config["device"])
    if log:
        init_logger(config)
        getLogger().info(config)
    built = build(config, trainer=False)
    check_ids(checkpoint, built.train_data._dataset)
    restore(built.model, checkpoint)
    return Loaded(config, built.model, built.dataset, built.train_data, built.valid_data, built.test_data)


def resume(experiment: Experiment, checkpoint: str) -> None:
    """Continue from a checkpoint: weights, optimiser, epoch; what follows goes to a file of its own.

    The resumed state counts as the best so far, so its validation result is computed anew.
    """
    trainer, config = experiment.trainer, experiment.config
    own_file = trainer.saved_model_file
    if not config["single_spec"]:  # each process names it by its own clock
        own_file = from_first(own_file)
    state = load_checkpoint(checkpoint)
    check_ids(state, experiment.train_data._dataset)
    trainer.resume_checkpoint(checkpoint)
    if trainer.start_epoch >= trainer.epochs:
        raise UserError(
            f"The checkpoint {checkpoint} has {trainer.start_epoch} epochs of training already: "
            f"set epochs (now {trainer.epochs}) higher to continue."
        )
    trainer.saved_model_file = own_file
    if "last" in state:
        go_on(trainer, state["last"], checkpoint)
        return
    if config["local_rank"] == 0:
        copy(checkpoint, own_file)
    if not config["single_spec"]:
        dist.barrier()
    if experiment.valid_data:
        trainer.eval_collector.data_collect(experiment.train_data)
        trainer.best_valid_result = trainer.evaluate(experiment.valid_data, load_best_model=False)


def go_on(trainer: Trainer, last: Mapping[str, Any], checkpoint: str) -> None:
    """Continue from a last state, to the result that the uninterrupted training would have had."""
    if trainer.cur_step > trainer.stopping_step:
        raise UserError(
            f"The training of {checkpoint} has stopped for want of progress: set stopping_step (now "
            f"{trainer.stopping_step}) higher to continue."
        )
    if last["best_file"] is not None:
        best = os.path.join(os.path.dirname(checkpoint), last["best_file"])
        if not os.path.isfile(best):
            raise UserError(f"The best state {best} is not beside {checkpoint}: put it back, or train anew.")
        if trainer.config["local_rank"] == 0:
            copy(best, trainer.saved_model_file)
    trainer.best_valid_result = as_metrics(last["best_valid_result"])
    trainer.train_loss_dict = dict(last["train_loss"])
    trainer.validations = {epoch: as_metrics(result) for epoch, result in last["validations"]}
    if trainer.config["single_spec"]:
        trainer.resumed = last


def copy(source: str, target: str) -> None:
    """Copy a checkpoint, whole or not at all."""
    with replacing(target) as part:
        shutil.copyfile(source, part)


def how_to_resume(trainer: Trainer) -> str:
    """What an interrupted training leaves behind, as a sentence."""
    file, last = trainer.saved_model_file, last_file(trainer.saved_model_file)
    if os.path.isfile(last):
        return f"Go on after the last complete epoch with --resume={last}."
    if not os.path.isfile(file):
        return "No checkpoint was written yet."
    return f"The best epoch so far is in {file}: go on from there with --resume={file}."


def how_to_recommend(config: RecBoleConfig, checkpoint: str) -> str | None:
    """The command that lists what a trained model recommends, for a shell; None where it cannot."""
    if config["MODEL_TYPE"] in OTHER_INPUTS:
        return None
    asked = [f"--checkpoint={checkpoint}", "--users=all", "--topk=20", "--out=lists.csv"]
    if config["plugins"]:
        plugins = config["plugins"]
        asked.append(f"--plugins={plugins if isinstance(plugins, str) else ','.join(plugins)}")
    return shlex.join(["recbole-micro", "recommend", *asked])
