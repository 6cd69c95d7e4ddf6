"""MICRO against its equations, and when its graphs are learned, searched and kept."""

import copy

import pytest
import torch
from recbole.data.interaction import Interaction

from recbole_micro.nn import item_graph
from recbole_micro.nn.ops import propagate
from tests.models.shared import NUMBERS, LearnsInTheFirstBatch, ModelTests, SamplesEdges
from tests.support.dense import (
    LACKS_ALL,
    LACKS_VISUAL,
    MODALITIES,
    affine,
    half_squares,
    interactions,
    knn_graph,
    lightgcn,
    ngcf,
    symmetric,
    unit,
)


class TestMICRO(LearnsInTheFirstBatch, SamplesEdges, ModelTests):
    """The reference has dense matrices and takes the model's parameters, none of its graphs."""

    name = "MICRO"
    small = dict(
        ranking_loss="bpr",
        softmax_items=1 << 20,  # all, so that none are drawn
        score="dot",
        score_tau=1.0,
        item_bias=False,
        history_weight=0.0,
        history_power=0.0,
        support_power=0.0,
        knn_k=4,
        n_ui_layers=2,
        n_item_layers=2,
        lambda_coeff=0.7,
        beta=0.1,
        contrast_scope="batch",
        contrast_items=0,
        edge_dropout=0.0,
        reg_weight=0.01,
    )
    cases = {
        "MF": dict(cf_model="MF"),
        "NGCF": dict(cf_model="NGCF", adjacency="mean_self_loop"),
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
        "contrast over all items": dict(contrast_scope="all"),
        "no contrast": dict(beta=0.0),
        "contrast of a few items": dict(contrast_items=7),
        "L2 on the ID embeddings": dict(reg_on="ego"),
        "negatives kept": dict(clamp_negative=False, knn_k=60, n_item_layers=1),
        "trained features": dict(freeze_features=False, graph_learning="step"),
    }
    band = (0.35, 1.0)
    world = dict(train_batch_size=128)
    shipped = dict(ranking_loss="softmax", score="cosine", score_tau=0.3, item_bias=True)
    shipped |= dict(history_weight=0.7, history_power=0.5)
    cases |= {
        "attention with support": dict(support_power=1.5),
        "softmax": dict(ranking_loss="softmax", score_tau=0.5),
        "cosine": dict(score="cosine", score_tau=0.2),
        "bias of the items": dict(item_bias=True, score_tau=0.4),
        "own items of the users": dict(history_weight=0.5),
        "the shipped ranking": shipped,
        "the shipped ranking, contrast of a few items": dict(shipped, contrast_items=7),
        "the shipped ranking without an item graph": dict(shipped, knn_k=0),
        "the shipped ranking, contrast over all items": dict(shipped, contrast_scope="all"),
        "the shipped ranking, L2 on the ID embeddings": dict(shipped, reg_on="ego"),
    }

    def make(self, bench, modalities=("visual", "textual"), **options):
        """NGCF drops nothing out, so that training can be held against the reference."""
        model = super().make(bench, modalities, **options)
        if options.get("cf_model") == "NGCF":
            model.backbone.dropout.p = 0.0
        return model

    def views(self, model, knn_k, n_item_layers, lambda_coeff, **options):
        """Eq. 1-6: h^m of every modality."""
        share = 1.0 if options.get("graph_learning") == "off" else lambda_coeff
        clamp, ids, views = options.get("clamp_negative", True), model.backbone.item_embedding.weight, {}
        for name, graph in model.graphs.items():
            transformed = affine(graph.transform, graph.raw)
            if options.get("item_view") == "features":
                views[name] = transformed * graph.mask[:, None]
                continue
            initial = symmetric(knn_graph(model.modalities[name].values, graph.mask, knn_k, clamp))
            learned = symmetric(knn_graph(transformed, graph.mask, knn_k, clamp))
            a = share * initial + (1 - share) * learned
            h = transformed if options.get("item_input") == "features" else ids
            for _ in range(n_item_layers):
                h = a @ h
            views[name] = h
        return views

    def prior(self, model, support_power):
        """support_power times the log of the share of a graph's edges whose items some user has both of."""
        logits, r = {}, interactions(model)
        for name, graph in model.graphs.items():
            kept = [
                bool((r[:, i] * r[:, j]).any())
                for i, row in enumerate(graph.initial.to_dense())
                for j in row.nonzero()[:, 0].tolist()
                if i != j
            ]
            assert kept
            logits[name] = support_power * torch.tensor(sum(kept) / len(kept)).log()
        return logits

    def fuse(self, model, views, support_power, **options):
        """Eq. 7-9, item by item, over the modalities that the item has."""
        prior = self.prior(model, support_power)
        linear, _, query = model.attention
        rows = []
        for i in range(model.n_items):
            here = [name for name in views if model.graphs[name].mask[i]]
            has = [views[name][i] for name in here]
            weight = [
                query.weight[0] @ torch.tanh(linear.weight @ views[name][i] + linear.bias) + prior[name]
                for name in here
            ]
            share = torch.stack(weight).softmax(0) if has else ()
            nothing = torch.zeros(linear.weight.shape[1])
            rows.append(sum((a * view for a, view in zip(share, has, strict=True)), nothing))
        return torch.stack(rows)

    def backbone(self, model, cf_model="LightGCN", **options):
        how = options.get("adjacency", model.backbone.adjacency if cf_model != "MF" else None)
        if cf_model == "MF":
            return model.backbone.user_embedding.weight, model.backbone.item_embedding.weight
        return (ngcf if cf_model == "NGCF" else lightgcn)(model, options["n_ui_layers"], how)

    def vectors(self, model, knn_k, **options):
        """Eq. 13, before users and items are compared."""
        user, item = self.backbone(model, **options)
        if not knn_k:
            return user, item
        return user, item + unit(self.fuse(model, self.views(model, knn_k, **options), **options))

    def score(self, model, user, item, items, score, score_tau, **options):
        """Scores [n, n_items] of users' vectors [n, d], and the vectors that they are dot products of."""
        if score == "cosine":
            user, item = unit(user), unit(item)
        if options["item_bias"]:
            user = torch.cat([user, torch.ones(len(user), 1)], 1)
            item = torch.cat([item, score_tau * model.scoring.bias[items, None]], 1)
        return user, item

    def own(self, model, history_power):
        """What each user's own items count, [n_users, n_items]."""
        r = interactions(model)
        return r * r.sum(0).clamp(min=1) ** -history_power

    def forward(self, model, history_weight, history_power, **options):
        user, item = self.vectors(model, **options)
        user = user + history_weight * unit(self.own(model, history_power) @ item)
        return self.score(model, user, item, slice(None), **options)

    def contrast(self, model, positives, contrast_scope="batch", contrast_form="paper", **options):
        """Eq. 10-12 by a double loop; `official`: one direction, summed over modalities."""
        views = self.views(model, **options)
        fused = self.fuse(model, views, **options)
        # Softmax compares with all items here, so that these are the batch's own.
        everything = contrast_scope == "all" or options["ranking_loss"] == "softmax"
        scope = range(1, model.n_items) if everything else sorted(set(positives.tolist()))
        if contrast_scope == "batch" and options["contrast_items"]:
            scope = scope[: options["contrast_items"]]

        def information(a, b, among):
            """I(a_i, b_i) of the items `among`, by Eq. 11's double loop."""
            to_b, to_a = ((unit(a) @ unit(x).T / model.tau).exp() for x in (b, a))
            values = []
            for i in among:
                negative = sum(to_b[i, j] + to_a[i, j] for j in among if j != i)
                values.append((to_b[i, i] / (to_b[i, i] + negative)).log())
            return values

        terms = {}  # item -> its modalities' terms
        per_modality = []
        for modality, h in views.items():
            among = [i for i in scope if model.graphs[modality].mask[i]]
            forth, back = information(h, fused, among), information(fused, h, among)
            per_modality.append(sum(forth) / len(forth))
            for i, one, other in zip(among, forth, back, strict=True):
                terms.setdefault(i, []).append(0.5 * (one + other))
        if contrast_form == "official":
            return -sum(per_modality)
        return -sum(sum(values) / len(values) for values in terms.values()) / len(terms)

    def ranking(self, model, user, item, triples, history_weight, history_power, ranking_loss, **options):
        """The ranking loss, triple by triple; the positive is none of the user's own items."""
        terms = []
        for u, i, j in triples:
            own = self.own(model, history_power)[u]
            others = own.clone()
            others[i] = 0
            asking = user[u] + history_weight * unit(others[None] @ item)[0]
            ends = self.score(model, asking[None], item, slice(None), **options)
            logits = (ends[0] @ ends[1].T)[0] / options["score_tau"]
            if ranking_loss == "bpr":
                terms.append(-(logits[i] - logits[j]).sigmoid().log())
                continue
            among = [k for k in range(1, model.n_items) if k == i or not own[k]]
            terms.append(logits[among].exp().sum().log() - logits[i])
        return sum(terms) / len(terms)

    def losses(self, model, batch, beta, reg_weight, reg_on="propagated", **options):
        users, positives, negatives = batch["user_id"], batch["item_id"], batch["neg_item_id"]
        user, item = self.vectors(model, **options)
        triples = zip(users.tolist(), positives.tolist(), negatives.tolist(), strict=True)
        loss = self.ranking(model, user, item, triples, **options)
        contrast = torch.zeros(())
        if options["knn_k"] and beta:
            contrast = beta * self.contrast(model, positives, **options)
        if reg_on == "ego":
            user, item = model.backbone.user_embedding.weight, model.backbone.item_embedding.weight
        if options["ranking_loss"] == "softmax":
            negatives = torch.arange(1, model.n_items)
        squares = half_squares(user[users], item[positives], item[negatives])
        return loss, contrast, reg_weight * squares / len(users)

    def test_softmax_compares_with_distinct_items_that_are_drawn_anew(self, bench):
        model = self.make(bench, ranking_loss="softmax", softmax_items=12)
        drawn = [model.shared_items() for _ in range(400)]
        assert all(len(items.unique()) == len(items) == 12 for items in drawn)
        counts = torch.cat(drawn).bincount(minlength=model.n_items)
        assert counts[0] == 0, "the padding item is drawn"
        expected = 400 * 12 / (model.n_items - 1)
        assert len(counts) == model.n_items and (counts[1:] > 0).all()
        assert ((counts[1:] - expected).abs() < 6 * expected**0.5).all()

    def test_the_item_asked_for_is_not_among_the_users_own(self, bench):
        """Its own vector would answer: of a user with one item, training sees none, evaluation that one."""
        model = self.make(bench, **self.shipped)
        scoring, item = model.scoring, model.vectors()[1].detach()
        own = scoring.own_items(torch.tensor([1, 2]))
        weight = scoring.weight[:, None].double()
        user = torch.zeros(2, item.shape[1], dtype=item.dtype)
        kept = torch.stack([own.col[own.row == row][0].long() for row in (0, 1)])
        own64 = own.with_values(own.val.to(item.dtype))
        without = scoring.with_history(user, propagate(own64, item) - (weight * item)[kept])
        for row in (0, 1):
            rest = [j for j in own.col[own.row == row].tolist() if j != kept[row]]
            expected = 0.7 * unit((weight * item)[rest].sum(0, keepdim=True))[0]
            assert torch.allclose(without[row], expected, atol=1e-6)

    @pytest.mark.parametrize(
        "options", [shipped, dict(history_weight=0.0), dict(shipped, ranking_loss="bpr")]
    )
    def test_a_step_with_the_items_it_needs_equals_one_with_all(self, bench, monkeypatch, options):
        model = self.make(bench, **options)
        batch, found = bench.batch(model), []
        for every in (True, False):
            monkeypatch.setattr(model, "reads_most", lambda users, every=every: every)
            model.start_epoch()
            model.zero_grad()
            loss = sum(model.train().calculate_loss(batch))
            loss.backward()
            found.append((loss, [p.grad for p in model.parameters() if p.grad is not None]))
        torch.testing.assert_close(*found, rtol=1e-4, atol=1e-6)

    def test_contrast_over_all_items_with_one_modality_equals_the_dense_reference(self, bench):
        self.agree(bench, ("visual",), dict(contrast_scope="all", knn_k=3))

    def test_attention_runs_over_the_modalities_an_item_has(self, bench):
        model = self.make(bench, MODALITIES)
        lacks_visual, lacks_all = bench.item(LACKS_VISUAL), bench.item(LACKS_ALL)
        fused, alpha = model.fuse(model.modality_views(), model.present())
        assert torch.allclose(alpha.sum(1)[[lacks_visual, 1]], torch.ones(2, dtype=alpha.dtype))
        assert alpha[lacks_visual, 0] == 0
        assert not alpha[[0, lacks_all]].any() and not fused[[0, lacks_all]].any()

    @torch.no_grad()
    def test_scores_have_a_step_from_the_users_items_beside_the_vectors(self, bench):
        options = {**self.small, "score_tau": 0.5, "support_power": 1.5}
        model = self.make(bench, MODALITIES, **options, walk_weight=3.0, walk_k=4).eval()
        own = interactions(model)
        shared, n = own.T @ own, own.sum(0)
        cosines = shared / ((n[:, None] * n).sqrt() + 20)
        best = cosines.fill_diagonal_(0).float().sort(dim=1, descending=True, stable=True).indices[:, :4]
        nearest = torch.zeros_like(cosines).scatter(1, best, 1.0) * cosines
        features = torch.zeros_like(cosines)
        for share, part in zip(model.prior.softmax(0), model.modalities.values(), strict=True):
            features += share * knn_graph(part.values, part.mask, 5).fill_diagonal_(0)
        expected = self.make(bench, MODALITIES, **options, walk_weight=0.0).eval()
        expected.load_state_dict(model.state_dict())
        users = torch.arange(1, model.n_users)
        scores = expected.full_sort_predict(Interaction({"user_id": users})).view(len(users), -1)
        for graph in (nearest, features):
            handed = graph / graph.sum(0).clamp(min=1e-12)
            scores += 3.0 * 0.5 * (own @ handed.T / own.sum(1, keepdim=True).clamp(min=1))[1:].sqrt()
        found = model.full_sort_predict(Interaction({"user_id": users})).view(len(users), -1)
        assert torch.allclose(found, scores, atol=1e-6)

    def moved(self, bench, model, steps=4):
        """Per step of an epoch, whether each modality's feature transform moved."""
        optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
        model.train()
        found = []
        for _ in range(steps):
            before = [g.transform.weight.clone() for g in model.graphs.values()]
            optimizer.zero_grad()
            sum(model.calculate_loss(bench.batch(model))).backward()
            optimizer.step()
            after = [g.transform.weight for g in model.graphs.values()]
            found.append([not torch.equal(a, b) for a, b in zip(before, after, strict=True)])
        return found

    def test_the_default_graph_learning_moves_every_transform_in_the_first_batch(self, bench):
        assert all(self.moved(bench, self.make(bench), steps=1)[0])

    @pytest.mark.parametrize(
        "mode, when",
        [
            ("first_batch", [True, False]),
            ("edges", [True, True]),
            ("step", [True, True]),
            ("off", [False, False]),
        ],
    )
    def test_when_the_learned_graph_gets_a_gradient(self, bench, mode, when):
        moved = self.moved(bench, self.make(bench, graph_learning=mode), len(when))
        assert [all(step) for step in moved] == when and [any(step) for step in moved] == when

    def test_evaluation_rebuilds_the_learned_graph_from_the_current_weights(self, bench):
        options = {**self.small, "lambda_coeff": 0.0}
        model = self.make(bench, **options)
        self.moved(bench, model)
        model.eval()
        user, item = model.embeddings()
        assert torch.allclose(item, self.forward(model, **options)[1], atol=1e-6)
        assert model.embeddings()[0] is user, "one forward an evaluation"
        with torch.no_grad():
            for graph in model.graphs.values():
                graph.transform.weight.copy_(torch.randn_like(graph.transform.weight))
        model.load_state_dict(model.state_dict())
        changed = model.embeddings()[1]
        assert not torch.allclose(changed, item)
        assert torch.allclose(changed, self.forward(model, **options)[1], atol=1e-6)

    @pytest.mark.parametrize("dynamic", [False, True])
    def test_the_negatives_of_an_epoch_are_chosen_by_one_forward_pass(self, bench, dynamic):
        model = self.make(bench)
        passes, scores, fresh = [], [], []
        forward = model.forward
        model.forward = lambda: passes.append(model.training) or forward()
        for epoch in range(3):
            model.train()  # Trainer._train_epoch
            for _ in range(4):
                if dynamic:  # recbole.data.dataloader.abstract_dataloader
                    with model.choosing_negatives():
                        model.eval()
                        scores.append(model.predict(bench.batch(model)))
                        model.train()
                model.batch(bench.batch(model))
                model.backbone.item_embedding.weight.data.mul_(1.1)
            if epoch:  # eval_step: no evaluation after the first epoch
                model.eval()
                fresh.append(model.predict(bench.batch(model)))
        assert passes == [False] * (5 if dynamic else 2)
        if dynamic:
            epochs = torch.stack(scores).view(3, 4, -1)
            assert all(torch.equal(one, epoch[0]) for epoch in epochs for one in epoch)
            assert not torch.allclose(epochs[0, 0], epochs[1, 0])
            assert not any(torch.allclose(now, then) for now, then in zip(fresh, epochs[1:, 0], strict=True))

    def test_neighbours_are_searched_once_for_each_state_of_the_transform(self, bench, monkeypatch):
        """Training's first batch, negatives and evaluation share a search until the optimiser moves W."""
        model = self.make(bench, NUMBERS["two"], graph_learning="first_batch")
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
                model.predict(bench.batch(model))
                model.train()
            for _ in range(3):
                optimizer.zero_grad()
                sum(model.calculate_loss(bench.batch(model))).backward()
                optimizer.step()
            model.eval()
            scores = model.predict(bench.batch(model))
            twin = copy.deepcopy(model)
            for graph in twin.graphs.values():
                graph.last_search = None
            twin.cache = None
            assert torch.equal(scores, twin.predict(bench.batch(model)))
        of_twins = 2 * torch.arange(3)
        # Two modalities, two states, then one more.
        assert (torch.tensor(found) - of_twins).tolist() == [0, 4, 6]
