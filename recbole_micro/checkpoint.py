"""Checkpoints as plain data: tensors, numbers, strings, lists and dictionaries, nothing that can run.

RecBole pickles its Config and whatever objects a model keeps.  Here the configuration is a dictionary of
plain values, SciPy and NumPy objects are tensors, and `torch.load(weights_only=True)` opens every file.
"""

import hashlib
import os
import pickle
import platform
import sys
import zipfile
from collections.abc import Mapping
from enum import Enum
from importlib import metadata
from logging import getLogger
from pathlib import Path, PurePath
from typing import IO, TYPE_CHECKING, Any, cast

import numpy as np
import scipy.sparse as sp
import torch
from torch.nn import Module

from dataset_tools.files import GONE, replacing, whole
from recbole_micro.errors import UserError

if TYPE_CHECKING:  # this module is imported before RecBole is mended
    from recbole.config import Config
    from recbole.data.dataset import Dataset
    from recbole.model.abstract_recommender import AbstractRecommender
    from recbole.trainer.trainer import AbstractTrainer

PACKAGES = ("recbole", "torch", "numpy")
LAST = ".last.pth"  # the end of the name of a last state
ARCHIVE = b"PK\x03\x04"  # what `torch.save` writes is a zip archive; older files are bare pickles
# What Config works out by itself, and what belongs to one process on one machine.
COMPUTED = {
    "MODEL_TYPE", "MODEL_INPUT_TYPE", "eval_type", "valid_metric_bigger",
    "valid_neg_sample_args", "test_neg_sample_args",
    "device", "gpu_id", "use_gpu", "single_spec", "local_rank", "nproc", "world_size", "offset", "ip", "port",
    "join_timeout", "resume", "init_from",
}  # fmt: skip


def plain(value: Any) -> Any:
    """`value` as None, bool, int, float, str, list or dict; TypeError where that loses something."""
    if isinstance(value, np.generic):
        return plain(value.item())
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, (np.ndarray, torch.Tensor)):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, (set, frozenset)):
        return [plain(item) for item in sorted(value)]
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (int, float, str)) and not isinstance(value, Enum):
        return plain(next(kind for kind in (int, float, str) if isinstance(value, kind))(value))
    raise TypeError(f"{type(value).__name__} is not plain data")


def plain_config(config: "Config") -> dict[str, Any]:
    """The options of a RecBole Config as plain values, enough to rebuild it in a fresh process.

    `data_path` is the folder above the data set's own; what cannot be plain is left out with a warning.
    """
    values: dict[str, Any] = {}
    for key, value in config.final_config_dict.items():
        if key in COMPUTED:
            continue
        try:
            values[key] = plain(value)
        except TypeError as error:
            getLogger().warning(f"The option {key} is left out of the checkpoint: {error}.")
    folder, name = os.path.split(os.path.normpath(values["data_path"]))
    if name == values["dataset"]:
        values["data_path"] = folder
    return values


def as_given(values: dict[str, Any]) -> dict[str, Any]:
    """A checkpoint's options as a user gives them.

    `train_neg_sample_args: null` means no sampling; RecBole rewrites it to a form that it refuses to read.
    """
    if (values.get("train_neg_sample_args") or {}).get("distribution") == "none":
        return {**values, "train_neg_sample_args": None}
    return values


