"""What RecBole 1.2.0 needs from NumPy, SciPy, PyTorch and Ray of today."""

import functools
import inspect
import sys
import warnings
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from scipy.sparse import dok_matrix

from recbole_micro.recbole_patches.mechanism import Patch

ALIASES = {  # NumPy's former names of types
    "float_": np.float64, "complex_": np.complex128, "unicode_": np.str_,
    "float": np.float64, "int": np.int_, "complex": np.complex128, "object": np.object_, "str": np.str_,
}  # fmt: skip


def numpy_aliases() -> None:
    """Give NumPy the names of types that RecBole uses and NumPy has removed."""
    for name, kind in ALIASES.items():
        if name not in vars(np):
            setattr(np, name, kind)


def import_without_ray() -> None:
    """Import `recbole.quick_start` with a stand-in for Ray Tune, unless the program has imported that itself.

    The stand-in goes away after the import: a real Ray must not be hidden from who asks for it.
    """
    if "recbole.quick_start.quick_start" in sys.modules or "ray.tune" in sys.modules:
        return
    ray, tune = ModuleType("ray"), ModuleType("ray.tune")
    ray.tune, ray.__path__ = tune, []  # type: ignore[attr-defined]
    stand_ins = {"ray": ray, "ray.tune": tune}
    before = {name: sys.modules.get(name) for name in stand_ins}
    for name, module in stand_ins.items():
        module.__spec__ = ModuleSpec(name, None, is_package=name == "ray")
        sys.modules[name] = module
    try:
        import_module("recbole.quick_start")
    finally:
        for name, earlier in before.items():
            sys.modules.pop(name)
            if earlier is not None:
                sys.modules[name] = earlier


def report_to_ray(metrics: dict[str, Any] | None = None, **more: Any) -> None:
    """Report to the running Ray trial; without Ray, nothing."""
    tune = sys.modules.get("ray.tune")
    if tune is None:
        return
    values = {**(metrics or {}), **more}
    kinds = [parameter.kind for parameter in inspect.signature(tune.report).parameters.values()]
    if inspect.Parameter.VAR_KEYWORD in kinds:
        tune.report(**values)
    else:
        tune.report(values)


def gradient_scaling() -> SimpleNamespace:
    """What `recbole.trainer.trainer` takes from `torch.cuda.amp`, under its new name."""
    return SimpleNamespace(
        GradScaler=functools.partial(torch.amp.GradScaler, "cuda"),
        autocast=functools.partial(torch.amp.autocast, "cuda"),
    )


def silence_sparse_tensors() -> None:
    """Ignore PyTorch's warning at RecBole's own lines."""
    warnings.filterwarnings(
        "ignore", message=r"torch\.sparse\.SparseTensor\(", category=UserWarning, module=r"recbole\."
    )


# Without these, RecBole cannot be imported.
BEFORE_IMPORT = (
    Patch(
        "numpy", "float_, float, int, str, ...", "call", numpy_aliases,
        "RecBole's Config reads names that NumPy 1.24 and 2.0 removed, and its metrics use them without one.",
        versions="NumPy >= 1.24",
    ),
    Patch(
        "ray.tune", "(the import)", "call", import_without_ray,
        "RecBole imports Ray Tune, which it does not require, and which takes a second of every start.",
        versions="every Ray, and none",
    ),
)  # fmt: skip

LIBRARIES = (
    Patch(
        "recbole.quick_start.quick_start", "tune", "set", lambda: SimpleNamespace(report=report_to_ray),
        "RecBole calls tune.report(**metrics); today's Ray takes one dictionary, and there may be no Ray.",
        versions="Ray >= 2.7, or none",
    ),
    Patch(
        "scipy.sparse:dok_matrix", "_update", "set",
        lambda: lambda self, data: self._dict.update(data),
        "The graph models build their adjacency by a method that SciPy 1.13 removed.",
        versions="SciPy >= 1.13", needed=lambda: not hasattr(dok_matrix, "_update"),
    ),
    Patch(
        "recbole.trainer.trainer", "amp", "set", gradient_scaling,
        "torch.cuda.amp warns at every epoch; torch.amp is the same thing.",
        versions="PyTorch >= 2.4",
    ),
    Patch(
        "warnings", "(a filter)", "call", silence_sparse_tensors,
        "The graph models' torch.sparse.FloatTensor works, and warns.",
        versions="PyTorch >= 2.1",
    ),
)  # fmt: skip
