"""Sparse graphs: building, normalising, mixing and sampling, against dense matrices."""

import copy

import pytest
import torch

from recbole_micro.nn import graph as graph_module
from recbole_micro.nn import ops
from tests.nn.shared import random_graph


@pytest.mark.parametrize("how", graph_module.NORMALIZATIONS)
def test_normalize_equals_the_dense_formula(how):
    graph, dense = random_graph(6, 6)
    row_empty = torch.ones(6)
    row_empty[3] = 0
    dense = dense * row_empty[:, None]
    row, col = dense.nonzero(as_tuple=True)
    graph = graph_module.Graph.from_edges(row, col, dense[row, col], dense.shape)
    if how == "mean_self_loop":
        dense = dense + torch.eye(6)
    degree = dense.sum(1)
    inverse = torch.where(degree > 0, 1 / degree, torch.zeros(()))
    if how == "symmetric":
        expected = inverse.sqrt()[:, None] * dense * inverse.sqrt()[None]
    else:
        expected = inverse[:, None] * dense
    assert torch.allclose(graph_module.normalize(graph, how).to_dense(), expected, atol=1e-6)


def test_normalize_refuses_an_unknown_name():
    with pytest.raises(ValueError, match="symmetric"):
        graph_module.normalize(random_graph(5, 5)[0], "cosine")


def test_edges_in_any_order_and_repeated_edges():
    graph = graph_module.Graph.from_edges(
        torch.tensor([2, 0, 2]), torch.tensor([1, 3, 1]), torch.tensor([1.0, 2.0, 0.5]), (3, 4)
    )
    expected = torch.zeros(3, 4)
    expected[2, 1], expected[0, 3] = 1.5, 2.0
    assert torch.equal(graph.to_dense(), expected)
    mixed = graph_module.mix([graph, graph], [0.25, 0.5]).to_dense()
    assert torch.equal(mixed, 0.75 * expected)


def test_bipartite_counts_a_repeated_interaction_once():
    dense = graph_module.bipartite(torch.tensor([0, 1, 1, 1]), torch.tensor([2, 0, 0, 1]), 2, 3).to_dense()
    assert torch.equal(dense, dense.T) and dense.sum() == 6 and dense.max() == 1
    assert dense[1, 2] == 1 and dense[0, 4] == 1 and not dense[:2, :2].any() and not dense[2:, 2:].any()


def test_a_graph_can_be_copied_and_moved():
    graph, dense = random_graph()
    assert graph.row.dtype == torch.int32
    twin = copy.deepcopy(graph)
    twin.val.zero_()
    assert torch.equal(graph.to_dense(), dense)
    assert torch.equal(graph.apply(lambda t: t.clone()).to_dense(), dense)
    double = graph.apply(lambda t: t.double() if t.is_floating_point() else t)
    assert double.val.dtype == torch.float64 and double.col.dtype == torch.int32


def test_sampled_edges_are_a_share_without_repetition_and_prefer_small_degrees():
    torch.manual_seed(0)
    user = torch.tensor([0] * 40 + list(range(1, 41)))
    item = torch.tensor(list(range(40)) + list(range(40, 80)))  # user 0 has 40 edges, the others 1 each
    counts = torch.zeros(2)
    for _ in range(200):
        u, i = graph_module.sample_edges(user, item, 0.25, 41, 80)
        assert len(u) == 20 and len(set(zip(u.tolist(), i.tolist(), strict=True))) == 20
        counts += torch.tensor([(u == 0).sum(), (u != 0).sum()])
    # A busy user's edge has 1 / sqrt(40) of the others' probability: about 1 in 7 is drawn first.
    assert 0.1 < counts[0] / counts.sum() < 0.25


def test_rows_users_and_transposes_of_a_graph_are_those_of_its_matrix():
    generator = torch.Generator().manual_seed(4)
    user, item = (
        torch.randint(0, 7, (20,), generator=generator),
        torch.randint(0, 5, (20,), generator=generator),
    )
    r = torch.zeros(7, 5)
    r[user, item] = 1
    history = graph_module.histories(user, item, 7, 5)
    assert torch.equal(history.to_dense(), r)
    assert torch.equal(history.transpose().to_dense(), r.T)
    rows = torch.tensor([6, 0, 3, 3])
    taken = graph_module.take_rows(history, rows)
    assert torch.equal(taken.to_dense(), r[rows])
    assert torch.equal(ops.propagate(taken.transpose(), torch.eye(4)), r[rows].T)
    both = graph_module.normalize(graph_module.bipartite(user, item, 7, 5), "symmetric")
    assert torch.equal(graph_module.of_users(both, 7).to_dense(), both.to_dense()[:7, 7:])
