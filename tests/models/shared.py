"""What every model must do; a test class per model inherits it."""

import copy

import pytest
import torch
from recbole.data.interaction import Interaction

import recbole_micro
from recbole_micro.models import without_epochs
from recbole_micro.training import quick_start
from tests.support import dense
from tests.support import world as worlds

CHANCE = 1 / (worlds.VISUAL * worlds.TEXTUAL)
NUMBERS = {"one": ("textual",), "two": ("visual", "textual"), "three": dense.MODALITIES}


class Shared:
    """What models with epochs and models without have in common.  Set `name`.

    `cases`: options by name, each held against the reference; `small`: options of all of them.  `world`:
    options for training on the synthetic world; `band`: Recall on items without interactions after it
    (chance is 1 / 12); `reads_features`: whether the score of such an item comes from its features.
    """

    name: str
    cases: dict[str, dict] = {}
    small: dict = {}
    world: dict = {}
    band = (0.0, 1.0)
    reads_features = True

    def pytest_generate_tests(self, metafunc):
        if "case" in metafunc.fixturenames:
            metafunc.parametrize("case", ["defaults", *self.cases])
        if "number" in metafunc.fixturenames:
            metafunc.parametrize("number", NUMBERS)

    def make(self, bench, modalities=("visual", "textual"), **options):
        return bench.model(self.name, modalities, **{**self.small, **options})

    def test_predict_equals_full_sort_predict(self, bench):
        model = self.make(bench).eval()
        users, items = torch.tensor([1, 2, 3, 4, 2]), torch.tensor([1, 9, 20, 40, 1])
        full = model.full_sort_predict(Interaction({"user_id": users})).view(5, -1)
        pairs = model.predict(Interaction({"user_id": users, "item_id": items}))
        assert torch.allclose(pairs, full[range(5), items])

    def test_metric_band_popularity_and_checkpoint(self, tmp_path):
        world = worlds.build(tmp_path / "as made")
        scores = self.trained(world)
        low, high = self.band
        assert low <= worlds.recall_on_withheld(world, scores) <= high
        popular = worlds.recall_on_valid(world, worlds.popularity(world))
        assert worlds.recall_on_valid(world, scores) > 2 * popular
        if self.reads_features:
            shuffled = worlds.build(tmp_path / "shuffled", shuffled=True)
            assert worlds.recall_on_withheld(shuffled, self.trained(shuffled)) < low / 2 + CHANCE / 2

    def parts_sum_to_scores(self, model, bench):
        """What a model says of its scores holds, in float64; that of the items without features too."""
        parts = model.eval().requires_grad_(False).score_parts()
        lacking = [bench.item(dense.LACKS_VISUAL), bench.item(dense.LACKS_ALL)]
        for user, item in [(1, 1), (5, 40), *((7, item) for item in lacking)]:
            score = model.predict(
                Interaction({"user_id": torch.tensor([user]), "item_id": torch.tensor([item])})
            )
            reached = [parts.reached(m, user, item) for m in parts.modalities]
            if reached:
                total = parts.collaborative(user, item) + sum(float(one.shares.sum()) for one in reached)
                assert total == pytest.approx(score.item(), abs=1e-6)
                assert all(one.items.min() > 0 and one.hops.min() >= 0 for one in reached if len(one.items))

    def trained(self, world):
        """Scores of a checkpoint that the plugin's own run wrote and its own loader read."""
        options = world.config(**self.world)
        result = quick_start.run(self.name, world.name, config_dict=options)
        _, model, dataset, *_ = recbole_micro.load(result["checkpoint"])
        return worlds.score_matrix(model, dataset, world)


