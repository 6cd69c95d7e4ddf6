"""GUME against its equations."""

from itertools import combinations

import torch

from tests.models.test_mgcn import Family
from tests.support import dense
from tests.support.dense import MODALITIES, batch_contrast, bpr, half_squares, knn_graph, symmetric


class TestGUME(Family):
    name = "GUME"
    small = dict(
        knn_k=6,
        cl_weight=0.1,
        reg_weight=0.1,
        user_weight=0.2,
        align_weight=0.3,
        extended_reg=0.4,
        user_tau=0.3,
    )
    cases = {
        "other layers": dict(n_item_layers=2, n_ui_layers=1),
        "other temperatures": dict(tau=0.4, user_tau=0.2),
        "no noise": dict(noise=0.0),
        "trained features": dict(freeze_features=False),
    }
    band = (0.25, 1.0)

    def joint_graph(self, model, knn_k):
        """The interactions and, pair by pair, the neighbours that an item has in all its modalities."""
        a = dense.adjacency(model).ne(0).double()
        graphs = [knn_graph(values, mask, knn_k) > 0 for values, mask in model.modalities.values()]
        for i in range(model.n_items):
            own = [g for g, (_, mask) in zip(graphs, model.modalities.values(), strict=True) if mask[i]]
            for j in range(model.n_items):
                if own and i != j and all(g[i, j] for g in own):
                    a[model.n_users + i, model.n_users + j] = 1
        return symmetric(a)

    def layers(self, a, x, n):
        out = [x]
        for _ in range(n):
            out.append(a @ out[-1])
        return sum(out) / len(out)

    def everything(self, model, knn_k, n_ui_layers=3, **options):
        """e, g, the views h and v of users and items."""
        a, tables = self.joint_graph(model, knn_k), model.backbone
        e = self.layers(
            a, torch.cat([tables.user_embedding.weight, tables.item_embedding.weight]), n_ui_layers
        )
        views = self.views(model, knn_k=knn_k, **options)
        v = [
            self.layers(a, torch.cat([table.weight, h[model.n_users :]]), n_ui_layers)
            for table, h in zip(model.user_tables, views, strict=True)
        ]
        return e, self.fused(model, e, views), views, sum(v) / len(v)

    def parts(self, model, **options):
        return self.everything(model, **options)[:2]

    def losses(self, model, batch, **options):
        weights = {name: options.pop(name) for name in ("cl_weight", "reg_weight", "user_weight")}
        align, extended = options.pop("align_weight"), options.pop("extended_reg")
        tau, user_tau, noise = options.pop("tau", 0.2), options.pop("user_tau"), options.pop("noise", 0.1)
        users, positives, negatives = batch["user_id"], batch["item_id"], batch["neg_item_id"]
        e, g, views, v = self.everything(model, **options)
        user, item = (e + g).split([model.n_users, model.n_items])
        vectors = user[users], item[positives], item[negatives]
        known = self.present(model).any(1)[users]

        def copies(z):
            return [z + noise * z.sign() * dense.unit(torch.rand_like(z)) for _ in range(2)]

        of_users = batch_contrast(v[users], g[users], user_tau, known)
        of_users = of_users + batch_contrast(*copies(g[users]), user_tau, known)
        of_users = of_users + batch_contrast(*copies(v[users]), user_tau)
        apart = torch.zeros(())
        entries = [h[has] for h, has in zip(views, self.present(model).unbind(1), strict=True)]
        for a, b in combinations(entries, 2):
            variances = [((x - x.mean()) ** 2).sum() / (x.numel() - 1) for x in (a, b)]
            apart = apart + (variances[0] - variances[1]).abs() + (a.mean() - b.mean()).abs()
        return (
            bpr(*vectors),
            weights["cl_weight"] * self.contrast(model, users, positives, g, e, tau),
            weights["reg_weight"] * half_squares(*vectors) / len(users),
            weights["user_weight"] * of_users,
            align * apart,
            extended * half_squares(v[positives + model.n_users]) / len(users),
        )

    def test_items_are_joined_where_they_are_neighbours_in_all_modalities(self, bench):
        for names in (MODALITIES[:1], MODALITIES):
            model = self.make(bench, names)
            graph = model.backbone.graph.to_dense()
            expected = self.joint_graph(model, self.small["knn_k"])
            assert torch.allclose(graph, expected, atol=1e-6)
            assert graph[model.n_users :, model.n_users :].any()

    def test_a_noisy_copy_moves_every_entry_away_from_zero_by_a_step_of_one_length(self, bench):
        model, z = self.make(bench, noise=0.2), torch.randn(5, 6, dtype=torch.float64)
        step = model.noisy(z) - z
        assert (step * z >= 0).all() and torch.allclose(step.norm(dim=1), torch.tensor(0.2).double())
