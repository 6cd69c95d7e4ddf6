"""The nearest neighbours of items, against brute force."""

import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_micro.data.features import Modality
from recbole_micro.nn import candidates, knn
from recbole_micro.nn import graph as graph_module


def brute_force_knn(x, k, mask, clamp):
    """Dense kNN graph by sorting: itself first, then larger cosine, then lower index."""
    x = x.double()
    norm = x.square().sum(1).sqrt()  # ties of whole numbers are ties then, to the last bit
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


def test_faiss_finds_nearly_all_and_says_how_many(monkeypatch, caplog):
    pytest.importorskip("faiss")
    caplog.set_level("INFO")
    generator = torch.Generator().manual_seed(1)
    centres = torch.randn(40, 8, generator=generator)
    x = centres.repeat(25, 1) + 0.3 * torch.randn(1000, 8, generator=generator)
    x[7] = 0
    exact = knn.knn(x, 5)
    few = knn.knn(x, 5, backend="faiss")  # exact as well, and no word of a recall
    assert torch.equal(exact.val, few.val) and torch.equal(exact.col, few.col) and not caplog.messages
    monkeypatch.setattr(knn, "EXACT_UP_TO", 0)
    found = [knn.knn(x, 5, backend="faiss", memory=memory) for memory in (256, 0.05)]
    assert torch.equal(found[0].col, found[1].col) and torch.equal(found[0].val, found[1].val)
    wanted, dense = exact.to_dense(), found[0].to_dense()
    share = ((wanted != 0) & (dense != 0)).sum() / (wanted != 0).sum()
    assert share > 0.9 and (dense.diagonal() != 0).sum() == 999
    both = (wanted != 0) & (dense != 0)
    assert torch.equal(wanted[both], dense[both])  # an edge's weight is exact
    said = float(re.search(r"recall@10 ([0-9.]+) of the exact ones, on 200 sampled", caplog.messages[0])[1])
    assert abs(said - share) < 0.06


def test_recall_counts_the_exact_neighbours_that_are_found(monkeypatch):
    """A search that forgets every second list entry finds half of them."""
    x = torch.nn.functional.normalize(torch.randn(60, 4, generator=torch.Generator().manual_seed(3)), dim=-1)
    index_of, sample = torch.arange(10, 60), torch.arange(0, 50, 5)
    exact = candidates.exact_neighbours(x, x.norm(dim=1), index_of, sample)
    cosine = x[10:] @ x[10:].T
    cosine.fill_diagonal_(-2)
    order = cosine.argsort(1, descending=True)[sample]
    assert torch.equal(exact, order[:, :10])

    class Index:
        def __init__(self, found):
            self.found = found

        def search(self, queries, k):
            return None, self.found[:, :k].numpy()

    whole = torch.cat([sample[:, None], order], 1)
    half = torch.where(torch.arange(whole.shape[1]) % 2 == 0, whole, -1)
    assert candidates.recall_of(Index(whole), None, sample, exact) == 1
    assert candidates.recall_of(Index(order), None, sample, exact) == 1  # the row itself not found
    assert candidates.recall_of(Index(half), None, sample, exact) == 0.5


@pytest.mark.parametrize("memory", [1e-4, 256])
@pytest.mark.parametrize("clamp", [True, False])
def test_nearest_equals_brute_force(memory, clamp):
    generator = torch.Generator().manual_seed(4)
    known = torch.randn(60, 7, generator=generator)
    known[10:20] = known[20:30]  # ties
    known[30] = 0
    new = torch.cat([known[5:25] * 2, torch.randn(9, 7, generator=generator), torch.zeros(1, 7)])
    mask = torch.rand(60, generator=generator) > 0.1
    new_mask = torch.arange(30) != 3
    options = {"k": 6, "clamp_negative": clamp, "memory": memory}
    found = knn.nearest(Modality(new, new_mask), Modality(known, mask), options)
    cosine = torch.nn.functional.cosine_similarity(new[:, None].double(), known[None].double(), dim=-1)
    for row in range(30):
        there = [j for j in range(60) if mask[j] and j != 30 and new_mask[row] and row != 29]
        best = sorted(there, key=lambda j: (-round(cosine[row, j].item(), 12), j))[:6]
        best = sorted(j for j in best if cosine[row, j] > 0 or not clamp)
        edges = slice(found.crow[row], found.crow[row + 1])
        assert found.col[edges].tolist() == best
        assert torch.allclose(found.val[edges].double(), cosine[row, best], atol=2e-6)
