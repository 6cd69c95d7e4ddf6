"""Products with the sparse matrices of RecBole's graph models, by the plugin's own kernel.

LightGCN, SGL and others keep their graph as a matrix of coordinates, which PyTorch multiplies slowly and
transposes in every backward pass: two thirds of an epoch of LightGCN on Baby.  While `fast_products` is open,
`torch.sparse.mm` with such a matrix is message passing on a `Graph` made of it once.  The models stay as they
are; the products are the same up to the order in which a row's terms are added.  Trainings use this,
evaluations do not: their few products are RecBole's to the last bit, and so are the lists.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from recbole_micro.nn.graph import Graph
from recbole_micro.nn.ops import propagate


class GraphProducts(TorchFunctionMode):
    """`torch.sparse.mm` of a matrix that the model keeps, as message passing; every other call as it is."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model
        self.graphs = WeakTensorKeyDictionary()  # matrix -> its graph, None for one that is no attribute

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is torch.sparse.mm and not kwargs and len(args) == 2:
            graph = self.graph_of(*args)
            if graph is not None:
                return propagate(graph, args[1])
        return func(*args, **(kwargs or {}))

    def graph_of(self, matrix: Tensor, x: Tensor) -> Graph | None:
        """The graph of a constant matrix that the model keeps; None for others."""
        if not is_coordinates(matrix) or matrix.requires_grad or x.layout is not torch.strided:
            return None
        if matrix.dtype != torch.float32 or x.dtype != torch.float32:
            return None
        if matrix not in self.graphs:
            kept = any(value is matrix for value in attributes(self.model))
            self.graphs[matrix] = graph_from(matrix) if kept else None
        return self.graphs[matrix]


def graph_from(matrix: Tensor) -> Graph:
    """The graph of a matrix of coordinates, which shares no memory with it."""
    entries = matrix.coalesce()
    row, col = entries.indices()
    return Graph.from_sorted(row, col, entries.values().clone(), (matrix.shape[0], matrix.shape[1]))


def is_coordinates(value: Any) -> bool:
    """Whether a value is a sparse matrix of coordinates."""
    return isinstance(value, Tensor) and value.layout is torch.sparse_coo


def attributes(model: nn.Module) -> Iterator[Any]:
    """The values of the attributes of a model and its parts, and those in lists and tuples among them."""
    for module in model.modules():
        for value in vars(module).values():
            yield from value if isinstance(value, (list, tuple)) else (value,)


@contextmanager
def fast_products(products: GraphProducts) -> Iterator[None]:
    """While this is open, products with the model's matrices are `GraphProducts`, where it has any."""
    if not any(is_coordinates(value) for value in attributes(products.model)):
        yield
        return
    with products:
        yield
