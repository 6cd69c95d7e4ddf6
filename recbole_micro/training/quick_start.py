"""Training and tuning's objective, in the order of steps (and of seeds) of RecBole's quick start."""

import logging
import sys
import time
from collections.abc import Callable, Sequence
from logging import getLogger
from pathlib import Path
from typing import Any

import psutil
import torch.distributed as dist
from recbole.utils import get_gpu_usage, init_logger, set_color
from recbole.utils.logger import RemoveColorFilter

from recbole_micro import distributed, options
from recbole_micro.data import features
from recbole_micro.data.missing import check_available, downloaded, missing_files, provide
from recbole_micro.errors import UserError, tool
from recbole_micro.models.base import MultimodalRecommender
from recbole_micro.options.config import Config, by_own_command
from recbole_micro.training.experiment import build
from recbole_micro.training.launch import TrainingArguments, spawn
from recbole_micro.training.loading import how_to_recommend, how_to_resume, resume
from recbole_micro.training.mistakes import mistakes_of_model
from recbole_micro.training.warm_start import start_from

# The launch options of a single process.
ALONE = {"nproc": 1, "world_size": -1, "ip": "localhost", "port": 5678, "offset": 0}


def run(
    model: str | None = None,
    dataset: str | None = None,
    config_file_list: list[str] | None = None,
    config_dict: dict | None = None,
    saved: bool = True,
    nproc: int = 1,
    world_size: int = -1,
    ip: str = "localhost",
    port: str = "5678",
    group_offset: int = 0,
    preset: str | list[str] | None = None,
) -> dict | None:
    """Train a model, select the epoch on the validation set, read the test set once.

    Like RecBole's `run`, and with its result: best_valid_score, valid_score_bigger, best_valid_result,
    test_result; and `checkpoint`, the path of the selected weights (None without `saved`).  With `nproc` > 1
    that many processes train together, and so do those that torchrun has started.  Raises UserError for
    everything that the caller can mend.
    """
    given = dict(config_dict or {})
    if preset is not None:
        given["preset"] = preset
    group: dict[str, Any] = {"nproc": nproc, "world_size": world_size, "ip": ip, "port": port}
    group["offset"] = group_offset
    for name in group:
        group[name] = options.declared("", "")[name].read(group[name], "in run()")
    launched = distributed.torchrun()
    if group != ALONE and (launched or dist.is_torchelastic_launched()):
        raise UserError(
            "torchrun starts the processes and says where they meet: leave out nproc, world_size, ip, "
            "port and group_offset, or start the program without torchrun."
        )
    if launched:
        return train(model, dataset, config_file_list, {**given, **launched}, saved)
    if group["nproc"] == 1 and group["world_size"] <= 0:
        return train(model, dataset, config_file_list, given, saved)
    if group["world_size"] <= 0:
        group["world_size"] = group["nproc"]
    if group["world_size"] < group["offset"] + group["nproc"]:
        raise UserError(
            f"world_size is {group['world_size']}, but group_offset {group['offset']} and nproc "
            f"{group['nproc']} make more: world_size counts the processes of all machines."
        )
    arguments = TrainingArguments(model, dataset, config_file_list, given, saved)
    return spawn(train, group, arguments)


def train(
    model: str | type | None,
    dataset: str | None,
    config_file_list: Sequence[str] | None,
    config_dict: dict[str, Any],
    saved: bool,
) -> dict[str, Any]:
    """`run` in this process, which may be one of several: then `config_dict` has the launch options."""
    with distributed.together():
        config = Config(model, dataset, config_file_list, config_dict)
        if downloaded(config, ask=by_own_command()):
            config = Config(model, dataset, config_file_list, config_dict)
        return train_one(config, saved)


