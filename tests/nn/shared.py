"""A small graph and the same as a dense matrix."""

import torch

from recbole_micro.nn import graph as graph_module


def random_graph(n_rows=7, n_cols=5, seed=0, dtype=torch.float32):
    dense = torch.rand(n_rows, n_cols, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    dense[dense < 0.5] = 0
    row, col = dense.nonzero(as_tuple=True)
    return graph_module.Graph.from_edges(row, col, dense[row, col], dense.shape), dense
