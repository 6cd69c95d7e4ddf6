"""LGMRec against its equations."""

import itertools

import torch
from torch.nn.functional import dropout

from tests.models.shared import ModelTests
from tests.support.dense import adjacency, bpr, interactions, lightgcn


def unit(x):
    """Rows of length 1; those shorter than 1e-12 are divided by that: a row may lose all its hyperedges."""
    return x / x.norm(dim=1, keepdim=True).clamp(min=1e-12)


def one_way_contrast(a, b, tau, among):
    """-log( e(a_i, b_i) / sum_j e(a_i, c_j) ) of every row, c = `among`, e = exp(cos / tau)."""
    return (unit(a) @ unit(among).T / tau).exp().sum(1).log() - (unit(a) * unit(b)).sum(1) / tau


class TestLGMRec(ModelTests):
    name = "LGMRec"
    small = dict(n_hyperedges=3, cl_weight=0.01, reg_weight=0.1)
    cases = {
        "no contrast": dict(cl_weight=0.0),
        "contrast in the batch": dict(contrast_scope="batch", tau=0.5),
        "no dropout": dict(hyper_dropout=0.0, gumbel_tau=1.0),
        "other layers": dict(n_ui_layers=1, n_modal_layers=1, n_hyper_layers=3, n_hyperedges=5),
        "local alone": dict(alpha=0.0, n_modal_layers=0),
    }
    world = dict(n_hyperedges=16, cold_start=True)  # untrained IDs would hide what hyperedges say
    band = (0.5, 1.0)

    def parts(
        self,
        model,
        n_ui_layers=2,
        n_modal_layers=2,
        n_hyper_layers=1,
        hyper_dropout=0.5,
        gumbel_tau=0.2,
        alpha=0.3,
        **options,
    ):
        user, item = lightgcn(model, n_ui_layers)
        a, r = adjacency(model), interactions(model)
        local, views = torch.cat([user, item]), []
        for w, v, (f, mask) in zip(model.maps, model.hyperedges, model.modalities.values(), strict=True):
            f = torch.where(mask[:, None], f, 0.0)
            mapped = f @ w.weight.T
            of_user = r @ mapped / r.sum(1, keepdim=True).clamp(min=1)
            spread = torch.linalg.matrix_power(a, n_modal_layers) @ torch.cat([of_user, mapped])
            local = local + unit(spread)
            h_i = self.memberships(model, f @ v.weight.T, gumbel_tau) * mask[:, None]
            h_u = self.memberships(model, r @ f @ v.weight.T, gumbel_tau)
            if model.training:
                h_i, h_u = dropout(h_i, hyper_dropout), dropout(h_u, hyper_dropout)
            x = item
            for _ in range(n_hyper_layers):
                g_u, x = h_u @ h_i.T @ x, h_i @ h_i.T @ x
            views.append((g_u, x))
        total = sum(torch.cat(view) for view in views)
        return *(local + alpha * unit(total)).split([model.n_users, model.n_items]), views

    def memberships(self, model, logits, tau):
        if model.training:
            logits = logits - torch.empty_like(logits).exponential_().log()
        share = (logits / tau).exp()
        return share / share.sum(1, keepdim=True)

    def forward(self, model, **options):
        return self.parts(model, **options)[:2]

    def losses(self, model, batch, cl_weight, reg_weight, tau=0.2, contrast_scope="all", **options):
        users, positives, negatives = batch["user_id"], batch["item_id"], batch["neg_item_id"]
        user, item, views = self.parts(model, **options)
        masks = [modality.mask for modality in model.modalities.values()]
        people = torch.arange(model.n_users) > 0
        contrast = torch.zeros(())
        for one, other in itertools.combinations(range(len(views)), 2):
            for side, ids, there in (
                (0, users, people),
                (1, positives[masks[one][positives] & masks[other][positives]], masks[other]),
            ):
                a, b = views[one][side], views[other][side]
                among = b[ids.unique()] if contrast_scope == "batch" else b[there]
                contrast = contrast + one_way_contrast(a[ids], b[ids], tau, among).sum()
        vectors = user[users], item[positives], item[negatives]
        norms = sum((v**2).sum() ** 0.5 for v in vectors) / len(users)
        return bpr(*vectors), cl_weight * contrast, reg_weight * norms

    def test_scores_have_no_noise_unless_asked_for(self, bench):
        for noisy in (False, True):
            model = self.make(bench, evaluation_noise=noisy).eval()
            a, b = model()[1], model()[1]
            assert torch.equal(a, b) != noisy
            if not noisy:
                assert torch.allclose(a, self.forward(model, **self.small)[1])

    def test_an_item_without_a_modality_is_in_none_of_its_hyperedges(self, bench):
        model = self.make(bench).eval()
        _, _, seen = model.vectors()
        for (_, item), mask in zip(seen, model.masks(), strict=True):
            assert not item[~mask].any() and item[mask].any(1).all()
