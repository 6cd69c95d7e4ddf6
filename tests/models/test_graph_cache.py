"""The options `graph_cache` and `learned_candidates`: the same graph from the cache, fewer candidates."""

import numpy as np
import pytest
import torch

import recbole_micro
from recbole_micro import nn
from recbole_micro.data.array_cache import ArrayCache
from recbole_micro.data.features import Modality
from recbole_micro.errors import UserError
from recbole_micro.nn import fixed_graphs, item_graph
from recbole_micro.nn import knn as knn_module
from recbole_micro.nn.candidates import Candidates
from recbole_micro.training.experiment import build
from tests.support.tiny import QUICK, write_tiny

SIDES = ("crow", "col", "val", "t_crow", "t_col", "t_edge")


def same(one, other):
    return all(torch.equal(getattr(one, side), getattr(other, side)) for side in SIDES)


@pytest.fixture
def kept(monkeypatch):
    """Keep graphs of few items too, and count the searches."""
    searches = []
    original = knn_module.exact_candidates
    monkeypatch.setattr(knn_module, "KEPT_FROM", 0)
    monkeypatch.setattr(knn_module, "exact_candidates", lambda *a: searches.append(1) or original(*a))
    return searches


def features(n=80, d=6):
    generator = torch.Generator().manual_seed(2)
    values = torch.randn(n, d, generator=generator)
    values[3:9] = values[20]
    values[0] = 0
    return Modality(values, torch.arange(n) % 11 != 0)


@pytest.mark.parametrize("model", ["MICRO", "LATTICE", "FREEDOM", "MGCN", "DAMRS", "ContentKNN"])
def test_a_model_from_the_cache_is_the_same(model, kept, tmp_path):
    options = {**QUICK, "data_path": str(write_tiny(tmp_path)), "checkpoint_dir": str(tmp_path / "saved")}

    def built(**more):
        torch.manual_seed(0)
        return build(recbole_micro.Config(model, "tiny", config_dict={**options, **more})).model

    def graphs(built):
        lists = [value for value in vars(built).values() if isinstance(value, list)]
        modules = [module for module in built.modules() if isinstance(module, item_graph.ModalityGraph)]
        found = [graph for graphs in lists for graph in graphs] + [module.initial for module in modules]
        found += list(vars(built).values())
        return [graph for graph in found if isinstance(graph, nn.graph.Graph)]

    without = built(graph_cache=False)
    assert not (tmp_path / "tiny" / ".graphs").exists()
    made = built()
    count = len(kept)
    read = built()
    assert len(list((tmp_path / "tiny" / ".graphs").glob("*.npz"))) and len(kept) == count
    found = [graphs(one) for one in (without, made, read)]
    assert found[0] and len({len(one) for one in found}) == 1
    assert all(same(a, b) and same(b, c) for a, b, c in zip(*found, strict=True))


def test_a_cached_graph_that_is_none_is_searched_for(kept, tmp_path):
    modality, cache = features(), ArrayCache(tmp_path / "graphs")
    wanted = knn_module.knn(modality.values, 4, modality.mask)
    for wrong in (
        {"knn.col": np.array([10**6], dtype=np.int32)},
        {"knn.crow": np.zeros(3, dtype=np.int32)},
        {"knn.val": np.zeros(7, dtype=np.float64)},
    ):
        knn_module.knn(modality.values, 4, modality.mask, cache=cache)
        (path,) = cache.folder.glob("*.npz")
        with np.load(path) as file:
            arrays = {**file, **wrong}
        cache.keep(path, arrays)
        assert same(knn_module.knn(modality.values, 4, modality.mask, cache=cache), wanted)
        path.unlink()


def test_few_items_are_not_kept(tmp_path):
    modality, cache = features(), ArrayCache(tmp_path / "graphs")
    knn_module.knn(modality.values, 4, modality.mask, cache=cache)
    fixed_graphs.consistent_knn({"visual": modality}, 4, cache=cache)
    assert not cache.folder.exists()


@pytest.mark.parametrize("memory", [256.0, 0.02, 1e-5])
@pytest.mark.parametrize("clamp", [True, False])
def test_neighbours_among_candidates_are_the_nearest_of_these(memory, clamp):
    modality = features()
    wider = knn_module.knn(modality.values, 12, modality.mask, clamp_negative=False)
    among = Candidates(wider.crow, wider.col)
    other = torch.randn(80, 5, generator=torch.Generator().manual_seed(5))
    found = knn_module.knn(other, 4, modality.mask, clamp, memory, candidates=among).to_dense()
    cosine = torch.nn.functional.cosine_similarity(other[:, None].double(), other[None].double(), dim=-1)
    for row in range(80):
        columns = among.col[among.crow[row] : among.crow[row + 1]].tolist()
        best = sorted(columns, key=lambda j: (j != row, -cosine[row, j].item(), j))[:4]
        best = [j for j in best if cosine[row, j] > 0 or not clamp]
        assert sorted(best) == found[row].nonzero().flatten().tolist()
        assert torch.allclose(found[row, best].double(), cosine[row, best], atol=1e-6)


def test_all_items_as_candidates_change_nothing_and_fewer_do():
    modality = features()
    torch.manual_seed(1)
    free = item_graph.ModalityGraph(modality, 4, 5, graph_learning="edges")
    for count, equal in ((80, True), (6, False)):
        limited = item_graph.ModalityGraph(modality, 4, 5, graph_learning="edges", learned_candidates=count)
        limited.load_state_dict(free.state_dict())
        assert same(limited.initial, free.initial)
        assert same(limited.learned(), free.learned()) == equal
        raw = knn_module.knn(modality.values, count, modality.mask, clamp_negative=False).to_dense() != 0
        assert not (limited.learned().to_dense() != 0)[~raw].any()


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"learned_candidates": 2, "knn_k": 3}, "learned_candidates is 2, fewer than the 3 neighbours"),
        ({"learned_candidates": 9, "graph_learning": "off"}, "limits the learned graph"),
        ({"learned_candidates": 9, "lambda_coeff": 1.0}, "limits the learned graph"),
    ],
)
def test_mistakes(more, sentence, given):
    with pytest.raises(UserError, match=sentence):
        build(recbole_micro.Config("MICRO", "tiny", config_dict={**given, **more}))
