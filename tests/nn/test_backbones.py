"""The collaborative backbones: dense references, sampled edges, some of the users and items alone."""

import pytest
import torch

from recbole_micro.nn.backbones import BACKBONES
from tests.support.dense import lightgcn_vectors, ngcf_vectors, normalized

N_USERS, N_ITEMS, SIZE = 5, 6, 4
USER = torch.tensor([0, 0, 1, 2, 3, 3, 4])
ITEM = torch.tensor([1, 2, 2, 3, 4, 5, 1])


def dense_adjacency(how):
    a = torch.zeros(N_USERS + N_ITEMS, N_USERS + N_ITEMS, dtype=torch.float64)
    a[USER, N_USERS + ITEM] = a[N_USERS + ITEM, USER] = 1
    return normalized(a, how)


def make(kind, **options):
    torch.manual_seed(0)
    return BACKBONES[kind](USER, ITEM, N_USERS, N_ITEMS, SIZE, **options)


@pytest.mark.parametrize("how", ["symmetric", "mean", "mean_self_loop"])
@pytest.mark.parametrize("n_layers", [0, 1, 3])
@pytest.mark.parametrize("kind, reference", [("LightGCN", lightgcn_vectors), ("NGCF", ngcf_vectors)])
def test_forward_and_gradients_equal_the_dense_reference(kind, reference, n_layers, how):
    model = make(kind, n_layers=n_layers, adjacency=how).double().eval()
    weight = torch.randn(N_USERS + N_ITEMS, SIZE, dtype=torch.float64)
    ours, theirs = torch.cat(model()), reference(model, dense_adjacency(how), n_layers)
    assert torch.allclose(ours, theirs, atol=1e-7)
    parameters = list(model.parameters())
    got = torch.autograd.grad((ours * weight).sum(), parameters)
    expected = torch.autograd.grad((theirs * weight).sum(), parameters)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(got, expected, strict=True))


def test_matrix_factorisation_is_the_id_embeddings():
    model = make("MF")
    user, item = model()
    assert user is model.user_embedding.weight and item is model.item_embedding.weight
    assert user.shape == (N_USERS, SIZE) and item.shape == (N_ITEMS, SIZE)


def test_edge_dropout_draws_anew_each_epoch_and_evaluates_with_all_edges():
    torch.manual_seed(1)
    model = make("LightGCN", edge_dropout=0.5)
    full = model.graph.to_dense()
    draws = []
    for _ in range(8):
        model.train().start_epoch()
        assert len(model.sampled.col) == 2 * round(0.5 * len(USER))
        draws.append(tuple(model.sampled.col.tolist()))
        dense = model.sampled.to_dense()
        degree = (dense > 0).sum(1).float()
        expected = torch.where(dense > 0, (degree[:, None] * degree).rsqrt(), 0.0)
        assert torch.allclose(dense, expected)  # renormalised on what was drawn
    assert len(set(draws)) > 1
    whole = make("LightGCN").eval()()
    assert all(torch.equal(a, b) for a, b in zip(model.eval()(), whole, strict=True))
    assert torch.equal(model.graph.to_dense(), full)


def test_ngcf_drops_out_only_in_training():
    model = make("NGCF", dropout=0.5)
    assert not torch.equal(torch.cat(model.train()()), torch.cat(model()))
    model.eval()
    assert torch.equal(torch.cat(model()), torch.cat(model()))


def test_graphs_follow_the_module_and_stay_out_of_its_state():
    model = make("LightGCN", edge_dropout=0.5)
    model.start_epoch()
    assert set(model.state_dict()) == {"user_embedding.weight", "item_embedding.weight"}
    model.double()
    assert (
        model.graph.val.dtype == model.sampled.val.dtype == torch.float64 and model.user.dtype == torch.int64
    )
    moved = model.to("meta")
    assert moved.graph.col.is_meta and moved.user.is_meta


@pytest.mark.parametrize("n_nodes", [12, 400])  # a small graph is computed whole, of a large one a part
@pytest.mark.parametrize("how", ["symmetric", "mean_self_loop"])
@pytest.mark.parametrize("kind", list(BACKBONES))
def test_some_users_and_items_alone_have_the_vectors_of_the_whole_graph(kind, how, n_nodes):
    torch.manual_seed(1)
    n_users, n_items = n_nodes // 2, n_nodes // 2
    user, item = torch.randint(n_users, (n_nodes * 2,)), torch.randint(n_items, (n_nodes * 2,))
    options = {} if kind == "MF" else {"adjacency": how, "edge_dropout": 0.8}
    options |= {"dropout": 0.0} if kind == "NGCF" else {}
    model = BACKBONES[kind](user, item, n_users, n_items, SIZE, **options)
    model.start_epoch()
    model.double()
    users, items = torch.tensor([3, 1, 3]), torch.tensor([2, 5, 2, 0, 4])
    weight = torch.randn(len(users) + len(items), SIZE, dtype=torch.float64)
    whole = model()
    expected = torch.cat([whole[0][users], whole[1][items]])
    parameters = list(model.parameters())
    theirs = torch.autograd.grad((expected * weight).sum(), parameters)
    for _ in range(2):
        got = torch.cat(model.at(users, items))
        assert getattr(model, "all_nodes", False) == (n_nodes == 12 and kind != "MF")
        assert torch.allclose(got, expected, atol=1e-12)
        ours = torch.autograd.grad((got * weight).sum(), parameters)
        assert all(torch.allclose(a, b, atol=1e-12) for a, b in zip(ours, theirs, strict=True))
    model.start_epoch()
    assert not getattr(model, "all_nodes", False)


@pytest.mark.parametrize("n_layers", [0, 1, 2, 3])
@pytest.mark.parametrize("how", ["symmetric", "mean", "mean_self_loop"])
def test_some_users_and_all_items_have_the_vectors_of_the_whole_graph(how, n_layers):
    torch.manual_seed(1)
    user, item = torch.randint(30, (90,)), torch.randint(20, (90,))
    options = {"adjacency": how, "edge_dropout": 0.3, "n_layers": n_layers}
    model = BACKBONES["LightGCN"](user, item, 30, 20, SIZE, **options)
    users = torch.tensor([3, 1, 3, 29])
    weight = torch.randn(len(users) + 20, SIZE, dtype=torch.float64)
    for _ in range(2):  # each epoch has edges of its own
        model.start_epoch()
        model.double()
        whole, parameters = model(), list(model.parameters())
        expected = torch.cat([whole[0][users], whole[1]])
        got = torch.cat(model.for_users(users))
        assert torch.allclose(got, expected, atol=1e-12)
        theirs, ours = (torch.autograd.grad((one * weight).sum(), parameters) for one in (expected, got))
        assert all(torch.allclose(a, b, atol=1e-12) for a, b in zip(ours, theirs, strict=True))
