"""MICRO's forward, losses and gradients against a dense float64 reference written from the equations."""

import copy

import pytest
import torch
from recbole.data import create_dataset, data_preparation
from recbole.data.interaction import Interaction
from torch.nn.functional import leaky_relu, normalize

from recbole_micro import Config
from recbole_micro.models.micro import MICRO
from recbole_micro.nn import item_graph
from tests.support import dense
from tests.support import world as worlds

SMALL = dict(
    embedding_size=6,
    knn_k=4,
    n_ui_layers=2,
    n_item_layers=2,
    lambda_coeff=0.7,
    beta=0.1,
    edge_dropout=0.0,
    reg_weight=0.01,
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """The world with three modalities; item 3 lacks one of them, item 5 lacks all."""
    missing = {("visual", 3), ("visual", 5), ("textual", 5), ("audio", 5)}
    return tmp_path_factory.mktemp("data"), ("visual", "textual", "audio"), missing


@pytest.fixture(scope="module")
def prepared(data):
    world = worlds.build(data[0], 0, data[1], missing=data[2])
    config = Config("MICRO", "world", config_dict=world.config())
    return config, data_preparation(config, create_dataset(config))[0]


def make(prepared, modalities=("visual", "textual"), **options) -> MICRO:
    config, train_data = copy.deepcopy(prepared[0]), prepared[1]
    for key, value in {**SMALL, "modalities": list(modalities), **options}.items():
        config[key] = value
    torch.manual_seed(0)
    model = MICRO(config, train_data._dataset).double()
    model.lacking = train_data._dataset.token2id("item_id", ["i3", "i5"]).tolist()
    return model


def batch_of(model, n=12):
    """`n` training triples, among their positives the items that lack one and all of the modalities."""
    generator = torch.Generator().manual_seed(5)
    lacking = [(model.train_item == item).nonzero()[0] for item in model.lacking]
    picks = torch.cat([*lacking, torch.randperm(len(model.train_user), generator=generator)])[:n]
    users, positives = model.train_user[picks], model.train_item[picks]
    negatives = torch.randint(1, model.n_items, (n,), generator=generator)
    return Interaction({"user_id": users, "item_id": positives, "neg_item_id": negatives})


class Reference:
    """The paper's equations with dense matrices; takes the model's parameters, none of its graphs."""

    def __init__(self, model, options):
        self.model, self.o = model, {**dict(lambda_coeff=0.7, cf_model="LightGCN"), **SMALL, **options}
        self.ids = model.backbone.user_embedding.weight, model.backbone.item_embedding.weight

    def knn_graph(self, x, mask):
        """Eq. 1-3: cosine, k largest of each row (itself first, then lower index), clamped, normalised."""
        clamp = self.o.get("clamp_negative", True)
        return dense.symmetric(dense.knn_graph(x, mask, self.o["knn_k"], clamp))

    def adjacency(self):
        return dense.adjacency(self.model, self.o.get("adjacency", self.model.backbone.adjacency))

    def backbone(self):
        if self.o["cf_model"] == "MF":
            return self.ids
        x, a = torch.cat(self.ids), self.adjacency()
        layers = [x]
        for layer in range(2):
            side = a @ x
            if self.o["cf_model"] == "LightGCN":
                x = side
                layers.append(x)
                continue
            first = self.model.backbone.sum_transform[layer]
            second = self.model.backbone.product_transform[layer]
            x = leaky_relu(side @ first.weight.T + first.bias) + leaky_relu(
                (x * side) @ second.weight.T + second.bias
            )
            layers.append(normalize(x, dim=1))
        return torch.stack(layers).mean(0).split([self.model.n_users, self.model.n_items])

    def features(self, modality):
        graph = self.model.graphs[modality]
        return graph.raw @ graph.transform.weight.T + graph.transform.bias

    def views(self):
        views = {}
        for modality, graph in self.model.graphs.items():
            transformed = self.features(modality)
            if self.o.get("item_view") == "features":
                views[modality] = transformed * graph.mask[:, None]
                continue
            initial = self.knn_graph(self.model.modalities[modality].values.double(), graph.mask)
            share = self.o["lambda_coeff"]
            a = share * initial + (1 - share) * self.knn_graph(transformed, graph.mask)  # Eq. 5
            h = transformed if self.o.get("item_input") == "features" else self.ids[1]
            for _ in range(self.o["n_item_layers"]):
                h = a @ h
            views[modality] = h
        return views

    def fuse(self, views):
        """Eq. 7-9, item by item, over the modalities the item has."""
        linear, _, query = self.model.attention
        rows = []
        for i in range(self.model.n_items):
            has = [m for m in views if self.model.graphs[m].mask[i]]
            if not has:
                rows.append(torch.zeros_like(self.ids[1][i]))
                continue
            w = torch.stack(
                [query.weight[0] @ torch.tanh(linear.weight @ views[m][i] + linear.bias) for m in has]
            )
            rows.append(sum(a * views[m][i] for a, m in zip(w.softmax(0), has, strict=True)))
        return torch.stack(rows)

    def forward(self):
        user, item = self.backbone()
        if not self.o["knn_k"] or self.o.get("item_view") == "none":
            return user, item
        fused = self.fuse(self.views())
        length = fused.norm(dim=1, keepdim=True)
        return user, item + torch.where(length > 0, fused / length.clamp(min=1e-30), 0.0)

    def contrast(self, positives):
        """Eq. 10-12 by a double loop; `official`: one direction, summed over modalities."""
        views = self.views()
        fused, tau = self.fuse(views), self.model.tau
        everything = self.o.get("contrast_scope") == "all"
        scope = range(1, self.model.n_items) if everything else sorted(set(positives.tolist()))

        def information(a, b, among):
            """I(a_i, b_i) of the items `among`, by Eq. 11's double loop."""
            to_b, to_a = ((normalize(a, dim=1) @ normalize(x, dim=1).T / tau).exp() for x in (b, a))
            values = []
            for i in among:
                negative = sum(to_b[i, j] + to_a[i, j] for j in among if j != i)
                values.append((to_b[i, i] / (to_b[i, i] + negative)).log())
            return values

        terms = {}  # item -> its modalities' terms
        per_modality = []
        for modality, h in views.items():
            among = [i for i in scope if self.model.graphs[modality].mask[i]]
            forth, back = information(h, fused, among), information(fused, h, among)
            per_modality.append(sum(forth) / len(forth))
            for i, one, other in zip(among, forth, back, strict=True):
                terms.setdefault(i, []).append(0.5 * (one + other))
        if self.o.get("contrast_form") == "official":
            return -sum(per_modality)
        return -sum(sum(values) / len(values) for values in terms.values()) / len(terms)

    def losses(self, batch):
        user, item = self.forward()
        users, positives, negatives = batch["user_id"], batch["item_id"], batch["neg_item_id"]
        u, p, n = user[users], item[positives], item[negatives]
        bpr = -((u * p).sum(1) - (u * n).sum(1)).sigmoid().log().mean()
        if self.o.get("reg_on") == "ego":
            u, p, n = self.ids[0][users], self.ids[1][positives], self.ids[1][negatives]
        l2 = (
            self.o["reg_weight"] * 0.5 * (u.square().sum() + p.square().sum() + n.square().sum()) / len(users)
        )
        plain = not self.o["knn_k"] or self.o.get("item_view") == "none"
        contrast = 0.0 if plain or not self.o["beta"] else self.o["beta"] * self.contrast(positives)
        return bpr, contrast, l2


CASES = {
    "LightGCN": {},
    "MF": dict(cf_model="MF"),
    "NGCF": dict(cf_model="NGCF", adjacency="mean_self_loop"),
    "three modalities": dict(modalities=("visual", "textual", "audio")),
    "one modality": dict(modalities=("textual",)),
    "learned every step": dict(graph_learning="step"),
    "learned edges": dict(graph_learning="edges", lambda_coeff=0.2),
    "initial graphs alone": dict(graph_learning="off"),
    "learned graphs alone": dict(lambda_coeff=0.0),
    "no item layers": dict(n_item_layers=0),
    "five item layers": dict(n_item_layers=5),
    "plain backbone": dict(knn_k=0, adjacency="mean"),
    "features added": dict(item_view="features", beta=0.0),
    "features in the graph": dict(item_input="features"),
    "official contrast": dict(contrast_form="official"),
    "contrast over all items": dict(contrast_scope="all", modalities=("visual",), knn_k=3),
    "no contrast": dict(beta=0.0),
    "L2 on the ID embeddings": dict(reg_on="ego"),
    "negatives kept": dict(clamp_negative=False, knn_k=60, n_item_layers=1),
    "trained features": dict(freeze_features=False, graph_learning="step"),
}


@pytest.mark.parametrize("case", CASES)
def test_forward_losses_and_gradients_equal_the_dense_reference(prepared, case):
    options = dict(CASES[case])
    modalities = options.pop("modalities", ("visual", "textual"))
    model = make(prepared, modalities, **options)
    if options.get("cf_model") == "NGCF":
        model.backbone.dropout.p = 0.0
    options["lambda_coeff"] = (
        1.0 if options.get("graph_learning") == "off" else options.get("lambda_coeff", 0.7)
    )
    reference, batch = Reference(model, options), batch_of(model)
    model.train()
    for ours, expected in zip(model(), reference.forward(), strict=True):
        assert torch.allclose(ours, expected, atol=1e-6)
    model.start_epoch()
    ours, expected = model.calculate_loss(batch), reference.losses(batch)
    for got, value in zip(ours, expected, strict=True):
        assert got.item() == pytest.approx(torch.as_tensor(value).item(), rel=1e-5, abs=1e-9)
    names, parameters = zip(*model.named_parameters(), strict=True)
    got = torch.autograd.grad(sum(ours), parameters, allow_unused=True)
    expected = torch.autograd.grad(sum(expected), parameters, allow_unused=True)
    for name, a, b in zip(names, got, expected, strict=True):
        zero = torch.zeros((), dtype=torch.float64)
        a, b = zero if a is None else a, zero if b is None else b
        assert torch.allclose(a, b, atol=1e-5 * max(1.0, float(b.abs().max()))), name


def test_attention_runs_over_the_modalities_an_item_has(prepared):
    model = make(prepared, ("visual", "textual", "audio"))
    lacks_visual, lacks_all = prepared[1]._dataset.token2id("item_id", ["i3", "i5"])
    fused, alpha = model.fuse(model.modality_views(), model.present())
    assert torch.allclose(alpha.sum(1)[[lacks_visual, 1]], torch.ones(2, dtype=alpha.dtype))
    assert alpha[lacks_visual, 0] == 0 and not alpha[[0, lacks_all]].any() and not fused[[0, lacks_all]].any()
    assert all(torch.isfinite(part).all() for part in model())


def epoch_losses(model, steps=4):
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    model.train()
    moved = []
    for _ in range(steps):
        before = [g.transform.weight.clone() for g in model.graphs.values()]
        optimizer.zero_grad()
        sum(model.calculate_loss(batch_of(model))).backward()
        optimizer.step()
        after = [g.transform.weight for g in model.graphs.values()]
        moved.append([not torch.equal(a, b) for a, b in zip(before, after, strict=True)])
    return moved


def test_the_default_graph_learning_moves_the_feature_transform(prepared):
    config = prepared[0]
    moved = epoch_losses(make(prepared, graph_learning=config["graph_learning"]))
    assert all(moved[0]), "every modality's W_m gets a gradient in the first batch"


@pytest.mark.parametrize(
    "mode, when", [("first_batch", [True, False]), ("edges", [True, True]), ("step", [True, True])]
)
def test_when_the_learned_graph_gets_a_gradient(prepared, mode, when):
    moved = epoch_losses(make(prepared, graph_learning=mode), steps=2)
    assert [all(step) for step in moved] == when and [any(step) for step in moved] == when


def test_later_batches_keep_the_graph_of_the_first(prepared):
    options = dict(graph_learning="first_batch", lambda_coeff=0.3)
    model = make(prepared, **options).train()
    reference, batch = Reference(model, options), batch_of(model)
    for _ in range(3):
        for got, value in zip(model.calculate_loss(batch), reference.losses(batch), strict=True):
            assert got.item() == pytest.approx(torch.as_tensor(value).item(), rel=1e-5, abs=1e-9)


def test_each_epoch_trains_on_a_fresh_share_of_the_edges(prepared):
    model, seen = make(prepared, edge_dropout=0.75), []
    for _ in range(2):
        model.start_epoch()
        model.train()
        model.calculate_loss(batch_of(model))
        seen.append(model.backbone.sampled.col)
    assert len(seen[0]) == 2 * round(0.25 * len(model.train_user)) and not torch.equal(*seen)


def test_off_is_the_initial_graphs_alone(prepared):
    moved = epoch_losses(make(prepared, graph_learning="off"))
    assert not any(any(step) for step in moved)


def test_evaluation_rebuilds_the_learned_graph_from_the_current_weights(prepared):
    model = make(prepared, lambda_coeff=0.0)
    epoch_losses(model)
    model.eval()
    user, item = model.embeddings()
    assert torch.allclose(item, Reference(model, dict(lambda_coeff=0.0)).forward()[1], atol=1e-6)
    assert model.embeddings()[0] is user, "one forward an evaluation"
    with torch.no_grad():
        for graph in model.graphs.values():
            graph.transform.weight.copy_(torch.randn_like(graph.transform.weight))
    model.load_state_dict(model.state_dict())
    changed = model.embeddings()[1]
    assert not torch.allclose(changed, item)
    assert torch.allclose(changed, Reference(model, dict(lambda_coeff=0.0)).forward()[1], atol=1e-6)


def test_predict_equals_full_sort_predict(prepared):
    model = make(prepared).eval()
    users = torch.arange(1, 5)
    full = model.full_sort_predict(Interaction({"user_id": users})).view(4, -1)
    items = torch.tensor([1, 9, 20, 40])
    assert torch.allclose(
        model.predict(Interaction({"user_id": users, "item_id": items})), full[range(4), items]
    )


def test_a_copy_scores_the_same_and_the_state_holds_parameters_only(prepared):
    model = make(prepared, edge_dropout=0.5)
    epoch_losses(model)
    twin = copy.deepcopy(model).eval()
    assert all(torch.equal(a, b) for a, b in zip(twin.embeddings(), model.eval().embeddings(), strict=True))
    assert set(model.state_dict()) == {name for name, _ in model.named_parameters()}
    assert not any("raw" in name for name in model.state_dict())
    trained = make(prepared, freeze_features=False)
    assert "graphs.visual.raw" in trained.state_dict()


@pytest.mark.parametrize("dynamic", [False, True])
def test_the_negatives_of_an_epoch_are_chosen_by_one_forward_pass(prepared, dynamic):
    model = make(prepared)
    passes, scores, fresh = [], [], []
    forward = model.forward
    model.forward = lambda: passes.append(model.training) or forward()
    for epoch in range(3):
        model.train()  # Trainer._train_epoch
        for _ in range(4):
            if dynamic:  # recbole.data.dataloader.abstract_dataloader
                with model.choosing_negatives():
                    model.eval()
                    scores.append(model.predict(batch_of(model)))
                    model.train()
            model.batch(batch_of(model))
            model.backbone.item_embedding.weight.data.mul_(1.1)
        if epoch:  # eval_step: no evaluation after the first epoch
            model.eval()
            fresh.append(model.predict(batch_of(model)))
    assert passes == [False] * (5 if dynamic else 2)
    if dynamic:
        epochs = torch.stack(scores).view(3, 4, -1)
        assert all(torch.equal(one, epoch[0]) for epoch in epochs for one in epoch)
        assert not torch.allclose(epochs[0, 0], epochs[1, 0])
        assert not any(torch.allclose(now, then) for now, then in zip(fresh, epochs[1:, 0], strict=True))


def test_neighbours_are_searched_once_for_each_state_of_the_transform(prepared, monkeypatch):
    """Training's first batch, negatives and evaluation share a search until an optimiser's step moves W."""
    model = make(prepared, graph_learning="first_batch")
    searches, knn = [], item_graph.knn
    monkeypatch.setattr(item_graph, "knn", lambda *args, **more: searches.append(1) or knn(*args, **more))
    optimizer = torch.optim.Adam(model.parameters())
    found = []
    for _ in range(3):
        found.append(len(searches))
        model.start_epoch()
        model.train()
        with model.choosing_negatives():
            model.eval()
            model.predict(batch_of(model))
            model.train()
        for _ in range(3):
            optimizer.zero_grad()
            sum(model.calculate_loss(batch_of(model))).backward()
            optimizer.step()
        model.eval()
        scores = model.predict(batch_of(model))
        twin = copy.deepcopy(model)
        for graph in twin.graphs.values():
            graph.last_search = None
        twin.cache = None
        assert torch.equal(scores, twin.predict(batch_of(model)))
    of_twins = 2 * torch.arange(3)
    assert (torch.tensor(found) - of_twins).tolist() == [0, 4, 6]  # two modalities, two states, then one more


def test_autocast_keeps_the_loss(prepared):
    model = make(prepared).float().train()
    full = model.calculate_loss(batch_of(model))
    model.start_epoch()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = model.calculate_loss(batch_of(model))
    for a, b in zip(full, half, strict=True):
        assert a.item() == pytest.approx(b.item(), rel=0.05)
    sum(half).backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
