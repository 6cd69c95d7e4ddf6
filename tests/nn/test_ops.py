"""Products along the edges of a graph: values and gradients against dense matrices."""

import pytest
import torch

from recbole_micro.nn import graph as graph_module
from recbole_micro.nn import knn, ops
from tests.nn.shared import random_graph


def test_propagate_and_its_gradients():
    graph, dense = random_graph(dtype=torch.float64)
    x = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    values = graph.val.clone().requires_grad_()
    assert torch.allclose(ops.propagate(graph, x), dense @ x)
    assert torch.autograd.gradcheck(lambda v, x: ops.propagate(graph.with_values(v), x), (values, x))
    assert torch.autograd.gradcheck(lambda x: ops.propagate(graph, x), (x,))


@pytest.mark.parametrize("n_steps", [0, 1, 3])
def test_propagate_sum_and_its_gradient(n_steps):
    torch.manual_seed(2)
    row, col = torch.randint(5, (11,)), torch.randint(5, (11,))
    a = torch.zeros(5, 5, dtype=torch.float64)
    a[row, col] = torch.randn(11, dtype=torch.float64)
    graph = graph_module.Graph.from_edges(*a.nonzero().T, a[a != 0], a.shape)
    x = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    expected = sum(torch.linalg.matrix_power(a, n) @ x for n in range(n_steps + 1))
    assert torch.allclose(ops.propagate_sum(graph, x, n_steps), expected)
    assert torch.autograd.gradcheck(lambda x: ops.propagate_sum(graph, x, n_steps), (x,))


def test_gradients_flow_through_similarity_normalisation_and_two_steps():
    """The learned graph: features -> cosines at the edges -> symmetric normalisation -> two products."""
    torch.manual_seed(0)
    features = torch.randn(6, 4, dtype=torch.float64)
    graph = knn.knn(features.float(), 3)
    graph = graph.with_values(graph.val.double())
    x = torch.randn(6, 2, dtype=torch.float64, requires_grad=True)

    def sparse(features, x):
        learned = graph_module.normalize(graph.with_values(ops.edge_similarity(graph, features)), "symmetric")
        return ops.propagate(learned, ops.propagate(learned, x))

    def dense(features, x):
        unit = features / features.norm(dim=1, keepdim=True)
        a = (unit @ unit.T).relu() * (graph.to_dense() != 0)
        inverse = a.sum(1).rsqrt()
        a = inverse[:, None] * a * inverse[None]
        return a @ (a @ x)

    features.requires_grad_()
    assert torch.allclose(sparse(features, x), dense(features, x))
    assert torch.autograd.gradcheck(sparse, (features, x))
    ours = torch.autograd.grad(sparse(features, x).square().sum(), (features, x))
    reference = torch.autograd.grad(dense(features, x).square().sum(), (features, x))
    assert all(torch.allclose(a, b) for a, b in zip(ours, reference, strict=True))


def test_propagate_under_autocast_stays_in_float32():
    graph, dense = random_graph()
    x = torch.randn(5, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = ops.propagate(graph, x)
        half = ops.propagate(graph, x.bfloat16())
    assert out.dtype == torch.float32 and torch.allclose(out, dense @ x)
    assert half.dtype == torch.float32
