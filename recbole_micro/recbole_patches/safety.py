"""Values that RecBole evaluates and files that it unpickles: here they are read as plain data."""

import ast
import os
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch.distributed as dist

from dataset_tools.errors import DataError
from dataset_tools.formats.matrices.arrays import NpyFile
from recbole_micro.checkpoint import load_checkpoint, restore, trainer_state, write
from recbole_micro.distributed import from_first
from recbole_micro.errors import UserError
from recbole_micro.recbole_patches.mechanism import Patch

TRAINER, MODELS = "recbole.trainer.trainer", "recbole.model"


def convert_config_dict(self, config_dict: dict[str, Any]) -> dict[str, Any]:
    """RecBole's `Config._convert_config_dict`: strings become what they say, if they are Python literals."""
    for key, value in config_dict.items():
        if isinstance(value, str):
            config_dict[key] = literal(value)
    return config_dict


def literal(text: str) -> Any:
    """The number, string, list, tuple, dictionary, truth value or None that a text is; else the text."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text
    return value if value is None or isinstance(value, (str, int, float, list, tuple, dict)) else text


def save_checkpoint(self, epoch: int, verbose: bool = True, **kwargs: Any) -> None:
    """RecBole's `Trainer._save_checkpoint`: plain data; nobody reads the file before it is there."""
    if not self.config["single_spec"]:
        # it carries the time of day, which may differ between processes
        self.saved_model_file = from_first(self.saved_model_file)
    file = kwargs.pop("saved_model_file", self.saved_model_file)
    if self.config["local_rank"] == 0:
        write(trainer_state(self, epoch), file)
        if verbose:
            set_color = import_module(TRAINER).set_color
            self.logger.info(set_color("Saving current", "blue") + f": {file}")
    if not self.config["single_spec"]:
        dist.barrier()


def save_trees(self, epoch: int) -> None:
    """RecBole's `DecisionTreeTrainer._save_checkpoint`, as plain data."""
    state = trainer_state(self, epoch, state_dict=self.temp_best_file, other_parameter=None)
    write(state, self.saved_model_file)


def save_pretrained_model(self, epoch: int, saved_model_file: str) -> None:
    """RecBole's `PretrainTrainer.save_pretrained_model`, as plain data."""
    write(trainer_state(self, epoch), saved_model_file)
    self.saved_model_file = saved_model_file


def resume_checkpoint(self, resume_file: str | Path) -> None:
    """RecBole's `Trainer.resume_checkpoint` from plain data; learning rate and decay are this run's."""
    checkpoint = load_checkpoint(resume_file, map_location=self.device)
    stored, ours = checkpoint["config"]["model"], self.config["model"]
    if stored.lower() != ours.lower():
        self.logger.warning(f"{resume_file} belongs to {stored}, not to {ours}: loading may fail.")
    restore(self.model, checkpoint)
    if checkpoint["config"].get("learner") == self.config["learner"]:
        self.optimizer.load_state_dict(checkpoint["optimizer"])
        for group in self.optimizer.param_groups:
            group.update(lr=self.learning_rate, weight_decay=self.weight_decay)
    else:
        self.logger.warning(f"The optimiser's state in {resume_file} is another learner's: left out.")
    self.saved_model_file = str(resume_file)
    self.start_epoch = checkpoint["epoch"] + 1
    self.cur_step = checkpoint["cur_step"]
    self.best_valid_score = checkpoint["best_valid_score"]
    self.logger.info(f"Checkpoint loaded. Resume training from epoch {self.start_epoch}")


def load_data_and_model(model_file: str | Path) -> tuple:
    """RecBole's function of this name for plain checkpoints."""
    from recbole_micro.training.loading import load_data_and_model

    return tuple(load_data_and_model(model_file))


def load_split_dataloaders(config: Any) -> None:
    """RecBole's function of this name: no saved loaders are opened, they are pickles."""
    from recbole_micro.data.dataset import warn_of_pickle

    own_file = f"{config['dataset']}-for-{config['model']}-dataloader.pth"
    warn_of_pickle(config["dataloaders_save_path"] or os.path.join(config["checkpoint_dir"], own_file))


