"""What RecBole's data sets, loaders and trainer learn from the plugin, patched on their classes in place."""

import ctypes
import functools
import os
import re
import sys
from contextlib import nullcontext
from logging import getLogger
from pathlib import Path

import torch.distributed as dist
from recbole.data.dataloader import FullSortEvalDataLoader, NegSampleEvalDataLoader
from recbole.data.dataloader.abstract_dataloader import NegSampleDataLoader
from recbole.data.dataset import Dataset
from recbole.model.abstract_recommender import AbstractRecommender
from recbole.sampler import Sampler
from recbole.trainer import TraditionalTrainer, Trainer
from recbole.trainer.trainer import AbstractTrainer
from recbole.utils import FeatureType, ModelType, get_model, set_color
from torch.nn import SyncBatchNorm
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Adam

from dataset_tools.errors import DataError
from dataset_tools.formats.atomic import read_header
from recbole_micro import cold_start, options, protocol, shared_evaluation
from recbole_micro.checkpoint import fingerprint
from recbole_micro.errors import UserError

NUMBER = r"([+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|inf))"
INTERVAL = re.compile(rf"[\[(]\s*{NUMBER}\s*,\s*{NUMBER}\s*[\])]", re.IGNORECASE)
RECBOLE_EVAL_BATCH = 4096
EVAL_USERS = 256
EVAL_SCORES = 2**26  # 256 MB of float32, and RecBole holds a few copies
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h


def install() -> None:
    """Wrap the methods; idempotent."""
    protocol.install()
    for owner, name, wrap in (
        (Dataset, "_load_data", present_dataset),
        (Dataset, "_reset_index", something_left),
        (Dataset, "_filter_by_field_value", known_values),
        (Dataset, "_parse_intervals_str", readable_intervals),
        (Dataset, "_set_label_by_threshold", known_threshold),
        (Sampler, "get_used_ids", room_for_negatives),
        (FullSortEvalDataLoader, "_init_batch_size_and_step", chosen_eval_batch),
        (NegSampleEvalDataLoader, "_init_batch_size_and_step", chosen_eval_batch),
        (NegSampleDataLoader, "_neg_sampling", negatives_of_an_epoch),
        (AbstractTrainer, "__init__", any_process_group),
        (Trainer, "_generate_train_loss_output", named_losses),
        (Trainer, "_build_optimizer", fused_adam),
        (Trainer, "__init__", memory_kept),
        (Trainer, "fit", ids_known),
        (TraditionalTrainer, "__init__", evaluated_once),
        *shared_evaluation.WRAPS,
        *protocol.WRAPS,
        *cold_start.WRAPS,
    ):
        original = getattr(owner, name)
        done = getattr(original, "wrapped_by", ())
        if wrap not in done:
            wrapper = functools.wraps(original)(wrap(original))
            wrapper.wrapped_by = (*done, wrap)
            setattr(owner, name, wrapper)


def present_dataset(original):
    """Prepare a missing data set, or say how to get it, where RecBole would download or crash."""

    def _load_data(self, token, dataset_path):
        if missing_files(self.config):
            if self.config["local_rank"] == 0:
                prepare(token, Path(dataset_path))
            if not self.config["single_spec"]:
                dist.barrier()
        check_header(self.config)
        original(self, token, dataset_path)

    return _load_data


def check_header(config) -> None:
    """Raise UserError where interactions do not begin with `name:type` fields, users and items among them."""
    if config["field_separator"] != "\t" or config["MODEL_TYPE"] != ModelType.GENERAL:
        return
    for path in interaction_files(config):
        try:
            names = [name for name, _ in read_header(Path(path))]
        except DataError as error:
            raise UserError(f"{error} Write it with python -m dataset_tools convert.") from error
        columns = (config["load_col"] or {}).get("inter")
        asked = config["eval_args"] or {}
        if asked.get("order") == "TO":
            check_loaded(config["TIME_FIELD"], names, columns, "eval_args with order: TO", path)
        if "labeled" in asked["mode"].values() and not config["threshold"]:
            check_loaded(config["LABEL_FIELD"], names, columns, "eval_args with mode: labeled", path)
        for field in (config["USER_ID_FIELD"], config["ITEM_ID_FIELD"]):
            if columns is not None and field not in columns:
                raise UserError(f"load_col reads no {field} of the interactions: add it to {columns}.")
            if field not in names:
                raise UserError(
                    f"{path} has no column {field}:token, only {', '.join(names)}: rename a column, or set "
                    "USER_ID_FIELD and ITEM_ID_FIELD."
                )


