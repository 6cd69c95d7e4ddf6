"""The samplers draw what RecBole's own draw, bit for bit, and leave NumPy's generator in the same state."""

from types import SimpleNamespace

import numpy as np
import pytest
import recbole.sampler as theirs
import torch

from recbole_micro.data import sampler as ours

N_USERS, N_ITEMS = 13, 17
PHASES = ["train", "valid", "test"]
DRAWS = [("uniform", 1.0), ("popularity", 1.0), ("popularity", 0.6)]


def data(seed, count, **more):
    """Interactions with repetitions, users and items from 1, as a data set without a configuration."""
    generator = np.random.default_rng(seed)
    users, items = (torch.from_numpy(generator.integers(1, n, count)) for n in (N_USERS, N_ITEMS))
    return SimpleNamespace(
        uid_field="user", iid_field="item", user_num=N_USERS, item_num=N_ITEMS,
        inter_feat={"user": users, "item": items}, **more,
    )  # fmt: skip


PARTS = [data(0, 60), data(1, 20), data(2, 20)]


def both(draw, *arguments):
    """What a function of RecBole's and of our samplers returns for one seed, and the next number drawn."""
    found = []
    for module in (theirs, ours):
        np.random.seed(7)
        found.append((draw(module, *arguments), np.random.random()))
    return found


def same(pair):
    (expected, after), (found, our_after) = pair
    assert after == our_after and len(expected) == len(found)
    assert all(torch.equal(one, other) for one, other in zip(expected, found, strict=True))


@pytest.mark.parametrize("distribution, alpha", DRAWS)
@pytest.mark.parametrize("users", [[1, 5, 5, 2, 12, 3] * 9, [4] * 7, [0, 12]])
def test_negatives_of_users(distribution, alpha, users):
    def draw(module):
        whole = module.Sampler(PHASES, PARTS, distribution, alpha)
        parts = [whole.set_phase(phase) for phase in PHASES]
        return [one.sample_by_user_ids(np.array(users), None, num) for one in parts for num in (1, 4)]

    same(both(draw))


@pytest.mark.parametrize("distribution, alpha", DRAWS)
def test_negatives_of_rows_that_may_come_again(distribution, alpha):
    rows = np.arange(20) % N_ITEMS

    def draw(module):
        one = module.RepeatableSampler(PHASES, PARTS[0], distribution, alpha).set_phase("valid")
        return [one.sample_by_user_ids(rows, rows, num) for num in (1, 5)]

    same(both(draw))


@pytest.mark.parametrize("distribution, alpha", DRAWS)
def test_tails_of_a_knowledge_graph(distribution, alpha):
    generator = np.random.default_rng(3)
    heads, tails = generator.integers(1, 9, (2, 30))
    graph = SimpleNamespace(
        head_entity_field="head",
        tail_entity_field="tail",
        head_entities=heads,
        tail_entities=tails,
        entity_num=9,
    )

    def draw(module):
        one = module.KGSampler(graph, distribution, alpha)
        return [one.sample_by_entity_ids(heads[:12], num) for num in (1, 3)]

    same(both(draw))


@pytest.mark.parametrize("distribution, alpha", DRAWS)
@pytest.mark.parametrize("kind", ["Sampler", "RepeatableSampler"])
def test_users_one_after_another(distribution, alpha, kind):
    """Evaluation with sampled items draws for a user at a time: here for all of them, with the same draws."""
    users = np.array([1, 3, 4, 7, 8, 11])
    sizes = np.array([2, 1, 3, 1, 5, 2])
    items = np.random.default_rng(4).integers(1, N_ITEMS, sizes.sum())
    num, begin = 6, np.cumsum(sizes) - sizes

    def draw(module):
        given = (PHASES, PARTS if kind == "Sampler" else PARTS[0], distribution, alpha)
        one = getattr(module, kind)(*given).set_phase("test")
        blocks = [(user, items[at : at + size]) for user, at, size in zip(users, begin, sizes, strict=True)]
        if module is theirs:
            drawn = [one.sample_by_user_ids(np.full(len(own), user), own, num) for user, own in blocks]
            return [torch.cat(drawn)]
        every = np.concatenate([np.tile(own, num) for _, own in blocks])
        return [one.one_after_another(np.repeat(users, sizes * num), every, sizes * num)]

    same(both(draw))


def test_used_ids_are_recboles_sets():
    expected = theirs.Sampler(PHASES, PARTS).used_ids
    found = ours.Sampler(PHASES, PARTS).used_ids
    for phase in PHASES:
        assert len(found[phase]) == N_USERS and list(found[phase]) == list(expected[phase])
        assert (found[phase][np.array([3, 1])] == expected[phase][[3, 1]]).all()
        assert found[phase].counts.tolist() == [len(items) for items in expected[phase]]


@pytest.mark.parametrize("module", [theirs, ours])
def test_what_cannot_be_drawn_is_said(module):
    everything = SimpleNamespace(**vars(PARTS[0]))
    everything.inter_feat = {"user": torch.full((N_ITEMS,), 2), "item": torch.arange(N_ITEMS)}
    everything.inter_feat["item"][0] = 5
    with pytest.raises(ValueError, match="interacted with all items"):
        module.Sampler(PHASES[:1], [everything])
    one = module.Sampler(PHASES, PARTS).set_phase("train")
    with pytest.raises(ValueError, match=r"user_id \[13\] not exist"):
        one.sample_by_user_ids(np.array([1, 13]), None, 1)


def test_membership_of_many_pairs():
    """Keys beyond 32 bits, and pairs that are nearly there."""
    n_users, n_items = 3_000_000, 1_000_003
    generator = np.random.default_rng(6)
    users, items = generator.integers(0, n_users, 4000), generator.integers(0, n_items - 1, 4000)
    pairs = ours.UsedIds.of(users, items, n_users, n_items)
    there = set(zip(users.tolist(), items.tolist(), strict=True))
    assert pairs.contains(users, items).all()
    beside = np.array(
        [(user, item + 1) in there for user, item in zip(users.tolist(), items.tolist(), strict=True)]
    )
    assert (pairs.contains(users, items + 1) == beside).all() and beside.mean() < 0.1
    wanted = torch.from_numpy(users * n_items + items)
    keys = torch.from_numpy(pairs.keys)  # the same test on a device
    assert torch.equal(keys[torch.searchsorted(keys, wanted)], wanted)
