import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_micro.nn import graph as graph_module
from recbole_micro.nn import knn, ops


def brute_force_knn(x, k, mask, clamp):
    """Dense kNN graph by sorting: itself first, then larger cosine, then lower index."""
    x = x.double()
    norm = x.norm(dim=1)
    exists = (norm > 0) & mask
    dense = torch.zeros(len(x), len(x))
    for i in torch.nonzero(exists).flatten().tolist():
        cosine = {j: float((x[i] * x[j]).sum() / (norm[i] * norm[j])) for j in range(len(x)) if exists[j]}
        ranked = sorted(cosine, key=lambda j: (j != i, -cosine[j], j))[:k]
        for j in ranked:
            if not clamp or cosine[j] > 0:
                dense[i, j] = cosine[j]
    return dense


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 70),
    d=st.integers(1, 5),
    k=st.integers(1, 12),
    coarse=st.booleans(),
    clamp=st.booleans(),
    memory=st.sampled_from([256.0, 0.02, 1e-5]),
    seed=st.integers(0, 10_000),
)
def test_knn_equals_brute_force(n, d, k, coarse, clamp, memory, seed):
    """Ties, duplicates, zero rows, absent rows, k >= N and any block size."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, d)).astype(np.float32)
    x = torch.from_numpy(x.round() if coarse else x)
    mask = torch.from_numpy(rng.random(n) > 0.1)
    graph = knn.knn(x, k, mask, clamp, memory)
    assert torch.allclose(graph.to_dense(), brute_force_knn(x, k, mask, clamp), atol=1e-6)
    assert torch.equal(graph.to_dense() != 0, brute_force_knn(x, k, mask, clamp) != 0)


def test_knn_is_the_same_for_every_block_size_and_thread_count():
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(500, 16, generator=generator)
    x[100:180] = x[0]  # more duplicates than k
    reference = knn.knn(x, 10)
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            for memory in (256, 0.5, 0.01):
                graph = knn.knn(x, 10, memory=memory)
                assert torch.equal(graph.crow, reference.crow) and torch.equal(graph.col, reference.col)
                assert torch.equal(graph.val, reference.val)
    finally:
        torch.set_num_threads(1)


def test_more_duplicates_than_k_keep_the_row_itself_then_the_lowest_indices():
    graph = knn.knn(torch.ones(50, 3), 4)
    neighbours = graph.col.view(50, 4).tolist()
    assert neighbours[0] == [0, 1, 2, 3] and neighbours[40] == [0, 1, 2, 40]


def test_knn_leaves_float64_features_as_they_are():
    x = torch.randn(9, 4, dtype=torch.float64)
    before = x.clone()
    knn.knn(x, 3)
    assert torch.equal(x, before)


def test_rows_without_features_take_no_part():
    x = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    x[2] = 0
    mask = torch.tensor([False, True, True, True, True, True])
    dense = knn.knn(x, 6, mask, clamp_negative=False).to_dense()
    assert not dense[[0, 2]].any() and not dense[:, [0, 2]].any() and torch.isfinite(dense).all()
    nothing = knn.knn(torch.zeros(4, 3), 2)
    assert len(nothing.col) == 0 and not graph_module.normalize(nothing, "symmetric").to_dense().any()


def test_faiss_finds_the_exact_neighbours_of_a_small_set():
    pytest.importorskip("faiss")
    x = torch.randn(300, 8, generator=torch.Generator().manual_seed(1))
    x[7] = 0
    exact, approximate = knn.knn(x, 5), knn.knn(x, 5, backend="faiss")
    assert torch.equal(exact.to_dense(), approximate.to_dense())


def random_graph(n_rows=7, n_cols=5, seed=0, dtype=torch.float32):
    dense = torch.rand(n_rows, n_cols, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    dense[dense < 0.5] = 0
    row, col = dense.nonzero(as_tuple=True)
    return graph_module.Graph.from_edges(row, col, dense[row, col], dense.shape), dense


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