class WithoutEpochsTests(Shared):
    """Models without epochs.  Set `name`, and from the equations `scores(model, **options)`, all of them."""

    def all_scores(self, model):
        return model.full_sort_predict(Interaction({"user_id": torch.arange(model.n_users)})).view(
            model.n_users, -1
        )

    def agree(self, bench, modalities, options):
        model = self.make(bench, modalities, **options).eval()
        expected = self.scores(model, **{**self.small, **options})
        assert torch.allclose(self.all_scores(model), expected.to(torch.float64), atol=1e-5)
        self.parts_sum_to_scores(model, bench)

    def test_options_equal_the_dense_reference(self, bench, case):
        self.agree(bench, NUMBERS["two"], self.cases.get(case, {}))

    def test_features_given_instead_equal_the_dense_reference(self, bench):
        self.agree(bench, NUMBERS["two"], {"missing": "neighbours"})

    def test_any_number_of_modalities_equals_the_dense_reference(self, bench, number):
        self.agree(bench, NUMBERS[number], {})

    def test_pairs_are_scored_in_portions(self, bench, monkeypatch):
        model = self.make(bench).eval()
        users, items = torch.arange(model.n_users).flip(0), torch.arange(model.n_users) % model.n_items
        expected = self.all_scores(model)[users, items]
        monkeypatch.setattr(without_epochs, "_SCORES_AT_ONCE", 3 * model.n_items)
        pairs = model.predict(Interaction({"user_id": users, "item_id": items}))
        assert torch.allclose(pairs, expected)

    def test_the_loss_is_zero_and_moves_nothing(self, bench):
        model = self.make(bench).float()
        before = self.all_scores(model)
        optimizer = torch.optim.Adam(model.parameters(), weight_decay=0.1)
        loss = sum(model.calculate_loss(bench.batch(model)))
        loss.backward()
        optimizer.step()
        assert loss.item() == 0 and torch.equal(self.all_scores(model), before)

    def test_a_copy_scores_the_same_and_a_run_can_be_repeated(self, bench):
        model = self.make(bench)
        expected = self.all_scores(model)
        assert torch.equal(self.all_scores(copy.deepcopy(model)), expected)
        assert torch.equal(self.all_scores(self.make(bench)), expected)

    @pytest.mark.cuda
    @pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
    def test_cuda_equals_the_cpu(self, bench):
        model = self.make(bench)
        expected = self.all_scores(model)
        there = copy.deepcopy(model).to("cuda")
        users = Interaction({"user_id": torch.arange(model.n_users)}).to("cuda")
        assert torch.allclose(there.full_sort_predict(users).cpu().view_as(expected), expected, atol=1e-6)


class ModelTests(Shared):
    """Models with embeddings and epochs; a `Shared`.

    Set from the equations `forward(model, **options)` and `losses(model, batch, **options)`.
    """

    def agree(self, bench, modalities, options):
        model, options = self.make(bench, modalities, **options), {**self.small, **options}
        names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
        assert any(name.endswith("raw") for name in names) == (options.get("freeze_features") is False)
        dense.agree(
            model,
            lambda: self.forward(model, **options),
            lambda batch: self.losses(model, batch, **options),
            bench.batch(model),
        )
        self.parts_sum_to_scores(model, bench)

    def test_options_equal_the_dense_reference(self, bench, case):
        self.agree(bench, NUMBERS["two"], self.cases.get(case, {}))

    def test_features_given_instead_equal_the_dense_reference(self, bench):
        self.agree(bench, NUMBERS["two"], {"missing": "neighbours"})

    def test_any_number_of_modalities_equals_the_dense_reference(self, bench, number):
        self.agree(bench, NUMBERS[number], {})

    def test_every_parameter_is_trained(self, bench):
        assert all(parameter.requires_grad for parameter in self.make(bench).parameters())

    def test_an_item_without_features_stays_finite(self, bench):
        model = self.make(bench).float()
        sum(model.calculate_loss(bench.batch(model))).backward()
        assert all(torch.isfinite(part).all() for part in model())
        assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)

    def test_an_evaluation_is_one_forward(self, bench):
        model = self.make(bench).eval()
        assert model.embeddings()[0] is model.embeddings()[0]

    def test_a_copy_scores_the_same_and_the_state_holds_parameters_only(self, bench):
        self.a_copy_scores_the_same(bench)

    def a_copy_scores_the_same(self, bench, **options):
        model = self.make(bench, **options).train()
        model.start_epoch()
        model.calculate_loss(bench.batch(model))
        twin = copy.deepcopy(model).eval()
        for a, b in zip(twin.embeddings(), model.eval().embeddings(), strict=True):
            assert torch.equal(a, b)
        names = dict(model.named_parameters())
        assert set(model.state_dict()) == set(names) and not any(name.endswith("raw") for name in names)

    def test_autocast_keeps_the_loss(self, bench):
        model, values = self.make(bench).float(), []
        for enabled in (False, True):
            model.start_epoch()
            torch.manual_seed(3)
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
                values.append(model.calculate_loss(bench.batch(model)))
        for full, half in zip(*values, strict=True):
            assert half.item() == pytest.approx(full.item(), rel=0.05, abs=1e-6)
        sum(values[1]).backward()
        assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)

    @pytest.mark.cuda
    @pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
    def test_cuda_equals_the_cpu(self, bench):
        model = self.make(bench).eval()
        expected = model.embeddings()
        for ours, cpu in zip(copy.deepcopy(model).to("cuda").embeddings(), expected, strict=True):
            assert torch.allclose(ours.cpu(), cpu, atol=1e-6)

    def test_the_loss_falls_and_a_run_can_be_repeated(self, bench):
        runs = [self.steps(bench) for _ in range(2)]
        assert runs[0][0] == runs[1][0] and runs[0][0][-1] < runs[0][0][0]
        for a, b in zip(runs[0][1], runs[1][1], strict=True):
            assert torch.equal(a, b)

    def steps(self, bench, n=8, **options):
        """Losses on one batch before and after `n` epochs of that batch alone, and the parameters then."""
        model = self.make(bench, embedding_size=16, **options).float().train()
        optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.01)
        losses = []
        for _ in range(n):
            model.start_epoch()
            loss = sum(model.calculate_loss(bench.batch(model, 40)))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses, list(model.parameters())


