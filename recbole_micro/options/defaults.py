"""The YAML files of defaults, RecBole's and ours: which options there are, and their values."""

import importlib.resources
import re
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import recbole
from recbole.utils import dataset_arguments, evaluation_arguments, general_arguments, training_arguments

from recbole_micro.errors import UserError, hint
from recbole_micro.models.registry import MODELS
from recbole_micro.options.schema import (
    AT_LEAST,
    Kind,
    Option,
    believable_kinds,
    parse_declarations,
    read_declarations,
)
from recbole_micro.options.values import load_yaml, parse_strings

if TYPE_CHECKING:  # Python 3.10 has it elsewhere
    from importlib.resources.abc import Traversable

RECBOLE_PROPERTIES = Path(recbole.__file__).parent / "properties"
DEFAULTS = ("overall.yaml", "dataset/sample.yaml")
# RecBole reads these, but none of its files or lists names them.
UNDECLARED = (
    "encoding", "feature_num", "has_residual", "neg_sampling", "tail_ratio", "token_num_threshold",
    "training_neg_sample_num", "use_filter", "verbose", "xgb_early_stopping_rounds",
)  # fmt: skip
_added: dict[str, str] = {}  # file -> text: the defaults of models of the user's own


def recbole_declarations(file: str) -> dict[str, Option]:
    """The options that one of RecBole's YAML files names; kinds as far as its comments can be believed."""
    path = RECBOLE_PROPERTIES / file
    if not path.is_file():
        return {}
    found = read_declarations(path.read_text(encoding="utf-8"), file, believable_kinds)
    for name, low in AT_LEAST.items():
        if name in found and found[name].kinds == (Kind("number"),):
            found[name] = replace(found[name], kinds=(Kind("int", low=low),))
    if "gpu_id" in found:
        found["gpu_id"] = replace(found["gpu_id"], kinds=(Kind("text"), Kind("list")))
    return {name: replace(option, nullable=name != "checkpoint_dir") for name, option in found.items()}


@lru_cache
def properties() -> "Traversable":
    """The folder of the plugin's YAML files: beside the package in a checkout, else installed with it."""
    checkout = Path(__file__).resolve().parents[2]
    if (checkout / "setup.py").is_file() and (checkout / "properties" / "launch.yaml").is_file():
        return checkout / "properties"
    return importlib.resources.files("recbole_micro.properties")


def add_text(file: str, text: str) -> None:
    """Let `text` be one of the plugin's YAML files: the defaults of a user's own model."""
    _added[file] = text
    for cached in (plugin_defaults, model_names, known_names, names_of_models, declared):
        cached.cache_clear()


def plugin_text(file: str) -> str:
    """The text of one of the plugin's YAML files; empty where there is none."""
    if file in _added:
        return _added[file]
    path = properties()
    for part in file.split("/"):
        path = path / part
    return path.read_text(encoding="utf-8") if path.is_file() else ""


@lru_cache
def plugin_defaults(file: str) -> dict[str, Any]:
    """The content of one of the plugin's YAML files.  Shared: copy before changing."""
    return load_yaml(plugin_text(file)) or {}


@lru_cache
def read_defaults(path: str) -> dict[str, Any]:
    """The content of one of RecBole's YAML files.  Shared: copy before changing."""
    return load_yaml(Path(path).read_text(encoding="utf-8")) or {}


def data_defaults(model: str, dataset: str) -> dict[str, Any]:
    """What a data set's file gives to one model under `models`, or the data set that it names there."""
    models = plugin_defaults(f"dataset/{dataset}.yaml").get("models", {})
    return data_defaults(model, models) if isinstance(models, str) else models.get(model, {})


def presets(value: str | list[str] | None) -> dict[str, dict[str, Any]]:
    """The presets that `--preset NAME[,NAME]` names, in this order, and what their files hold.

    `models` there: the models that a preset is for; without it, it is for all.  Raises UserError for an
    unknown one.
    """
    contents = {}
    for name in parse_strings(value) if isinstance(value, str) else value or []:
        if name not in stems("preset"):
            near = hint(name, stems("preset"), f"; there are {', '.join(stems('preset'))}.")
            raise UserError(f"There is no preset {name!r}{near}")
        contents[name] = plugin_defaults(f"preset/{name}.yaml")
    return contents


def stems(folder: str) -> list[str]:
    """Names of the plugin's YAML files in a folder of `properties`."""
    path = properties() / folder
    return sorted(file.name[: -len(".yaml")] for file in path.iterdir() if file.name.endswith(".yaml"))


@lru_cache
def model_names() -> tuple[str, ...]:
    """The plugin's models, then RecBole's."""
    names = sorted(file.stem for file in (RECBOLE_PROPERTIES / "model").glob("*.yaml"))
    return (*MODELS, *names, "Random")


@lru_cache
def known_names() -> frozenset[str]:
    """Every name that an option may have: argument lists, every shipped YAML file, the launch options."""
    names = {*general_arguments, *training_arguments, *evaluation_arguments, *dataset_arguments}
    names.update(UNDECLARED, ("model", "dataset"))
    names.update(plugin_defaults("launch.yaml"), plugin_defaults("overall.yaml"))
    for file in RECBOLE_PROPERTIES.rglob("*.yaml"):
        if "url" not in file.name:
            names.update(re.findall(r"^([A-Za-z_][\w-]*) *:", file.read_text(encoding="utf-8"), re.MULTILINE))
    for folder in ("model", "dataset", "preset"):
        for name in stems(folder):
            names.update(plugin_defaults(f"{folder}/{name}.yaml"))
    for added in _added:
        names.update(plugin_defaults(added))
    return frozenset(names - {"notice", "models"})


@lru_cache
def names_of_models() -> frozenset[str]:
    """Every option that some model's own file has."""
    names = {name for model in MODELS for name in plugin_defaults(f"model/{model}.yaml")}
    for file in (RECBOLE_PROPERTIES / "model").glob("*.yaml"):
        names.update(read_defaults(str(file)))
    return frozenset(names)


@lru_cache
def declared(model: str, dataset: str) -> dict[str, Option]:
    """The options that a model on a data set has, as their most specific declaration says."""
    found: dict[str, Option] = {}
    for file in (*DEFAULTS, f"model/{model}.yaml", f"dataset/{dataset}.yaml", "launch.yaml"):
        found.update(recbole_declarations(file))
        for name, option in parse_declarations(plugin_text(file), file).items():
            # A file that only changes a default keeps the declaration, one without keys those that are known.
            known = found.get(name, option)
            keys = option.keys or known.keys
            found[name] = replace(option if option.kinds else known, default=option.default, keys=keys)
    found.pop("models", None)
    for name, default in data_defaults(model, dataset).items():
        found[name] = replace(found.get(name, Option(name, ())), default=default)
    return found
