"""Products with the sparse matrices of RecBole's graph models, by the plugin's own kernel.

LightGCN, SGL and others keep their graph as a matrix of coordinates, which PyTorch multiplies slowly and
transposes in every backward pass: two thirds of an epoch of LightGCN on Baby.  While `fast_products` is open,
`torch.sparse.mm` with such a matrix is message passing on a `Graph` made of it once.  The models stay as they
are; the products are the same up to the order in which a row's terms are added.  Trainings use this,
evaluations do not: their few products are RecBole's to the last bit, and so are the lists.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from recbole_micro.nn.graph import Graph
from recbole_micro.nn.ops import propagate


class GraphProducts(TorchFunctionMode):
    """`torch.sparse.mm` of a matrix that it meets again, as message passing; every other call as it is."""

    def __init__(self):
        super().__init__()
        self.graphs = WeakTensorKeyDictionary()  # matrix -> None where it was met once, then its graph

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is torch.sparse.mm and not kwargs and len(args) == 2:
            graph = self.graph_of(*args)
            if graph is not None:
                return propagate(graph, args[1])
        return func(*args, **(kwargs or {}))

    def graph_of(self, matrix: Tensor, x: Tensor) -> Graph | None:
        """The graph of a matrix that is constant; None for others, and for one that is met the first time."""
        if matrix.layout is not torch.sparse_coo or matrix.requires_grad or x.layout is not torch.strided:
            return None
        if matrix.dtype != torch.float32 or x.dtype != torch.float32:
            return None
        if matrix not in self.graphs:
            self.graphs[matrix] = None
            return None
        if self.graphs[matrix] is None:
            entries = matrix.coalesce()
            row, col = entries.indices()
            shape = (matrix.shape[0], matrix.shape[1])
            self.graphs[matrix] = Graph.from_sorted(row, col, entries.values().clone(), shape)
        return self.graphs[matrix]


def has_matrices(model: nn.Module) -> bool:
    """Whether a model keeps a sparse matrix of coordinates."""
    values = (value for module in model.modules() for value in vars(module).values())
    return any(isinstance(value, Tensor) and value.layout is torch.sparse_coo for value in values)


@contextmanager
def fast_products(model: nn.Module) -> Iterator[None]:
    """While this is open, for an epoch, the model's products with its matrices are `GraphProducts`.

    Every epoch meets the matrices anew: one that a killed training goes on with is then the same to the bit.
    """
    if not has_matrices(model):
        yield
        return
    with GraphProducts():
        yield
