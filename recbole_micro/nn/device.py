"""Modules whose plain attributes follow them to a device."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from recbole_micro.nn.graph import Graph


class HoldsTensors(nn.Module):
    """A module whose plain attributes (graphs, tensors, dictionaries of them) follow `.to(device)`.

    They are neither buffers nor parameters: state dicts stay small and torch.distributed does not broadcast
    them.
    """

    def _apply(self, fn, recurse=True):
        fn = fn if isinstance(fn, _Once) else _Once(fn)
        super()._apply(fn, recurse)
        for name, value in vars(self).items():
            if not name.startswith("_"):  # nn.Module's own dictionaries
                vars(self)[name] = _moved(value, fn.once)
        return self


class _Once:
    """A function of tensors; `once` calls it once for a tensor that several modules hold."""

    def __init__(self, fn: Callable[[Tensor], Tensor]):
        self.fn = fn
        self.known: dict[int, tuple[Tensor, Tensor]] = {}  # id -> the tensor and what became of it

    def __call__(self, tensor: Tensor) -> Tensor:
        return self.fn(tensor)

    def once(self, tensor: Tensor) -> Tensor:
        if id(tensor) not in self.known:
            self.known[id(tensor)] = tensor, self.fn(tensor)  # the tensor, so that its id stays its own
        return self.known[id(tensor)][1]


def _moved(value: Any, fn: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(value, nn.Module):
        return value
    if torch.is_tensor(value):
        return fn(value)
    if isinstance(value, Graph):
        return value.apply(fn)
    if isinstance(value, dict):
        return {key: _moved(v, fn) for key, v in value.items()}
    if isinstance(value, tuple):
        items = [_moved(v, fn) for v in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return [_moved(v, fn) for v in value] if isinstance(value, list) else value
