"""Training, loading and tuning's objective, in the order of steps (and of seeds) of RecBole's quick start."""

import logging
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from logging import getLogger

import torch.distributed as dist
import torch.multiprocessing as mp
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import get_environment, get_model, get_trainer, init_logger, init_seed, set_color
from recbole.utils.logger import RemoveColorFilter

from recbole_micro import compat, distributed, options, own_models
from recbole_micro.checkpoint import check_ids, load_checkpoint
from recbole_micro.config import command_line, own_command_line
from recbole_micro.errors import UserError

ALONE = {"nproc": 1, "world_size": -1, "ip": "localhost", "port": 5678, "offset": 0}

TIME_TO_END = 15  # seconds that interrupted processes have

WITHOUT = {"validation": "the last epoch is kept", "test": "nothing is measured"}


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
    group = {"nproc": nproc, "world_size": world_size, "ip": ip, "port": port, "offset": group_offset}
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
    return spawn(group, (model, dataset, config_file_list, given, saved))


def spawn(group: dict, arguments: tuple) -> dict | None:
    """Train in `nproc` processes; the result of the first.  Where one fails, the others are ended."""
    queue, others = mp.get_context("spawn").SimpleQueue(), mp.active_children()
    try:
        mp.spawn(train_process, (queue, group, command_line(), arguments), nprocs=group["nproc"])
    except KeyboardInterrupt:  # perhaps while they are started
        started = [process for process in mp.active_children() if process not in others]
        raise KeyboardInterrupt(end(started, queue)) from None
    except mp.ProcessExitedException as error:
        # The first message is that of the process that failed first, whichever was seen to end first.
        kind, message = ("none", "") if queue.empty() else queue.get()
        if kind == "mistake":
            raise UserError(message) from None
        if kind == "crash":
            raise RuntimeError(f"A process of this training failed:\n{message}") from None
        raise UserError(
            f"A process of this training ended early ({error}): see its messages; without any it was killed, "
            "perhaps for want of memory."
        ) from None
    return None if queue.empty() else queue.get()[1]


def end(processes: list, queue) -> str:
    """Interrupt the processes that an interrupt has not reached; what the first says of its checkpoint."""
    for process in processes:
        process.join(1)
        if process.is_alive():
            os.kill(process.pid, signal.SIGINT)
    for process in processes:
        process.join(TIME_TO_END)
        process.terminate()
    said = {}
    while not queue.empty():
        kind, message = queue.get()
        said[kind] = message
    return said.get("interrupted", "")


def train_process(rank: int, queue, group: dict, line: dict, arguments: tuple) -> None:
    """One of several training processes; its mistake or crash, or the first's result, goes to the queue."""
    model, dataset, files, given, saved = arguments
    try:
        with own_command_line(line):
            result = train(model, dataset, files, {**given, **group, "local_rank": rank}, saved)
    except KeyboardInterrupt as error:
        if rank == 0:
            queue.put(("interrupted", str(error)))
        sys.exit(130)
    except UserError as error:
        queue.put(("mistake", str(error)))
        sys.exit(2)
    except Exception:
        queue.put(("crash", traceback.format_exc()))
        sys.exit(1)
    if rank == 0:
        queue.put(("result", result))


def train(model, dataset, config_file_list, config_dict, saved) -> dict:
    """`run` in this process, which may be one of several."""
    with distributed.together():
        return train_one(Config(model, dataset, config_file_list, config_dict), saved)


def train_one(config, saved: bool) -> dict:
    """Train, select, test.  RecBole's FLOPs line is left out: it copies the whole model."""
    start_log(config)
    logger = getLogger()
    logger.info(sys.argv)
    logger.info(config)
    trainer, train_data, valid_data, test_data = prepare(config)
    if config["resume"]:
        resume(trainer, config["resume"], train_data, valid_data)
    try:
        score, valid_result = trainer.fit(
            train_data, valid_data, saved=saved, show_progress=config["show_progress"]
        )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(how_to_resume(trainer)) from None
    test_result = trainer.evaluate(test_data, load_best_model=saved, show_progress=config["show_progress"])

    logger.info("The running environment of this training is as follows:\n" + get_environment(config).draw())
    logger.info(set_color("best valid ", "yellow") + f": {valid_result}")
    logger.info(set_color("test result", "yellow") + f": {test_result}")
    if not config["single_spec"]:
        dist.destroy_process_group()
    return {
        "best_valid_score": score,
        "valid_score_bigger": config["valid_metric_bigger"],
        "best_valid_result": valid_result,
        "test_result": test_result,
        "checkpoint": trainer.saved_model_file if saved else None,
    }