def pack(value: Any) -> Any:
    """`value` with SciPy matrices and NumPy arrays as dictionaries of tensors."""
    if isinstance(value, torch.Tensor):
        return value
    if sp.issparse(value):
        rows = value.tocsr()
        parts = {name: torch.tensor(getattr(rows, name)) for name in ("data", "indices", "indptr")}
        kind = {"__scipy__": value.format, "array": isinstance(value, sp.sparray), "shape": list(value.shape)}
        return kind | parts
    if isinstance(value, np.ndarray):
        return {"__numpy__": torch.tensor(np.asarray(value))}
    if isinstance(value, Mapping):
        return {plain(key): pack(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [pack(item) for item in value]
    return plain(value)


def unpack(value: Any) -> Any:
    """The inverse of `pack`."""
    if isinstance(value, dict) and "__scipy__" in value:
        kind = sp.csr_array if value["array"] else sp.csr_matrix
        parts = tuple(value[name].cpu().numpy() for name in ("data", "indices", "indptr"))
        return kind(parts, shape=tuple(value["shape"])).asformat(value["__scipy__"])
    if isinstance(value, dict) and "__numpy__" in value:
        return value["__numpy__"].cpu().numpy()
    if isinstance(value, dict):
        return {key: unpack(item) for key, item in value.items()}
    if isinstance(value, list):
        return [unpack(item) for item in value]
    return value


def fingerprint(dataset: "Dataset") -> str:
    """SHA-256 of the ids of users and items in RecBole's order: what the rows of a model stand for."""
    digest = hashlib.sha256()
    for field in (dataset.uid_field, dataset.iid_field):
        for token in dataset.field2id_token.get(field, ()):
            digest.update(str(token).encode() + b"\0")
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """The versions of what a result depends on."""
    own = sys.modules[__name__.partition(".")[0]].__version__
    packages = {name: metadata.version(name) for name in PACKAGES}
    return {"recbole_micro": own, **packages, "python": platform.python_version()}


def tokens(dataset: "Dataset") -> dict[str, list[str]]:
    """Ids of `users` and `items` in RecBole's order, by which rows of other data are found again."""
    fields = {"users": dataset.uid_field, "items": dataset.iid_field}
    known = dataset.field2id_token
    return {kind: [str(token) for token in known[field]] for kind, field in fields.items() if field in known}


def check_ids(checkpoint: Mapping[str, Any], dataset: "Dataset") -> None:
    """Raise UserError where the data set has other users or items, or in another order, than in training."""
    if checkpoint.get("ids") not in (None, fingerprint(dataset)):
        raise UserError(
            f"The data set {dataset.dataset_name} has other users or items, or in another order, than when "
            "this checkpoint was trained: put its files back as they were, or train again."
        )


def trainer_state(trainer: "AbstractTrainer", epoch: int, **more: Any) -> dict[str, Any]:
    """What a checkpoint holds, under RecBole's keys.

    `more` stands for the weights where a trainer (decision trees) keeps none in the model.
    """
    state: dict[str, Any] = {
        "config": plain_config(trainer.config),
        "epoch": int(epoch),
        "cur_step": int(trainer.cur_step),
        "best_valid_score": float(trainer.best_valid_score),
        "ids": getattr(trainer, "ids", None),
        "tokens": getattr(trainer, "tokens", None),
    }
    if more:
        return state | more
    others = trainer.model.other_parameter().items()
    return state | {
        "state_dict": trainer.model.state_dict(),
        # the weights of a module are in the state dict already
        "other_parameter": {name: pack(value) for name, value in others if not isinstance(value, Module)},
        "optimizer": pack(trainer.optimizer.state_dict()),
    }


def write(state: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Write a checkpoint through a temporary file, so that nobody ever reads half of one.

    OSError, which names the path, where the disk is full; then the old one stays.
    """
    with replacing(path) as part, open(part, "wb") as file:
        watched = Watched(file)
        try:
            torch.save(state, cast(IO[bytes], watched))
        except RuntimeError:  # PyTorch's, in place of what the system said
            if watched.error is not None:
                raise watched.error from None
            raise
        file.flush()
        os.fsync(file.fileno())


class Watched:
    """A file to write to that remembers what the system refused."""

    def __init__(self, file: IO[bytes]):
        self.file = file
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        """Write to the file."""
        try:
            return self.file.write(data)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        """Nothing: the file is flushed at the end."""


def load_checkpoint(path: str | os.PathLike[str], map_location: str | torch.device = "cpu") -> dict[str, Any]:
    """Read a checkpoint: RecBole's keys, `config` a dictionary of plain values.  No code in the file is run.

    Raises UserError where the file is absent, damaged, or holds anything but plain data.
    """
    if not os.path.isfile(path):
        raise UserError(f"There is no checkpoint {path}: give the path of a .pth file that training wrote.")

    def read() -> Any:
        with open(path, "rb") as file:
            return _plain_content(file, path, map_location)

    checkpoint = whole(read)
    if not isinstance(checkpoint, dict) or not {"config", "state_dict"} <= checkpoint.keys():
        raise UserError(f"The file {path} is not a checkpoint: it has no config and state_dict.")
    checkpoint["other_parameter"] = unpack(checkpoint.get("other_parameter"))
    return checkpoint


def _plain_content(file: IO[bytes], path: str | os.PathLike[str], map_location: str | torch.device) -> Any:
    """What an open file holds, `path` for the sentences: the file may have another one's place by now."""
    if file.read(len(ARCHIVE)) != ARCHIVE:
        raise UserError(
            f"The file {path} is not a checkpoint that recbole_micro wrote, or an empty or damaged one: "
            "give another .pth file, or train the model again."
        )
    try:
        with zipfile.ZipFile(file) as archive:
            damaged = archive.testzip()  # PyTorch does not look at the checksums that it writes
        if damaged:
            raise zipfile.BadZipFile(f"a wrong checksum of {damaged}")
        file.seek(0)
        return torch.load(file, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError:
        raise UserError(
            f"The checkpoint {path} holds Python objects, which could run code when opened: "
            "only files written by recbole_micro are read, so train the model again."
        ) from None
    except MemoryError:
        raise
    except Exception as error:  # zipfile and PyTorch have many kinds
        if isinstance(error, OSError) and error.errno in GONE:
            raise
        reason = (str(error).splitlines() or [type(error).__name__])[0].partition(". ")[0]
        raise UserError(f"The checkpoint {path} is damaged ({reason}): train the model again.") from None


def restore(model: "AbstractRecommender", checkpoint: Mapping[str, Any]) -> None:
    """Put a checkpoint's weights and other parameters into `model`; UserError where they do not fit it."""
    try:
        model.load_state_dict(checkpoint["state_dict"])
    except RuntimeError as error:
        reason = " ".join(str(error).split(":\n", 1)[-1].split("\n")[0].split())
        raise UserError(
            f"The checkpoint does not fit {type(model).__name__} as it is here ({reason}): data, modalities "
            "or options such as embedding_size differ from those that it was trained with."
        ) from error
    model.load_other_parameter(checkpoint.get("other_parameter"))


def last_file(best: str | os.PathLike[str]) -> str:
    """The file of a training's last state beside that of its best one."""
    return f"{os.path.splitext(os.fspath(best))[0]}{LAST}"


def newest_last(folder: str | os.PathLike[str], model: str | None, dataset: str | None) -> str:
    """The last state in a folder that was written last, of this model and data set where they are given."""
    files = sorted(Path(folder).glob(f"*{LAST}"), key=lambda file: file.stat().st_mtime, reverse=True)
    for file in files:
        stored = load_checkpoint(file)["config"]
        if model in (None, stored["model"]) and dataset in (None, stored["dataset"]):
            return str(file)
    what = " on ".join(filter(None, (model, dataset))) or "any model"
    raise UserError(
        f"There is no training of {what} in {folder} to continue: name a checkpoint with --resume=FILE, or "
        "start without --resume."
    )
