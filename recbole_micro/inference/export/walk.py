"""What scores have beside dot products, as arrays that NumPy alone can add."""

from pathlib import Path

import numpy as np
import scipy.sparse
import torch
from torch import Tensor

from recbole_micro.nn.graph import Graph
from recbole_micro.nn.walk import Rows, Walk, as_scipy
from recbole_micro_server import layout


def write_walk(walk: Walk, folder: Path) -> dict[str, object]:
    """Write what `recbole_micro_server.walk.Walk` reads; its entry of the manifest.

    The collaborative graph is the first of them, as it is in `walk.graphs`.
    """
    own = matrix(walk.own, walk.own.shape)[1:, 1:]
    save(folder, (layout.OWN_STARTS, own.indptr), (layout.OWN_ITEMS, own.indices.astype(np.int32)))
    square = (walk.own.shape[1],) * 2
    near = scipy.sparse.hstack([matrix(graph, square)[1:, 1:].T for graph in walk.graphs.values()], "csr")
    save(folder, (layout.WALK_STARTS, near.indptr), (layout.WALK_ITEMS, near.indices))
    save(folder, (layout.WALK_VALUES, near.data))
    return {"graphs": list(walk.graphs), "weight": walk.weight}


@torch.no_grad()
def beside(walk: Walk, users: np.ndarray) -> Tensor:
    """What it adds to the scores of these users [n], [n, n_items] on the CPU."""
    rows = torch.from_numpy(users).to(walk.own.val.device)
    return walk.add(torch.zeros(len(users), walk.own.shape[1], device=rows.device), rows).cpu()


def matrix(graph: Graph | Rows, shape: tuple[int, ...]) -> scipy.sparse.csr_matrix:
    """A graph as SciPy's matrix, on the CPU."""
    return as_scipy(graph.crow.cpu(), graph.col.cpu(), graph.val.cpu(), shape)


def save(folder: Path, *arrays: tuple[str, np.ndarray]) -> None:
    """Write arrays under their names."""
    for name, values in arrays:
        np.save(folder / name, values)
