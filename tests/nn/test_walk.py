"""The step from a user's own items to their neighbours, against loops over users and items."""

import copy
import math

import numpy as np
import pytest
import torch

from recbole_micro.nn import walk as walk_module
from recbole_micro.nn.graph import Graph, histories, take_rows
from recbole_micro.nn.walk import COLLABORATIVE, Walk, co_interacted

N_USERS, N_ITEMS, WEIGHT = 9, 12, 0.7


@pytest.fixture
def pairs():
    """Users and items, [n] each; user 8 and item 11 have nothing, and no id is 0."""
    draw = np.random.default_rng(3)
    found = {(int(draw.integers(1, 8)), int(draw.integers(1, 11))) for _ in range(60)}
    return np.array(sorted(found)).T


@pytest.fixture
def own(pairs):
    user, item = (torch.from_numpy(part) for part in pairs)
    return histories(user, item, N_USERS, N_ITEMS)


def similarity(k, seed):
    """[n_items, n_items] with up to k neighbours a row, none on the diagonal."""
    draw = np.random.default_rng(seed)
    matrix = np.zeros((N_ITEMS, N_ITEMS))
    for i in range(1, N_ITEMS):
        for j in draw.choice([j for j in range(1, N_ITEMS) if j != i], k, replace=False):
            matrix[i, j] = draw.uniform(0.1, 1)
    return matrix


def graph_of(matrix):
    row, col = np.nonzero(matrix)
    values = torch.from_numpy(matrix[row, col])
    return Graph.from_edges(torch.from_numpy(row), torch.from_numpy(col), values, matrix.shape)


@pytest.fixture
def near():
    return {COLLABORATIVE: similarity(3, 0), "visual": similarity(2, 1), "textual": similarity(4, 2)}


@pytest.fixture
def walk(own, near):
    return Walk(own, {name: graph_of(matrix) for name, matrix in near.items()}, WEIGHT).double()


def expected(pairs, near, user, item, extra=None):
    """w of a pair by the definition; `extra`: a row of a new item's similarities, by modality."""
    mine = [j for u, j in pairs.T if u == user]
    total = 0.0
    for names in ([COLLABORATIVE], ["visual", "textual"]):
        if extra is not None and names == [COLLABORATIVE]:
            continue
        whole = sum(near[name] for name in names)
        if extra is not None:
            whole = np.vstack([whole, sum(extra[name] for name in names)])
        reached = sum(whole[item, j] / whole[:, j].sum() for j in mine if whole[:, j].sum())
        total += math.sqrt(reached / len(mine)) if mine else 0.0
    return WEIGHT * total


def test_scores_and_pairs_are_those_of_the_definition(pairs, near, walk, monkeypatch):
    users = torch.tensor([3, 1, 8, 3, 7])
    before = torch.rand(5, N_ITEMS, dtype=torch.float64)
    after = walk.add(before.clone(), users)
    for row, user in enumerate(users.tolist()):
        for item in range(1, N_ITEMS):
            found = float(after[row, item] - before[row, item])
            assert found == pytest.approx(expected(pairs, near, user, item))
    monkeypatch.setattr(walk_module, "_SCORES_AT_ONCE", 2 * N_ITEMS)  # two users at a time
    items = torch.tensor([2, 5, 4, 9, 10])
    found = walk.of_pairs(users, items)
    assert found.tolist() == pytest.approx(
        [expected(pairs, near, u, i) for u, i in zip(users.tolist(), items.tolist(), strict=True)]
    )


@pytest.mark.parametrize("most", [0, 1 << 25])
def test_another_evaluation_adds_the_same(walk, monkeypatch, most):
    monkeypatch.setattr(walk_module, "MOST_KEPT", most)
    users = torch.arange(N_USERS)
    first, *others = (walk.add(torch.ones(N_USERS, N_ITEMS), users) for _ in range(3))
    assert all(torch.equal(first, other) for other in others)
    assert torch.equal(walk.add(torch.ones(2, N_ITEMS), torch.tensor([5, 2])), first[[5, 2]])
    assert ("whole" in vars(walk)) == bool(most)
    assert walk.double().add(torch.ones(1, N_ITEMS, dtype=torch.float64), users[:1]).dtype == torch.float64
    assert walk.most_reached >= walk.whole.nnz