def check_loaded(field: str, names: list[str], columns: list[str] | None, what: str, path: str) -> None:
    """Raise UserError where `what` needs a column of the interactions that is not there or not read."""
    if field not in names:
        raise UserError(f"{what} needs the column {field}, which {path} does not have.")
    if columns is not None and field not in columns:
        loaded = ", ".join([*columns, field])
        raise UserError(f"{what} needs the column {field}: read it with load_col: {{inter: [{loaded}]}}.")


def known_threshold(original):
    """RecBole's mistakes about `threshold` are the user's."""

    def _set_label_by_threshold(self):
        try:
            original(self)
        except ValueError as error:
            raise UserError(f"Option threshold is {self.config['threshold']}: {error}") from error

    return _set_label_by_threshold


def known_values(original):
    """Say which field or value of `val_interval` cannot be filtered by."""

    def _filter_by_field_value(self):
        for field, kept in (self.config["val_interval"] or {}).items():
            if field not in self.field2type:
                raise UserError(
                    f"val_interval names {field}, but only {', '.join(self.field2type)} are loaded: name it "
                    "in load_col, where a file of the data set has it."
                )
            number = self.field2type[field] in (FeatureType.FLOAT, FeatureType.FLOAT_SEQ)
            if not number and not isinstance(kept, (list, tuple, set)):
                raise UserError(f"val_interval of {field} is {kept!r}: give a list of the values to keep.")
        original(self)

    return _filter_by_field_value


def readable_intervals(original):
    """Refuse an interval that RecBole would skip, or end with a traceback of."""

    def _parse_intervals_str(self, text):
        for one in [] if text is None else str(text).split(";"):
            found = INTERVAL.fullmatch(one.strip())
            if not found or float(found[1]) > float(found[2]):
                raise UserError(
                    f"The interval {one.strip()!r} of a filter (user_inter_num_interval, "
                    "item_inter_num_interval, val_interval) cannot be read: write [5,inf) or (0,3], and "
                    "several with ; between them."
                )
        return original(self, text)

    return _parse_intervals_str


def room_for_negatives(original):
    """A user without a negative is a matter of the user's data."""

    def get_used_ids(self):
        try:
            return original(self)
        except ValueError as error:
            raise UserError(str(error)) from error

    return get_used_ids


def something_left(original):
    """Say which file and which options left no row, where RecBole says `some feat`."""

    def _reset_index(self):
        for name in self.feat_name_list:
            if getattr(self, name).empty:
                raise UserError(
                    f"The data set {self.dataset_name} has no row left in {name.removesuffix('_feat')} after "
                    f"reading and filtering: look into {self.config['data_path']}, and at the filtering "
                    "options (val_interval, user_inter_num_interval, item_inter_num_interval, ...)."
                )
        original(self)

    return _reset_index


def missing_files(config) -> list[str]:
    """The interaction files that the configuration asks for and that are not there."""
    return [path for path in interaction_files(config) if not os.path.isfile(path)]


def interaction_files(config) -> list[str]:
    """The interaction files that the configuration asks for: one, or the parts of a fixed split."""
    names = [f"{part}.inter" for part in config["benchmark_filename"] or []] or ["inter"]
    return [os.path.join(config["data_path"], f"{config['dataset']}.{name}") for name in names]


def prepare(name: str, folder: Path) -> None:
    """Make the data set where that needs no download; else UserError with one sentence on how to get it."""
    from dataset_tools.dataset import catalog

    command = f"python -m dataset_tools prepare {name} --data-path {folder.parent}"
    if not catalog.is_known(name):
        near = options.hint(name, catalog.KNOWN, ".")
        raise UserError(
            f"The data set {name} is not in {folder} (no {name}.inter): convert your files with python -m "
            f"dataset_tools convert, or pass --data_path=FOLDER where FOLDER/{name} holds it{near}"
        )
    if catalog.KNOWN[name].needs_download:
        raise UserError(f"The data set {name} is not in {folder}: get it with {command}.")
    getLogger().info(f"The data set {name} is not in {folder}: {command}")
    try:
        catalog.prepare(name, folder.parent)
    except DataError as error:
        if not (folder / f"{name}.inter").is_file():  # another process may have made it meanwhile
            raise UserError(str(error)) from error


def chosen_eval_batch(original):
    """Fill an unset `eval_batch_size` as soon as a loader knows the number of items."""

    def _init_batch_size_and_step(self):
        if self.config["eval_batch_size"] is None:
            self.config["eval_batch_size"] = eval_batch_size(self.config, self._dataset.item_num)
        longest, n_items = max(self.config["topk"], default=0), self._dataset.item_num - 1
        if isinstance(self, FullSortEvalDataLoader) and longest > n_items:
            raise UserError(
                f"topk is {longest}, but the data set has {n_items} items: choose a shorter list."
            )
        original(self)

    return _init_batch_size_and_step