def prepare(config) -> tuple:
    """(trainer, train_data, valid_data, test_data), seeded where RecBole seeds."""
    init_seed(config["seed"], config["reproducibility"])
    logger = getLogger()
    dataset = create_dataset(config)
    logger.info(dataset)
    train_data, valid_data, test_data = data_preparation(config, dataset)
    for part, data in (("validation", valid_data), ("test", test_data)):
        if not data:
            logger.warning(f"The data set {config['dataset']} has no {part} interactions: {WITHOUT[part]}.")
    rank = config["local_rank"] + (config["offset"] or 0)
    init_seed(config["seed"] + rank, config["reproducibility"])
    model = get_model(config["model"])(config, train_data._dataset).to(config["device"])
    logger.info(model)
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    return trainer, train_data, valid_data, test_data


def start_log(config) -> None:
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


def resume(trainer, checkpoint: str, train_data, valid_data) -> None:
    """Continue from a checkpoint: weights, optimiser, epoch; what follows goes to a file of its own.

    The resumed state counts as the best so far, so its validation result is computed anew.
    """
    own_file = trainer.saved_model_file
    if not trainer.config["single_spec"]:  # each process names it by its own clock
        own_file = distributed.from_first(own_file)
    check_ids(load_checkpoint(checkpoint), train_data._dataset)
    trainer.resume_checkpoint(checkpoint)
    if trainer.start_epoch >= trainer.epochs:
        raise UserError(
            f"The checkpoint {checkpoint} has {trainer.start_epoch} epochs of training already: "
            f"set epochs (now {trainer.epochs}) higher to continue."
        )
    trainer.saved_model_file = own_file
    if trainer.config["local_rank"] == 0:
        shutil.copyfile(checkpoint, own_file)
    if not trainer.config["single_spec"]:
        dist.barrier()
    if valid_data:
        trainer.eval_collector.data_collect(train_data)
        trainer.best_valid_result = trainer.evaluate(valid_data, load_best_model=False)


def how_to_resume(trainer) -> str:
    """What an interrupted training leaves behind, as a sentence."""
    file = trainer.saved_model_file
    if not os.path.isfile(file):
        return "No checkpoint was written yet."
    return f"The best epoch so far is in {file}: go on from there with --resume={file}."


def load(
    checkpoint: str, plugins: str | list[str] | None = None, data_path: str | os.PathLike | None = None
) -> tuple:
    """(config, model, dataset, train_data, valid_data, test_data) of a checkpoint.

    `plugins`: Python files with models of the user's own; the checkpoint of such a model runs no file by
    itself.  `data_path`: the folder that holds the data set's, where it has moved since the training.
    """
    own_models.load(plugins)
    return compat.load_data_and_model(checkpoint, data_path)


def objective(
    config_dict: dict | None = None,
    config_file_list: list[str] | None = None,
    test: bool = False,
    look: Callable[[int, dict], None] | None = None,
) -> dict:
    """One trial of a search, for RecBole's HyperTuning: its result keys, and the number of epochs.

    The test set is read only with `test`; otherwise `test_result` is empty and nothing is saved.  `look` is
    called after each look at the validation set, with the result as it would be if training ended there.
    """
    config = Config(config_dict=config_dict, config_file_list=config_file_list)
    start_log(config)
    trainer, train_data, valid_data, test_data = prepare(config)
    if not valid_data:
        raise UserError(
            f"The data set {config['dataset']} has no validation interactions to choose options by: split it "
            "with python -m dataset_tools split, or set eval_args."
        )

    def result() -> dict:
        return {
            "model": config["model"],
            "best_valid_score": trainer.best_valid_score,
            "valid_score_bigger": config["valid_metric_bigger"],
            "best_valid_result": trainer.best_valid_result,
            "epochs": len(trainer.train_loss_dict),
        }

    callback = None if look is None else lambda epoch, score: look(epoch + 1, result())
    score, valid_result = trainer.fit(train_data, valid_data, verbose=False, saved=test, callback_fn=callback)
    found = result() | {"best_valid_score": score, "best_valid_result": valid_result}
    return found | {"test_result": trainer.evaluate(test_data, load_best_model=True) if test else {}}
