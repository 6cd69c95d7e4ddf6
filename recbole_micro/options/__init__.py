"""Options: declared in YAML files with a comment per key; here they become defaults, checks and help."""

from recbole_micro.errors import hint
from recbole_micro.options.defaults import (
    data_defaults,
    declared,
    known_names,
    model_names,
    names_of_models,
    plugin_defaults,
    plugin_text,
    presets,
    stems,
)
from recbole_micro.options.schema import Option, parse_kind, read_value

__all__ = [
    "Option",
    "data_defaults",
    "declared",
    "hint",
    "known_names",
    "model_names",
    "names_of_models",
    "parse_kind",
    "plugin_defaults",
    "plugin_text",
    "presets",
    "read_value",
    "stems",
]