def vectors_of_items(path: str) -> np.ndarray:
    """What RecBole's LDiffRec reads of the items, plain numbers [items, d]; UserError for others."""
    if not os.path.isfile(path):
        raise UserError(
            f"LDiffRec with n_cate above 1 reads a row per item in {path}: write it, or set n_cate=1."
        )
    try:
        NpyFile(path)
    except DataError as error:
        raise UserError(error) from error
    return np.load(path, allow_pickle=False)


def teacher_named(name: Any, *networks: type) -> type:
    """The network of this name that teaches RecBole's KD_DAGFM; UserError where there is none."""
    known = {network.__name__: network for network in networks}
    if name not in known:
        raise UserError(f"Option teacher is {name!r}: choose one of {', '.join(known)}.")
    return known[name]


HERE = "from recbole_micro.recbole_patches.safety import "
PICKLE = "Checkpoints were pickled, Config and all: PyTorch 2.6 refuses to open them, and rightly so."
EVAL = "Strings were evaluated as Python code."

SAFETY = (
    Patch(
        "recbole.data.utils", "load_split_dataloaders", "replace", load_split_dataloaders,
        "Loaders were unpickled wherever a file of their default name lay.", "ad97dd4b6a7c",
    ),
    Patch(
        "recbole.config.configurator:Config", "_convert_config_dict", "replace", convert_config_dict, EVAL,
        "6c9042250ea4",
    ),
    Patch(
        "recbole.trainer.hyper_tuning:HyperTuning", "_build_space_from_file", "edit",
        (
            ("eval(para_value)", "__import__('ast').literal_eval(para_value)"),
            ('open(file, "r")', 'open(file, "r", encoding="utf-8")'),
        ),
        EVAL, "bfcd8b946556",
    ),
    Patch(TRAINER + ":Trainer", "_save_checkpoint", "replace", save_checkpoint, PICKLE, "dd314d220aa3"),
    Patch(TRAINER + ":Trainer", "resume_checkpoint", "replace", resume_checkpoint, PICKLE, "cabd9717428b"),
    Patch(
        TRAINER + ":Trainer", "evaluate", "edit",
        (
            (
                "checkpoint = torch.load(checkpoint_file, map_location=self.device)",
                "from recbole_micro.checkpoint import load_checkpoint, restore",
            ),
            (
                'self.model.load_state_dict(checkpoint["state_dict"])',
                "restore(self.model, load_checkpoint(checkpoint_file, map_location=self.device))",
            ),
            ('self.model.load_other_parameter(checkpoint.get("other_parameter"))\n', "\n"),
        ),
        PICKLE, "8da46a64e4b1",
    ),
    Patch(
        TRAINER + ":PretrainTrainer", "save_pretrained_model", "replace", save_pretrained_model, PICKLE,
        "e39e5654b3a9",
    ),
    Patch(
        TRAINER + ":DecisionTreeTrainer", "_save_checkpoint", "replace", save_trees, PICKLE, "ce0424196128",
    ),
    Patch(
        "recbole.quick_start.quick_start", "load_data_and_model", "replace", load_data_and_model, PICKLE,
        "a7709915fca7",
    ),
    Patch(
        MODELS + ".general_recommender.ldiffrec:LDiffRec", "__init__", "edit",
        (
            (
                "item_emb = torch.from_numpy(np.load(emb_path, allow_pickle=True))",
                HERE + "vectors_of_items; item_emb = torch.from_numpy(vectors_of_items(emb_path))",
            ),
        ),
        "A file beside the data, `item_emb.npy`, was unpickled.", "529a2c4e0b03",
    ),
    Patch(
        MODELS + ".context_aware_recommender.kd_dagfm:KD_DAGFM", "__init__", "edit",
        (
            (
                "self.teacher_network = eval(f\"{config['teacher']}\")(",
                HERE + "teacher_named; "
                "self.teacher_network = teacher_named(config['teacher'], CrossNet, CIN, DAGFM)(",
            ),
        ),
        EVAL, "4cb8226745b6",
    ),
)  # fmt: skip
