"""The plugin's models, one file each; `from recbole_micro.models import MICRO` imports that file alone."""

from importlib import import_module
from typing import Any

from recbole_micro.models.registry import MODELS

__all__ = ["MODELS", *MODELS]


def __getattr__(name: str) -> Any:
    """A model's class, imported when it is asked for."""
    if name in MODELS:
        return getattr(import_module(MODELS[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