def eval_batch_size(config, n_items: int) -> int:
    """Scores to compute at a time: those of 256 users, or of fewer where memory asks for it.

    RecBole's 4096 means one user at a time, a twelfth of the speed.  It stays for sampled evaluation and
    for models that score pair by pair, whose activations for all items of many users would not fit.
    """
    model_class = getattr(config, "model_class", None) or get_model(config["model"])
    scores_all = model_class.full_sort_predict is not AbstractRecommender.full_sort_predict
    if not scores_all or set(config["eval_args"]["mode"].values()) != {"full"} or config["repeatable"]:
        return RECBOLE_EVAL_BATCH
    return n_items * max(1, min(EVAL_USERS, EVAL_SCORES // n_items))


def negatives_of_an_epoch(original):
    """Dynamic sampling scores its candidates by what a model of ours has computed once for the epoch."""

    def _neg_sampling(self, inter_feat):
        model = getattr(self, "model", None)  # set by Trainer.fit where sampling is dynamic
        if model is None:
            return original(self, inter_feat)
        self.model = ScoresOnTheCPU(model)
        try:
            with getattr(model, "choosing_negatives", nullcontext)():
                return original(self, inter_feat)
        finally:
            self.model = model

    return _neg_sampling


class ScoresOnTheCPU:
    """A model whose `predict` answers on the CPU, where RecBole's dynamic sampling indexes the candidates."""

    def __init__(self, model):
        self._model = model

    def __getattr__(self, name):
        return getattr(self._model, name)

    def predict(self, interaction):
        return self._model.predict(interaction).cpu()


def any_process_group(original):
    """Distributed training on the CPU as well, and on the CUDA device that Config chose for this process."""

    def __init__(self, config, model):
        if config["single_spec"]:
            original(self, config, model)
            return
        self.config = config
        on_cuda = config["device"].type == "cuda"
        self.model = SyncBatchNorm.convert_sync_batchnorm(model) if on_cuda else model
        devices = [config["device"]] if on_cuda else None
        self.distributed_model = DistributedDataParallel(self.model, device_ids=devices)

    return __init__


def evaluated_once(original):
    """Models of one epoch are validated, and so saved, after it, whatever `eval_step` is."""

    def __init__(self, config, model):
        original(self, config, model)
        self.eval_step = min(self.eval_step, self.epochs)

    return __init__


def fused_adam(original):
    """Adam in one pass over its tensors: the same steps up to rounding, in a sixth of the time on the CPU."""

    def _build_optimizer(self, **kwargs):
        optimizer = original(self, **kwargs)
        if type(optimizer) is Adam:
            for group in optimizer.param_groups:
                group["fused"] = True
        return optimizer

    return _build_optimizer


def memory_kept(original):
    """On the CPU, memory that one step frees serves the next: an epoch of FREEDOM takes 0.7 x, of SGL 0.6 x.

    glibc gives large blocks back to the system, which hands them out again page by page, filled with zeros.
    The price on Baby is 1 to 6 % more peak memory, for SGL 60 %.
    """

    def __init__(self, config, model):
        original(self, config, model)
        if config["device"].type == "cpu":
            keep_freed_memory()

    return __init__


def ids_known(original):
    """The trainer's checkpoints say which users and items their rows stand for."""

    def fit(self, train_data, *arguments, **named):
        self.ids = fingerprint(train_data._dataset)
        return original(self, train_data, *arguments, **named)

    return fit


def keep_freed_memory() -> None:
    """Let the process keep blocks up to 1 GB, and 2 GB in all, beyond what it uses (glibc only)."""
    set_option = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if set_option is None:
        return
    # Older releases refuse more than 32 MB; with neither, the second option alone would slow things down.
    if set_option(M_MMAP_THRESHOLD, 2**30) or set_option(M_MMAP_THRESHOLD, 2**25):
        set_option(M_TRIM_THRESHOLD, 2**31 - 1)


def named_losses(original):
    """The epoch line with the model's `loss_names` in place of train_loss1, train_loss2, ..."""

    def _generate_train_loss_output(self, epoch_idx, s_time, e_time, losses):
        line = original(self, epoch_idx, s_time, e_time, losses)
        names = getattr(self.model, "loss_names", None)
        if not names or not isinstance(losses, tuple):
            return line
        for number, (name, _) in enumerate(zip(names, losses, strict=True), start=1):
            line = line.replace(set_color(f"train_loss{number}", "blue"), set_color(name, "blue"))
        return line

    return _generate_train_loss_output
