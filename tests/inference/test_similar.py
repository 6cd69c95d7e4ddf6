"""Similar items: cosines by brute force, the graphs' neighbours among them, which spaces there are."""

import pytest
import torch
from torch.nn.functional import cosine_similarity

from recbole_micro import load, run
from recbole_micro.data.features import Modality
from recbole_micro.errors import UserError
from recbole_micro.inference.similar import nearest_items, similar, spaces
from tests.support import dense
from tests.support import world as worlds


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return dense.Bench(tmp_path_factory.mktemp("bench"))


@pytest.fixture(scope="module")
def micro(bench):
    return bench.model("MICRO", knn_k=5, clamp_negative=False).float().eval()


def test_every_space_ranks_as_brute_force(bench, micro):
    found = similar(micro, bench.data)
    assert list(found) == [
        "visual", "textual", "trained", "visual:learned", "textual:learned", "collaborative", "fused",
    ]  # fmt: skip
    items = torch.arange(1, micro.n_items)
    for space in found.values():
        cosine = cosine_similarity(space.values[:, None].double(), space.values[None].double(), dim=-1)
        cosine[:, ~space.mask] = -torch.inf
        cosine.fill_diagonal_(-torch.inf)
        (portion,) = nearest_items(space, items, 3)
        assert set(portion.item.tolist()) == set(space.mask.nonzero()[:, 0].tolist())
        for item in set(portion.item.tolist()):
            here = portion.item == item
            best = cosine[item].topk(3).values
            assert torch.allclose(portion.cosine[here].double(), best, atol=1e-5)
            assert torch.allclose(cosine[item][portion.other[here]], best, atol=1e-5)


def test_the_graphs_have_these_neighbours(bench, micro):
    found = similar(micro, bench.data)
    for modality, graph in micro.graphs.items():
        for name, edges in (
            (modality, graph.initial_graph()),
            (f"{modality}:learned", graph.learned_graph()),
        ):
            (portion,) = nearest_items(found[name], torch.arange(1, micro.n_items), 4)
            ours = set(zip(portion.item.tolist(), portion.other.tolist(), strict=True))
            others = edges.row != edges.col
            assert ours == set(zip(edges.row[others].tolist(), edges.col[others].tolist(), strict=True))


def test_portions_make_no_difference_and_items_may_be_chosen(bench, micro, monkeypatch):
    space = similar(micro, bench.data, "fused")["fused"]
    (whole,) = nearest_items(space, torch.arange(1, micro.n_items), 3)
    monkeypatch.setattr("recbole_micro.inference.similar.ITEMS_AT_ONCE", 7)
    parts = list(nearest_items(space, torch.arange(1, micro.n_items), 3))
    assert len(parts) > 3
    for name in whole._fields:
        assert torch.equal(torch.cat([getattr(part, name) for part in parts]), getattr(whole, name))
    (one,) = nearest_items(space, torch.tensor([9]), 3)
    assert torch.equal(one.other, whole.other[whole.item == 9])


def test_more_neighbours_than_items_and_equal_vectors():
    values = torch.tensor([[0.0, 0], [1, 0], [1, 0], [1, 0], [0, 1]])
    space = Modality(values, torch.tensor([False, True, True, True, True]))
    (found,) = nearest_items(space, torch.tensor([3]), 10)
    assert found.other.tolist() == [1, 2, 4] and found.cosine.tolist() == [1, 1, 0]


def test_by_chooses(bench, micro):
    assert list(similar(micro, bench.data, "visual")) == ["visual", "visual:learned"]
    assert list(similar(micro, bench.data, "visual:learned")) == ["visual:learned"]
    with pytest.raises(
        UserError, match="MICRO cannot compare items by 'visula': choose among .*mean visual?"
    ):
        similar(micro, bench.data, "visula")


ALL = {"visual", "textual", "visual:learned", "textual:learned", "collaborative", "fused", "trained"}
SPACES = {
    "FREEDOM": ALL,
    "LATTICE": ALL,
    "BM3": {"visual", "textual", "trained"},
    "ContentKNN": {"visual", "textual"},
}


@pytest.mark.parametrize("name, expected", SPACES.items())
def test_the_spaces_of_other_models(bench, name, expected):
    model = bench.model(name)
    found = spaces(model, bench.data)
    assert set(found) == expected
    assert all(len(space.values) == model.n_items and not space.mask[0] for space in found.values())


@pytest.mark.parametrize("name", ["LightGCN", "ItemKNN"])
def test_models_of_recbole_have_their_item_vectors_or_say_that_they_have_none(tmp_path, name):
    world = worlds.build(tmp_path)
    source = load(run(name, world.name, config_dict=world.config(epochs=1))["checkpoint"])
    if name == "ItemKNN":
        with pytest.raises(UserError, match="ItemKNN has no vector of each item"):
            spaces(source.model, source.dataset)
        return
    found = spaces(source.model, source.dataset)["collaborative"].values
    assert torch.allclose(found, source.model.forward()[1])
