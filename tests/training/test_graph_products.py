"""Products with the matrices of RecBole's graph models: the same numbers, the model as it is."""

import copy

import pytest
import torch

from recbole_micro import Config
from recbole_micro.training.experiment import build
from recbole_micro.training.graph_products import GraphProducts, fast_products


def matrix(coalesced=True):
    """[5, 4] with an empty row; an entry twice where it is not coalesced."""
    rows, cols = [0, 0, 1, 3, 4, 4], [1, 3, 0, 2, 0, 3]
    if not coalesced:
        rows, cols = [*rows, 1], [*cols, 0]
    values = torch.arange(1.0, len(rows) + 1)
    made = torch.sparse_coo_tensor([rows, cols], values, (5, 4))
    return made.coalesce() if coalesced else made


def keeping(*matrices):
    """A model that keeps these, the first one by itself."""
    model = torch.nn.Linear(2, 2)
    model.first, *model.others = matrices
    return model


@pytest.mark.parametrize("coalesced", [True, False])
def test_products_and_gradients(coalesced):
    constant, weight = matrix(coalesced), torch.rand(5, 3)
    products = GraphProducts(keeping(constant))
    for _ in range(2):
        x = torch.rand(4, 3, requires_grad=True)
        with products:
            ours = torch.sparse.mm(constant, x)
        theirs = torch.sparse.mm(constant, x)
        ours_grad, theirs_grad = (torch.autograd.grad((one * weight).sum(), x)[0] for one in (ours, theirs))
        torch.testing.assert_close(ours, theirs)
        torch.testing.assert_close(ours_grad, theirs_grad)
        assert "Propagate" in type(ours.grad_fn).__name__


def test_other_products_are_pytorchs():
    """Of matrices with gradients, in other precision, in other layout, and made for one product."""
    x, learned, double = torch.rand(4, 3), matrix().requires_grad_(), matrix().double()
    rows = matrix().to_sparse_csr()
    products = GraphProducts(keeping(learned, double, rows, matrix()))
    with products:
        for one, other in ((learned, x), (double, x.double()), (rows, x), (matrix(), x)):
            other = other.clone().requires_grad_()
            assert "Propagate" not in type(torch.sparse.mm(one, other).grad_fn).__name__
        assert torch.mm(x, x.T).shape == (4, 4)
        kept = products.model.others[-1]
        assert "Propagate" in type(torch.sparse.mm(kept, x.requires_grad_()).grad_fn).__name__


def test_a_matrix_that_is_gone_takes_its_graph_along():
    """SGL makes its graphs anew in every epoch."""
    products, x = GraphProducts(keeping(matrix())), torch.rand(4, 3)
    with products:
        for _ in range(3):
            products.model.first = matrix()
            torch.sparse.mm(products.model.first, x)
            torch.sparse.mm(matrix(), x)
    assert len(products.graphs) == 1


@pytest.mark.parametrize("model, has", [("LightGCN", True), ("SGL", True), ("BPR", False)])
def test_a_training_learns_the_same(model, has, given):
    ends = []
    for fast in (True, False):
        parts = build(Config(model, "tiny", config_dict=dict(given)))
        if not fast:
            parts.trainer.products.graph_of = lambda matrix, x: None
        loss = [parts.trainer._train_epoch(parts.train_data, epoch) for epoch in range(2)]
        assert (len(parts.trainer.products.graphs) > 0) == (has and fast)
        copy.deepcopy(parts.model)
        ends.append((loss, parts.model.state_dict()))
    assert ends[0][0] == pytest.approx(ends[1][0], rel=1e-5)
    for name, value in ends[0][1].items():
        torch.testing.assert_close(value, ends[1][1][name], rtol=1e-3, atol=1e-5)


def test_without_matrices_nothing_stands_between():
    products = GraphProducts(torch.nn.Linear(2, 2))
    with fast_products(products):
        torch.sparse.mm(matrix(), torch.rand(4, 3))
    assert not len(products.graphs)