def train_one(config: Config, saved: bool) -> dict[str, Any]:
    """Train, select, test; the result as of `run`.

    RecBole's FLOPs line is left out: it copies the whole model.
    """
    began = time.perf_counter(), time.process_time()
    check_data(config)
    start_log(config)
    if missing_files(config) and config["single_spec"]:
        provide(config["dataset"], Path(config["data_path"]))
        check_data(config)
    logger = getLogger()
    logger.info(sys.argv)
    logger.info(config)
    experiment = build(config)
    trainer, progress = experiment.trainer, config["show_progress"]
    if config["resume"]:
        resume(experiment, config["resume"])
    if config["init_from"]:
        start_from(experiment, config["init_from"])
    try:
        with mistakes_of_model(config, "trained"):
            score, valid_result = trainer.fit(
                experiment.train_data, experiment.valid_data, saved=saved, show_progress=progress
            )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(how_to_resume(trainer)) from None
    except RuntimeError as error:  # perhaps the others were interrupted before this process
        error.how_to_resume = how_to_resume(trainer)  # type: ignore[attr-defined]
        raise
    with mistakes_of_model(config, "tested"):
        test_result = trainer.evaluate(experiment.test_data, load_best_model=saved, show_progress=progress)

    logger.info(f"This training used {used(config, *began)}.")
    logger.info(set_color("best valid ", "yellow") + f": {valid_result}")
    logger.info(set_color("test result", "yellow") + f": {test_result}")
    command = how_to_recommend(config, trainer.saved_model_file) if saved else None
    if command:
        logger.info(f"What it recommends:\n{command}")
    if not config["single_spec"]:
        dist.destroy_process_group()
    return {
        "best_valid_score": score,
        "valid_score_bigger": config["valid_metric_bigger"],
        "best_valid_result": valid_result,
        "test_result": test_result,
        "checkpoint": trainer.saved_model_file if saved else None,
    }


def used(config: Config, began: float, busy: float) -> str:
    """Of the machine what this process has used: its processors, its memory, its GPU's memory.

    `began`, `busy`: `time.perf_counter` and `time.process_time` at the start.  RecBole's `get_environment`
    reads the load of the whole machine, other programs' too, for a second that it waits for.
    """
    share = (time.process_time() - busy) / (time.perf_counter() - began) / (psutil.cpu_count() or 1)
    own, there = psutil.Process().memory_info().rss, psutil.virtual_memory().total
    parts = [
        f"{100 * share:.0f} % of the machine's CPU",
        f"{own / 2**30:.2f} of {there / 2**30:.2f} GiB of memory",
    ]
    if config["device"].type == "cuda":
        parts.append(f"GPU memory {get_gpu_usage(config['device'])}")
    return ", ".join(parts)


def check_data(config: Config) -> None:
    """Raise UserError for a data set or a modality that is not there, before anything is printed."""
    if missing_files(config):
        check_available(config["dataset"], Path(config["data_path"]))
    elif issubclass(config.model_class, MultimodalRecommender):
        features.choose(Path(config["data_path"]), config["dataset"], config["modalities"])


def start_log(config: Config) -> None:
    """RecBole's `init_logger`, with a file of this run where an earlier one left its own handlers."""
    root = getLogger()
    for handler in root.handlers[:]:
        if any(isinstance(part, RemoveColorFilter) for part in handler.filters) or is_screen(handler):
            root.removeHandler(handler)
            handler.close()
    init_logger(config)


def is_screen(handler: logging.Handler) -> bool:
    """Whether RecBole's `init_logger` made this handler for the screen."""
    return type(handler.formatter).__module__.startswith("colorlog")


def objective(
    config_dict: dict | None = None,
    config_file_list: list[str] | None = None,
    test: bool = False,
    on_validation: Callable[[int, dict], None] | None = None,
) -> dict:
    """One trial of a search, for RecBole's HyperTuning: its result keys, and the number of epochs.

    The test set is read only with `test`; otherwise `test_result` is empty and nothing is saved.
    `on_validation` is called after each validation, with the epoch from 1 and the result as it would be if
    training ended there.
    """
    config = Config(config_dict=config_dict, config_file_list=config_file_list)
    start_log(config)
    experiment = build(config)
    trainer = experiment.trainer
    if not experiment.valid_data:
        name = config["dataset"]
        raise UserError(
            f"The data set {config['dataset']} has no validation interactions to choose options by: split it "
            f"with {tool(f'split {name} --how ratio', config['data_path'])}, or set eval_args."
        )

    def result() -> dict[str, Any]:
        return {
            "model": config["model"],
            "best_valid_score": trainer.best_valid_score,
            "valid_score_bigger": config["valid_metric_bigger"],
            "best_valid_result": trainer.best_valid_result,
            "epochs": len(trainer.train_loss_dict),
        }

    callback = None if on_validation is None else lambda epoch, score: on_validation(epoch + 1, result())
    with mistakes_of_model(config, "trained"):
        score, valid_result = trainer.fit(
            experiment.train_data, experiment.valid_data, verbose=False, saved=test, callback_fn=callback
        )
    final = result() | {"best_valid_score": score, "best_valid_result": valid_result}
    return final | {"test_result": trainer.evaluate(experiment.test_data) if test else {}}
