"""Explanations: shares against dense powers of the graphs, sums against scores, what models cannot say."""

import pytest
import torch
from recbole.data.interaction import Interaction

from recbole_micro import load, run
from recbole_micro.errors import UserError
from recbole_micro.inference.explain import Explainer, explain
from recbole_micro.models.score_parts import LinearParts, View
from tests.support import dense
from tests.support import world as worlds


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return dense.Bench(tmp_path_factory.mktemp("bench"))


def micro_shares(model, user):
    """alpha_i^m (A^m)^2_ij / |h_i| x_u . X_j by modality, [n_items, n_items], from the equations."""
    ids = model.backbone.item_embedding.weight
    power, views = {}, {}
    for name, graph in model.graphs.items():
        raw = dense.symmetric(dense.knn_graph(graph.raw, graph.mask, 4))
        learned = dense.affine(graph.transform, graph.raw)
        learned = dense.symmetric(dense.knn_graph(learned, graph.mask, 4))
        a = 0.7 * raw + 0.3 * learned
        power[name] = a @ a
        views[name] = power[name] @ ids
    h, alpha = model.fuse(views, model.present())
    readers = model.embeddings()[0][user, : ids.shape[1]] @ ids.T
    length = h.norm(dim=1, keepdim=True).clamp(min=1e-12)
    if model.scoring.score == "cosine":
        length = length * model.vectors()[1].norm(dim=1, keepdim=True).clamp(min=1e-12)
    return {m: alpha[:, [c]] * power[m] / length * readers for c, m in enumerate(views)}


def lattice_shares(model, user):
    """The same of the fused graph, by the modality of the step that arrives at the item."""
    ids, alpha = model.backbone.item_embedding.weight, model.item_graph.weight.softmax(0)
    raw, learned = [], []
    for graph in model.item_graph.graphs:
        raw.append(dense.symmetric(dense.knn_graph(graph.raw, graph.mask, 4)))
        learned.append(dense.knn_graph(dense.affine(graph.transform, graph.raw), graph.mask, 4))
    mixed = sum(weight * one for weight, one in zip(alpha, learned, strict=True))
    degree = mixed.sum(1)
    scale = torch.where(degree > 0, degree.clamp(min=1e-12).rsqrt(), 0)
    steps = [
        weight * (0.7 * first + 0.3 * scale[:, None] * second * scale)
        for weight, first, second in zip(alpha, raw, learned, strict=True)
    ]
    whole = sum(steps)
    length = (whole @ whole @ ids).norm(dim=1, keepdim=True).clamp(min=1e-12)
    readers = model.embeddings()[0][user] @ ids.T
    return {m: step @ whole / length * readers for m, step in zip(model.modalities, steps, strict=True)}


def freedom_shares(model, user):
    """w_m (S^m A)_ij x_u . X_j."""
    readers = model.embeddings()[0][user] @ model.backbone.item_embedding.weight.T
    whole = dense.frozen_graph(model, 4)
    weights = {"visual": 0.1, "textual": 0.9}
    return {
        m: weights[m]
        * dense.symmetric((dense.knn_graph(x, mask, 4, clamp=False) != 0).double())
        @ whole
        * readers
        for m, (x, mask) in model.modalities.items()
    }


CASES = {
    "MICRO by BPR": (micro_shares, dict(preset="bpr", knn_k=4, n_item_layers=2, lambda_coeff=0.7)),
    "MICRO": (micro_shares, dict(knn_k=4, n_item_layers=2, lambda_coeff=0.7, walk_weight=0.0)),
    "LATTICE": (lattice_shares, dict(knn_k=4, n_item_layers=2, lambda_coeff=0.7)),
    "FREEDOM": (freedom_shares, dict(knn_k=4, n_item_layers=2, edge_dropout=0.0)),
}


@pytest.mark.parametrize("name", CASES)
@torch.no_grad()
def test_shares_are_those_of_dense_powers_and_sum_to_the_score(bench, name):
    shares_of, options = CASES[name]
    model = bench.model(name.partition(" ")[0], **options).eval()
    explainer, user = Explainer(model, bench.data), 3
    expected = shares_of(model, user)
    scores = model.full_sort_predict(Interaction({"user_id": torch.tensor([user])}))
    user_token = bench.data.id2token("user_id", user)
    own = set(bench.data.id2token("item_id", model.train_item[model.train_user == user].numpy()))
    chosen = 0
    for item in (1, 9, 40, bench.item(dense.LACKS_VISUAL), bench.item(dense.LACKS_ALL)):
        token = bench.data.id2token("item_id", item)
        found = explainer.explain(user_token, token)
        assert (found.user, found.item) == (user_token, token)
        total = found.collaborative + sum(one.share for one in found.neighbours)
        assert total == pytest.approx(found.score, abs=1e-9)
        assert found.score == pytest.approx(scores[item].item(), abs=1e-5)
        pairs = {(one.modality, one.item) for one in found.neighbours}
        assert len(pairs) == len(found.neighbours)  # each once
        for modality, matrix in expected.items():
            by_item = torch.zeros(model.n_items, dtype=torch.float64)
            for one in found.neighbours:
                if one.modality == modality:
                    by_item[bench.data.token2id("item_id", one.item)] = one.share
                    assert one.chosen == (one.item in own)
                    assert one.hops == (0 if one.item == token else one.hops) and one.hops <= 2
                    chosen += one.chosen
            assert torch.allclose(by_item, matrix[item], atol=1e-6)
        sizes = [abs(one.share) for one in found.neighbours]
        assert sizes == sorted(sizes, reverse=True)
    assert chosen


