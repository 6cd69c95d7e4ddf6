"""Configurations from what checkpoints store."""

import copy
from typing import Any

from recbole.config import Config as RecBoleConfig

from recbole_micro.checkpoint import as_given
from recbole_micro.options import user_models
from recbole_micro.options.config import Config
from recbole_micro.options.decay import overlay
from recbole_micro.options.earlier import completed


def config_from_plain(values: dict[str, Any]) -> RecBoleConfig:
    """A configuration from a checkpoint's plain values, which win; the device is chosen afresh.

    It is of the class that was trained with, which the option `protocol` tells: RecBole's own does not have
    it.  The command line is not read, and nothing is parsed or checked again.  Defaults are loaded first, so
    options that came after the checkpoint was written have theirs.  Files that `plugins` names are not run.
    """
    values = copy.deepcopy(values)
    for name in ("resume", "init_from"):  # of another run; the files are not needed
        values.pop(name, None)
    values = as_given(completed(values))
    user_models.refuse_unknown(values)
    files = values.pop("plugins", None)

    kind = Config if "protocol" in values else RecBoleConfig
    config = kind.__new__(kind)
    config.compatibility_settings()
    config._init_parameters_category()
    config.yaml_loader = config._build_yaml_loader()
    config.file_config_dict, config.cmd_config_dict = {}, {}
    config.variable_config_dict = values
    config._merge_external_config_dict()
    config.model, config.model_class, config.dataset = config._get_model_and_dataset(None, None)
    config._load_internal_config_dict(config.model, config.model_class, config.dataset)
    config.final_config_dict = dict(config.internal_config_dict)
    overlay(config.final_config_dict, config.external_config_dict)
    if files:
        config.final_config_dict["plugins"] = files
    config._set_default_parameters()
    config._init_device()
    if config["train_neg_sample_args"] is None:  # others are stored as RecBole rewrote them
        config._set_train_neg_sample_args()
    for phase in ("valid", "test"):
        config._set_eval_neg_sample_args(phase)
    return config
