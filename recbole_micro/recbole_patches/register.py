"""Registration: after `register()` RecBole runs here, and finds the plugin's models everywhere."""

import sys
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from recbole_micro.models.registry import ALIAS_PACKAGE, MODELS
from recbole_micro.recbole_patches.mechanism import apply, apply_one
from recbole_micro.recbole_patches.table import BEFORE_IMPORT, KNOWN_VERSIONS, PATCHES


class AliasFinder(MetaPathFinder, Loader):
    """Lets `recbole.model.general_recommender.<name>` be the plugin's own module, imported on demand.

    `get_model` looks a model up by that path; models that nobody asks for are never imported.
    """

    def __init__(self, models: dict[str, str]):
        self.targets = {f"{ALIAS_PACKAGE}.{name.lower()}": module for name, module in models.items()}

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        return ModuleSpec(fullname, self) if fullname in self.targets else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = import_module(self.targets[spec.name])
        spec.loader_state = module.__spec__  # the import machinery is about to overwrite it
        return module

    def exec_module(self, module: Any) -> None:
        module.__spec__ = module.__spec__.loader_state


def register() -> None:
    """Mend RecBole, hand out the plugin's classes, make its models and its metric known; idempotent."""
    for patch in BEFORE_IMPORT:
        apply_one(patch)
    apply(PATCHES, KNOWN_VERSIONS)

    from recbole_micro.evaluation.metrics import register_metrics

    register_metrics()
    if not any(isinstance(finder, AliasFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, AliasFinder(MODELS))
