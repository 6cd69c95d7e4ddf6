"""RecBole's data sets with the plugin's checks: what users can mend is said before RecBole would crash."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from logging import getLogger
from pathlib import Path

import recbole.data.dataset
import torch.distributed as dist
from recbole.config import Config as RecBoleConfig
from recbole.data.dataset import Dataset as RecBoleDataset
from recbole.utils import FeatureType, ModelType

from dataset_tools.errors import DataError
from dataset_tools.formats.atomic import read_header
from recbole_micro.data.interaction import Columns
from recbole_micro.data.many_rows import ManyRows
from recbole_micro.data.missing import interaction_files, missing_files, provide
from recbole_micro.errors import UserError
from recbole_micro.mixing import extended

NUMBER = r"([+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|inf))"
INTERVAL = re.compile(rf"[\[(]\s*{NUMBER}\s*,\s*{NUMBER}\s*[\])]", re.IGNORECASE)


class CheckedFiles(ManyRows):
    """What a data set of the plugin's checks beside what RecBole does (mix-in of RecBole's classes)."""

    def _load_data(self, token, dataset_path):
        """Make a missing data set, or say how to get it, where RecBole would download or crash."""
        if missing_files(self.config):
            if self.config["local_rank"] == 0:
                provide(token, Path(dataset_path))
            if not self.config["single_spec"]:
                dist.barrier()
        check_header(self.config)
        super()._load_data(token, dataset_path)

    def _benchmark_presets(self):
        """Say what sequential models need of a fixed split, whose rows RecBole takes for whole sequences."""
        field = f"item_id{self.config['LIST_SUFFIX']}"
        if field not in self.inter_feat:
            raise UserError(
                f"{self.config['model']} reads sequences: of a fixed split it needs the column "
                f"{field}:token_seq, each row's earlier items.  Write that column, or give the "
                f"interactions in one file, {self.dataset_name}.inter, which eval_args splits."
            )
        super()._benchmark_presets()

    def _filter_inter_by_user_or_item(self):
        """Say how many interactions go because `<name>.item` or `<name>.user` does not have theirs."""
        before = len(self.inter_feat)
        super()._filter_inter_by_user_or_item()
        lost = before - len(self.inter_feat)
        if lost:
            name = self.dataset_name
            self.logger.warning(
                f"{lost:,} of {before:,} interactions are left out: their items or users have no row in "
                f"{name}.item or {name}.user (filter_inter_by_user_or_item)."
            )

    def _set_label_by_threshold(self):
        """RecBole's mistakes about `threshold` are the user's."""
        try:
            super()._set_label_by_threshold()
        except ValueError as error:
            raise UserError(f"Option threshold is {self.config['threshold']}: {error}") from error

    def _filter_by_field_value(self):
        """Say which field or value of `val_interval` cannot be filtered by."""
        for field, kept in (self.config["val_interval"] or {}).items():
            if field not in self.field2type:
                raise UserError(
                    f"val_interval names {field}, but only {', '.join(self.field2type)} are loaded: name it "
                    "in load_col, where a file of the data set has it."
                )
            number = self.field2type[field] in (FeatureType.FLOAT, FeatureType.FLOAT_SEQ)
            if not number and not isinstance(kept, (list, tuple, set)):
                raise UserError(f"val_interval of {field} is {kept!r}: give a list of the values to keep.")
        super()._filter_by_field_value()

    def _parse_intervals_str(self, text):
        """Refuse an interval that RecBole would skip, or end with a traceback of."""
        for interval in [] if text is None else str(text).split(";"):
            ends = INTERVAL.fullmatch(interval.strip())
            if not ends or float(ends[1]) > float(ends[2]):
                raise UserError(
                    f"The interval {interval.strip()!r} of a filter (user_inter_num_interval, "
                    "item_inter_num_interval, val_interval) cannot be read: write [5,inf) or (0,3], and "
                    "several with ; between them."
                )
        return super()._parse_intervals_str(text)

    def _reset_index(self):
        """Say which file and which options left no row, where RecBole says `some feat`."""
        for name in self.feat_name_list:
            if getattr(self, name).empty:
                raise UserError(
                    f"The data set {self.dataset_name} has no row left in {name.removesuffix('_feat')} after "
                    f"reading and filtering: look into {self.config['data_path']}, and at the filtering "
                    "options (val_interval, user_inter_num_interval, item_inter_num_interval, ...)."
                )
        super()._reset_index()

    def _dataframe_to_interaction(self, data):
        """Columns whose rows are picked by arrays: batches are taken from these."""
        return Columns.of(super()._dataframe_to_interaction(data).interaction)


def check_header(config: RecBoleConfig) -> None:
    """Raise UserError where interactions do not begin with `name:type` fields, users and items among them."""
    utf_8 = str(config["encoding"] or "utf-8").lower().replace("_", "-") in ("utf-8", "utf8")
    if config["field_separator"] != "\t" or config["MODEL_TYPE"] != ModelType.GENERAL or not utf_8:
        return
    for path in interaction_files(config):
        try:
            names = [name for name, _ in read_header(Path(path))]
        except DataError as error:
            raise UserError(f"{error} Write it with python -m dataset_tools convert.") from error
        between = next((sign for sign in (" ", ",", ";") if sign in "".join(names)), None)
        if between:
            raise UserError(
                f"{path} has {between!r} between its columns, where a tab was expected: set "
                f"field_separator={between!r}."
            )
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


BY_TYPE = {ModelType.SEQUENTIAL: "SequentialDataset", ModelType.KNOWLEDGE: "KnowledgeBasedDataset"}


def create(config: RecBoleConfig, checked: bool) -> RecBoleDataset:
    """What RecBole's `create_dataset` makes of a configuration; `checked`: with the checks of `CheckedFiles`.

    A saved data set is never opened: it is a pickle, which can run code.
    """
    name = BY_TYPE.get(config["MODEL_TYPE"], "Dataset")
    base = getattr(recbole.data.dataset, f"{config['model']}Dataset", None) or getattr(
        recbole.data.dataset, name
    )
    own_file = os.path.join(config["checkpoint_dir"], f"{config['dataset']}-{base.__name__}.pth")
    warn_of_pickle(config["dataset_save_path"] or own_file)
    place = folder_of(config)
    with in_place(config, place):
        dataset = (extended(base, CheckedFiles) if checked else base)(config)
    dataset.place = place or folder_of(config)  # it may just have been made
    if config["save_dataset"]:
        dataset.save()
    return dataset


def folder_of(config: RecBoleConfig) -> tuple[int, ...] | None:
    """What tells the data set's folder from one that takes its place; None where there is none.

    The number of a folder that is gone is given to another one, hence its files of interactions as well.
    """
    try:
        found = os.stat(config["data_path"])
        names = sorted(name for name in os.listdir(config["data_path"]) if name.endswith(".inter"))
        files = [os.stat(os.path.join(config["data_path"], name)) for name in names]
    except OSError:
        return None
    return found.st_dev, found.st_ino, *(number for one in files for number in (one.st_ino, one.st_mtime_ns))


@contextmanager
def in_place(config: RecBoleConfig, place: tuple[int, ...] | None) -> Iterator[None]:
    """Raise UserError where another process replaces the data set's folder while files in it are read.

    `place`: the folder where reading began (`folder_of`), None where there was none.  What is wrong with
    files of two data sets is not said.
    """
    problem = None
    try:
        yield
    except Exception as error:
        problem = error
    if place is not None and place != folder_of(config):
        raise UserError(
            f"Another process has replaced the data set {config['dataset']} in {config['data_path']} while "
            "it was read: start again."
        ) from problem
    if problem is not None:
        raise problem


def warn_of_pickle(file: str) -> None:
    """Say that a file that RecBole would unpickle is left alone."""
    if os.path.exists(file):
        getLogger().warning(
            f"{file} is not opened: RecBole saves data as pickles, which can run code; the atomic files are "
            "read again."
        )