class SamplesEdges:
    """Beside `ModelTests`, for models whose backbone trains on a share of the user-item edges."""

    def test_an_epoch_trains_on_a_fresh_share_of_the_edges_and_evaluation_on_all(self, bench):
        model = self.make(bench, edge_dropout=0.75)
        loops = (model.n_users + model.n_items) * (model.backbone.adjacency == "mean_self_loop")
        seen = []
        for _ in range(2):
            model.start_epoch()
            seen.append(model.backbone.sampled)
            assert len(seen[-1].col) == 2 * round(0.25 * len(model.train_user)) + loops
        assert not torch.equal(seen[0].col, seen[1].col)
        full = self.make(bench, edge_dropout=0.0)
        assert not torch.allclose(model.train()()[0], full.train()()[0])
        assert torch.allclose(model.eval()()[0], full.eval()()[0])

    def test_a_copy_of_a_model_with_sampled_edges_scores_the_same(self, bench):
        self.a_copy_scores_the_same(bench, edge_dropout=0.5)

    def test_a_run_on_sampled_edges_can_be_repeated(self, bench):
        runs = []
        for _ in range(2):
            torch.manual_seed(9)
            runs.append(self.steps(bench, edge_dropout=0.5)[0])
        assert runs[0] == runs[1]


class LearnsInTheFirstBatch:
    """Beside `ModelTests`, for models with `graph_learning: first_batch`."""

    def test_later_batches_keep_the_graph_of_the_first_and_do_not_learn_it(self, bench):
        options = {**self.small, "graph_learning": "first_batch", "lambda_coeff": 0.3}
        model = self.make(bench, **options).train()
        model.start_epoch()
        batch = bench.batch(model)
        transforms = [p for name, p in model.named_parameters() if "transform." in name]
        assert transforms
        for learns in (True, False, False):
            losses = model.calculate_loss(batch)
            expected = self.losses(model, batch, **options)
            for got, value in zip(losses, expected, strict=True):
                assert got.item() == pytest.approx(value.item(), rel=1e-5, abs=1e-9)
            found = torch.autograd.grad(sum(losses), transforms, allow_unused=True, materialize_grads=True)
            assert any(gradient.abs().max() > 0 for gradient in found) == learns