@torch.no_grad()
def test_the_step_from_own_items_is_part_of_the_shares(bench):
    options = dict(knn_k=4, n_item_layers=2, lambda_coeff=0.7)
    model = bench.model("MICRO", walk_weight=4.0, walk_k=5, **options).eval()
    user, token = 3, bench.data.id2token("user_id", 3)
    whole = Explainer(model, bench.data)
    scores, walk = model.full_sort_predict(Interaction({"user_id": torch.tensor([user])})), model.walk
    for item in (1, 9, 40, bench.item(dense.LACKS_ALL)):
        found = whole.explain(token, bench.data.id2token("item_id", item))
        total = found.collaborative + sum(one.share for one in found.neighbours)
        assert total == pytest.approx(scores[item].item(), abs=1e-5)
        parts = model.score_parts().parts  # of the vectors alone
        known = {(one.modality, one.item): one for one in found.neighbours}
        assert len(known) == len(found.neighbours)
        added = walk.shares(user, item)
        collaborative = parts.collaborative(user, item) + float(added["collaborative"][1].sum())
        assert found.collaborative == pytest.approx(collaborative)
        for modality in parts.modalities:
            items, _, shares = parts.reached(modality, user, item)
            expected = torch.zeros(model.n_items, dtype=torch.float64).index_add(0, items, shares.double())
            expected.index_add_(0, *added[modality])
            for j, share in enumerate(expected.tolist()):
                one = known.get((modality, bench.data.id2token("item_id", j)))
                assert (one.share if one else 0.0) == pytest.approx(share, abs=1e-9)
                assert one is None or j not in added[modality][0] or (one.chosen and one.hops == 1)


def test_hops_are_the_shortest_way(bench):
    options = dict(knn_k=4, n_item_layers=2, lambda_coeff=0.7, walk_weight=0.0)
    model = bench.model("MICRO", **options).eval()
    found = Explainer(model, bench.data).explain(bench.data.id2token("user_id", 3), "i20")
    graphs = {m: graph.whole_graph().to_dense() != 0 for m, graph in model.graphs.items()}
    item = bench.item(20)
    for one in found.neighbours:
        j, graph = int(bench.data.token2id("item_id", one.item)), graphs[one.modality]
        assert one.hops == (0 if j == item else 1 if graph[item, j] else 2)
    assert {one.hops for one in found.neighbours} == {0, 1, 2}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    world = worlds.build(tmp_path_factory.mktemp("data"))
    saved = str(tmp_path_factory.mktemp("saved"))

    def of(model):
        return load(
            run(model, world.name, config_dict=world.config(epochs=1, checkpoint_dir=saved))["checkpoint"]
        )

    return of


@pytest.mark.parametrize("name, why", [("NeuMF", "reads no features"), ("BM3", "mixes features")])
def test_other_models_have_the_score_alone_and_say_so(trained, name, why):
    source = trained(name)
    found = explain(source.model, source.dataset, "u3", "i5")
    assert found.collaborative == found.score and found.neighbours == [] and found.modalities == {}
    assert found.note.startswith(f"{name} {why}")
    assert set(found.as_dict()) == {"user", "item", "score", "collaborative", "modalities", "neighbours"}


@pytest.mark.parametrize("user, item, words", [("zz", "i5", "no user zz"), ("u3", "zz", "no item zz")])
def test_unknown_ids_are_refused(bench, user, item, words):
    with pytest.raises(UserError, match=words):
        explain(bench.model("MICRO"), bench.data, user, item)
    with pytest.raises(UserError, match="PAD"):
        explain(bench.model("MICRO"), bench.data, "u3", "[PAD]")


def test_parts_that_do_not_sum_to_the_score_are_refused(bench, monkeypatch):
    model = bench.model("FREEDOM")

    def half():
        user, item = model.embeddings()
        return LinearParts(user, item, {"visual": View(item, torch.ones(len(item)))}, {})

    monkeypatch.setattr(model, "score_parts", half)
    with pytest.raises(UserError, match="The parts of FREEDOM's score of i5 for u3 sum to .*score_parts"):
        explain(model, bench.data, "u3", "i5")
