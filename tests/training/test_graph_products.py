"""Products with the matrices of RecBole's graph models: the same numbers, the model as it is."""

import copy

import pytest
import torch

from recbole_micro import Config
from recbole_micro.training.experiment import build
from recbole_micro.training.graph_products import GraphProducts, fast_products, has_matrices


def matrix(coalesced=True):
    """[5, 4] with an empty row; an entry twice where it is not coalesced."""
    rows, cols = [0, 0, 1, 3, 4, 4], [1, 3, 0, 2, 0, 3]
    if not coalesced:
        rows, cols = [*rows, 1], [*cols, 0]
    values = torch.arange(1.0, len(rows) + 1)
    made = torch.sparse_coo_tensor([rows, cols], values, (5, 4))
    return made.coalesce() if coalesced else made


@pytest.mark.parametrize("coalesced", [True, False])
def test_products_and_gradients(coalesced):
    constant, products = matrix(coalesced), GraphProducts()
    weight = torch.rand(5, 3)
    for number in range(3):
        x = torch.rand(4, 3, requires_grad=True)
        with products:
            ours = torch.sparse.mm(constant, x)
        theirs = torch.sparse.mm(constant, x)
        ours_grad, theirs_grad = (torch.autograd.grad((one * weight).sum(), x)[0] for one in (ours, theirs))
        torch.testing.assert_close(ours, theirs)
        torch.testing.assert_close(ours_grad, theirs_grad)
        assert ("Propagate" in type(ours.grad_fn).__name__) == (number > 0), "made when it is met again"


def test_other_products_are_pytorchs():
    products, x = GraphProducts(), torch.rand(4, 3)
    learned = matrix().requires_grad_()
    with products:
        for one, other in ((learned, x), (matrix().double(), x.double()), (matrix().to_sparse_csr(), x)):
            for _ in range(2):
                assert "Propagate" not in type(torch.sparse.mm(one, other).grad_fn).__name__
        assert torch.mm(x, x.T).shape == (4, 4)
    assert not len(products.graphs)


def test_a_matrix_that_is_gone_takes_its_graph_along():
    products, x = GraphProducts(), torch.rand(4, 3)
    with products:
        for _ in range(3):
            once = matrix()
            for _ in range(2):
                torch.sparse.mm(once, x)
        del once
    assert not len(products.graphs)


@pytest.mark.parametrize("model, has", [("LightGCN", True), ("SGL", True), ("BPR", False)])
def test_a_training_learns_the_same(model, has, given, monkeypatch):
    ends = []
    for fast in (True, False):
        parts = build(Config(model, "tiny", config_dict=dict(given)))
        found = []
        with monkeypatch.context() as changed:
            changed.setattr(GraphProducts, "graph_of", watched(found) if fast else no_graph)
            loss = [parts.trainer._train_epoch(parts.train_data, epoch) for epoch in range(2)]
        assert has_matrices(parts.model) == has
        assert any(graph is not None for graph in found) == (has and fast)
        copy.deepcopy(parts.model)
        ends.append((loss, parts.model.state_dict()))
    assert ends[0][0] == pytest.approx(ends[1][0], rel=1e-5)
    for name, value in ends[0][1].items():
        torch.testing.assert_close(value, ends[1][1][name], rtol=1e-3, atol=1e-5)


def watched(found, graph_of=GraphProducts.graph_of):
    """`graph_of`, whose answers are kept."""
    return lambda *arguments: found.append(graph_of(*arguments)) or found[-1]


def no_graph(self, matrix, x):
    return None


def test_without_matrices_nothing_stands_between(monkeypatch):
    monkeypatch.setattr(GraphProducts, "graph_of", None)
    with fast_products(torch.nn.Linear(2, 2)):
        torch.sparse.mm(matrix(), torch.rand(4, 3))
