"""Dot products, attention and mixing on edges: values and gradients against dense float64 matrices."""

import pytest
import torch

from recbole_micro.nn import graph as graph_module
from recbole_micro.nn import ops


@pytest.fixture
def graph():
    """5 x 4 with an empty row and an empty column."""
    row, col = torch.tensor([0, 0, 1, 3, 3, 3, 4]), torch.tensor([0, 2, 2, 0, 1, 2, 1])
    return graph_module.Graph.from_edges(row, col, torch.ones(7, dtype=torch.float64), (5, 4))


def leaf(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()


def same(ours, dense, *inputs):
    """Whether two tensors and their gradients under random weights agree."""
    weight = leaf(*ours.shape, seed=9).detach()
    assert torch.allclose(ours, dense)
    ours, dense = ((part * weight).sum() for part in (ours, dense))
    for a, b in zip(torch.autograd.grad(ours, inputs), torch.autograd.grad(dense, inputs), strict=True):
        assert torch.allclose(a, b)


def test_edge_dot_of_a_rectangular_graph(graph):
    target, source = leaf(5, 3), leaf(4, 3, seed=1)
    row, col = graph.row.long(), graph.col.long()
    same(ops.edge_dot(graph, target, source), (target @ source.T)[row, col], target, source)


def test_edge_softmax_is_the_softmax_of_each_row(graph):
    logits = (60 * leaf(7)).detach().requires_grad_()  # exp of these would overflow float32
    row, col = graph.row.long(), graph.col.long()
    dense = torch.full((5, 4), -1e30, dtype=torch.float64).index_put((row, col), logits).softmax(1)
    same(ops.edge_softmax(graph, logits), dense[row, col], logits)


def test_edges_that_are_not_present_take_no_part(graph):
    logits = leaf(7)
    present = torch.tensor([True, False, False, True, True, False, True])
    alone = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)  # row 0 keeps one edge, row 1 none
    last = torch.tensor([0.0, 1.0], dtype=torch.float64)
    expected = torch.cat([alone, logits[3:5].softmax(0), last])
    same(ops.edge_softmax(graph, logits, present), expected, logits)


def test_propagate_with_learned_edges(graph):
    values, x = leaf(7), leaf(4, 3, seed=1)
    row, col = graph.row.long(), graph.col.long()
    dense = torch.zeros(5, 4, dtype=torch.float64).index_put((row, col), values) @ x
    same(ops.propagate(graph.with_values(values), x), dense, values, x)


def test_mix_passes_gradients_to_values_and_weights(graph):
    first, second, weight = leaf(7), leaf(7, seed=1), leaf(2, seed=2)
    other = graph_module.Graph.from_edges(graph.row, 3 - graph.col, graph.val, graph.shape)
    mixed = graph_module.mix([graph.with_values(first), other.with_values(second)], weight)
    dense = torch.zeros(5, 4, dtype=torch.float64)
    dense = dense.index_put((graph.row.long(), graph.col.long()), weight[0] * first)
    dense = dense.index_put((other.row.long(), other.col.long()), weight[1] * second, accumulate=True)
    row, col = mixed.row.long(), mixed.col.long()
    same(mixed.val, dense[row, col], first, second, weight)
    assert not mixed.detach().val.requires_grad and mixed.detach().col is mixed.col
