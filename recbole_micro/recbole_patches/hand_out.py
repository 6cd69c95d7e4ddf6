"""Where RecBole looks classes up: for a configuration of the plugin's, the plugin's subclasses are found.

A `recbole_micro.Config` decides.  It is what RecBole's own `Config` becomes where the model is one of the
plugin's, and what the plugin's entry points make for every model.  What RecBole builds for any other
configuration is its own, unchanged.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from recbole_micro.recbole_patches.mechanism import Patch


def plugin_config(original: Callable) -> Callable:
    """RecBole's `Config(...)` is a `recbole_micro.Config` where the model is one of the plugin's."""

    def __init__(self, model=None, dataset=None, config_file_list=None, config_dict=None):
        from recbole.config import Config as RecBoleConfig

        from recbole_micro.options.config import Config

        if type(self) is RecBoleConfig and asks_for_plugin(model, config_file_list, config_dict):
            self.__class__ = Config
        original(self, model, dataset, config_file_list, config_dict)

    return __init__


def asks_for_plugin(
    model: str | type | None, files: Iterable[str] | None, given: Mapping[str, Any] | None
) -> bool:
    """Whether the model is one of the plugin's, or `plugins` names files with models.

    `model` (name or class), `files` and `given` are the arguments of RecBole's `Config`.
    """
    from recbole_micro.models.registry import MODELS
    from recbole_micro.options.config import command_line
    from recbole_micro.options.values import read_yaml

    if isinstance(model, type):
        return MODELS.get(model.__name__) == model.__module__ or is_multimodal(model)
    options: dict = {}
    try:
        for file in files or []:
            options.update(read_yaml(file))
        options.update(given or {})
        options.update(command_line())
    except (TypeError, ValueError):  # RecBole will say what is wrong with them
        return False
    return bool(options.get("plugins")) or (model or options.get("model")) in MODELS


def is_multimodal(model: type) -> bool:
    """Whether a class is a multimodal model, the plugin's or somebody else's."""
    from recbole_micro.models.base import MultimodalRecommender

    return issubclass(model, MultimodalRecommender)


def plugin_dataset(config: Any) -> Any:
    """RecBole's `create_dataset`, which opens no pickle; the plugin's class for its configurations."""
    from recbole_micro.data.dataset import create
    from recbole_micro.options.config import Config

    return create(config, checked=isinstance(config, Config))


def plugin_sampler(original: Callable) -> Callable:
    """A sampler of RecBole's for a data set of the plugin's is the plugin's."""

    def __init__(self, *arguments, **named):
        from recbole_micro.data.sampler import OURS
        from recbole_micro.options.config import Config

        given = inspect.signature(original).bind(self, *arguments, **named).arguments
        dataset = given["datasets"] if "datasets" in given else given["dataset"]
        first = dataset[0] if isinstance(dataset, list) else dataset
        if isinstance(getattr(first, "config", None), Config):
            self.__class__ = OURS.get(type(self), type(self))
        original(self, *arguments, **named)

    return __init__


def plugin_loader(original: Callable) -> Callable:
    """RecBole's `get_dataloader` for a configuration of the plugin's: the plugin's loader."""

    def get_dataloader(config, phase):
        from recbole_micro.evaluation.loaders import loader_class
        from recbole_micro.options.config import Config

        chosen = original(config, phase)
        return loader_class(config, chosen) if isinstance(config, Config) else chosen

    return get_dataloader


def plugin_trainer(original: Callable) -> Callable:
    """A trainer of RecBole's for a configuration of the plugin's is the plugin's."""

    def __init__(self, config, model):
        from recbole_micro.options.config import Config
        from recbole_micro.training.trainer import extended

        if isinstance(config, Config):
            self.__class__ = extended(type(self))
        original(self, config, model)
        if isinstance(config, Config):
            self.set_up()

    return __init__


SAMPLER = "recbole.sampler.sampler"
SAMPLERS = "RecBole tests each negative that it draws in Python; the draws are the same."

HAND_OUT = (
    Patch(
        "recbole.config.configurator:Config", "__init__", "wrap", plugin_config,
        "The plugin's models have defaults, checks and presets of their own, however they are started.",
        "08830c6285c8",
    ),
    Patch(
        "recbole.data.utils", "create_dataset", "replace", plugin_dataset,
        "RecBole chooses the data set's class by the model's type, and unpickles a saved one.",
        "1a2f76b26b3d",
    ),
    Patch(SAMPLER + ":Sampler", "__init__", "wrap", plugin_sampler, SAMPLERS, "5913b41cc685"),
    Patch(SAMPLER + ":RepeatableSampler", "__init__", "wrap", plugin_sampler, SAMPLERS, "3fd5fc671497"),
    Patch(SAMPLER + ":KGSampler", "__init__", "wrap", plugin_sampler, SAMPLERS, "61ccdf760125"),
    Patch(
        "recbole.data.utils", "get_dataloader", "wrap", plugin_loader,
        "RecBole chooses the loaders' classes by the model's name and type.", "ae795a50ccb6",
    ),
    Patch(
        "recbole.trainer.trainer:Trainer", "__init__", "wrap", plugin_trainer,
        "RecBole chooses the trainer's class by the model's name, and people construct `Trainer` themselves.",
        "1aade2a60a27",
    ),
)  # fmt: skip