def test_dense_products_as_on_a_gpu_give_the_same(walk):
    users = torch.tensor([3, 1, 8])
    own = take_rows(walk.own, users).to_dense().T
    expected = sum(WEIGHT * (step.to_dense() @ own).sqrt().T for step in walk.steps)
    assert torch.allclose(walk.add(torch.zeros(3, N_ITEMS, dtype=torch.float64), users), expected)


def test_shares_sum_to_what_is_added(pairs, near, walk):
    for user, item in ((1, 2), (3, 5), (7, 10), (8, 4)):
        shares = walk.shares(user, item)
        assert sum(float(part.sum()) for _, part in shares.values()) == pytest.approx(
            expected(pairs, near, user, item)
        )
        mine = {j for u, j in pairs.T if u == user}
        for name, (items, values) in shares.items():
            assert set(items.tolist()) <= mine and (values > 0).all()
            assert all(near[name][item, j] > 0 for j in items.tolist())


def test_a_new_item_gets_what_it_would_if_it_had_joined(pairs, near, walk):
    rows = {"visual": similarity(3, 5)[4:6], "textual": similarity(2, 6)[4:6]}
    graphs = {name: graph_of(matrix) for name, matrix in rows.items()}
    found = walk.of_new(torch.tensor([2, 8]), graphs)
    for number in range(2):
        extra = {name: matrix[number] for name, matrix in rows.items()}
        assert float(found[0, number]) == pytest.approx(expected(pairs, near, 2, N_ITEMS, extra))
        assert float(found[1, number]) == 0


def test_half_precision_becomes_single_and_copies_are_whole(walk):
    users = torch.tensor([1, 2])
    whole = walk.add(torch.zeros(2, N_ITEMS, dtype=torch.float64), users)
    for dtype in (torch.bfloat16, torch.float32):
        found = copy.deepcopy(walk).float().add(torch.zeros(2, N_ITEMS, dtype=dtype), users)
        assert found.dtype == torch.float32 and torch.allclose(found.double(), whole, atol=1e-6)


@pytest.mark.parametrize("at_once", [1, 1 << 23])
def test_items_with_users_in_common(pairs, own, at_once, monkeypatch):
    monkeypatch.setattr(walk_module, "_PAIRS_AT_ONCE", at_once)
    users_of = [{u for u, j in pairs.T if j == item} for item in range(N_ITEMS)]
    found = co_interacted(own, 3).to_dense()
    for i in range(N_ITEMS):
        both = {j: len(users_of[i] & users_of[j]) for j in range(N_ITEMS) if j != i}
        values = {j: n / (math.sqrt(len(users_of[i]) * len(users_of[j])) + 20) for j, n in both.items() if n}
        best = sorted(values, key=lambda j: (-np.float32(values[j]), j))[:3]
        row = {j: float(found[i, j]) for j in range(N_ITEMS) if found[i, j]}
        assert row == pytest.approx({j: values[j] for j in best})


def test_nobody_has_anything():
    empty = torch.empty(0, dtype=torch.long)
    own = histories(empty, empty, 3, 4)
    walk = Walk(own, {COLLABORATIVE: co_interacted(own, 2)}, 1.0)
    assert walk.add(torch.zeros(2, 4), torch.tensor([1, 2])).eq(0).all()


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_adds_the_same(walk):
    users = torch.tensor([3, 1, 8])
    here = walk.add(torch.zeros(3, N_ITEMS, dtype=torch.float64), users)
    there = walk.cuda().add(torch.zeros(3, N_ITEMS, dtype=torch.float64, device="cuda"), users.cuda())
    assert torch.allclose(here, there.cpu())
