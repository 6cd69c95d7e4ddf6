"""Every model on odd features and interactions: it trains with finite losses, or is refused in a sentence."""

import math

import numpy as np
import pytest

from dataset_tools.errors import DataError
from recbole_micro import Config
from recbole_micro.errors import UserError
from recbole_micro.models.registry import MODELS
from recbole_micro.training.experiment import build
from tests.support.tiny import QUICK, WIDTHS, write_dataset

USERS, ITEMS = 10, 12
DRAWN = np.random.default_rng(1)
NORMAL = {modality: DRAWN.standard_normal((ITEMS, width)) for modality, width in WIDTHS.items()}
MANY = [(user, (user + step) % ITEMS) for user in range(USERS) for step in range(7)]


def rows(change):
    """The features of each modality after a change."""
    return {modality: change(matrix.copy()) for modality, matrix in NORMAL.items()}


def without(matrix, kept):
    matrix[kept:] = np.nan  # no rows
    return matrix


def with_row(matrix, value):
    matrix[3] = value
    return matrix


FEATURES = {
    "all zero": rows(lambda matrix: 0 * matrix),
    "one all zero": {**NORMAL, "visual": 0 * NORMAL["visual"]},
    "a row of zeros": rows(lambda matrix: with_row(matrix, 0)),
    "constant": rows(np.ones_like),
    "duplicated": rows(lambda matrix: np.repeat(matrix[:2], ITEMS // 2, axis=0)),
    "one huge": rows(lambda matrix: with_row(matrix, 1e30)),
    "huge": rows(lambda matrix: matrix * 1e30),
    "as large as is allowed": rows(lambda matrix: matrix * 1e18),
    "large": rows(lambda matrix: matrix * 1e6),
    "tiny": rows(lambda matrix: matrix * 1e-30),
    "smallest": rows(lambda matrix: matrix * 1e-44),
    "one item only": rows(lambda matrix: without(matrix, 1)),
    "half of the items": rows(lambda matrix: without(matrix, ITEMS // 2)),
    "one modality only": {**NORMAL, "visual": without(NORMAL["visual"].copy(), 1)},
    "one column": {modality: matrix[:, :1] for modality, matrix in NORMAL.items()},
}
INTERACTIONS = {
    "users with one interaction": [(user, user % 4) for user in range(USERS)] + MANY[:14],
    "every user with one": [(user, user) for user in range(USERS)],
    "one item": [(user, 0) for user in range(USERS)],
    "two items": [(user, user % 2) for user in range(USERS)],
    "one user": [(0, item) for item in range(ITEMS - 2)],
    "one interaction": [(0, 0)],
    "every item": [(user, item) for user in range(USERS) for item in range(ITEMS)],
}
CASES = {
    **{f"features: {name}": (MANY, matrices, ITEMS) for name, matrices in FEATURES.items()},
    **{f"interactions: {name}": (pairs, NORMAL, ITEMS) for name, pairs in INTERACTIONS.items()},
    "interactions: a world of one item": ([(user, 0) for user in range(USERS)], rows(lambda m: m[:1]), 1),
    "interactions: a world of two items": ([(u, u % 2) for u in range(USERS)], rows(lambda m: m[:2]), 2),
}
# What is refused, and how; all else trains.
REFUSED = {
    "features: one huge": "too large",
    "features: huge": "too large",
    "interactions: every item": "have interacted with all items",
    "interactions: a world of one item": "have interacted with all items",
}
FAST = ("features: all zero", "features: duplicated", "features: tiny", "interactions: one user")


def cases():
    for model in MODELS:
        for case in CASES:
            fast = model == "MICRO" and case in FAST
            yield pytest.param(model, case, marks=[] if fast else pytest.mark.slow)


@pytest.mark.parametrize("model, case", list(cases()))
def test_odd_data(tmp_path, model, case):
    pairs, matrices, items = CASES[case]
    given = {**QUICK, "topk": [1], "valid_metric": "Recall@1", "data_path": str(tmp_path), "epochs": 1}
    try:
        write_dataset(tmp_path, "odd", {None: pairs}, items, matrices)
        made = build(Config(model, "odd", config_dict=given | {"checkpoint_dir": str(tmp_path)}))
        made.trainer.fit(made.train_data, made.valid_data, show_progress=False)
        result = made.trainer.evaluate(made.test_data)
    except (UserError, DataError) as error:
        assert case in REFUSED and REFUSED[case] in str(error), str(error)
        return
    losses = [np.sum(loss) for loss in made.trainer.train_loss_dict.values()]
    assert losses and all(map(math.isfinite, losses))
    assert result is None or all(map(math.isfinite, result.values()))
    assert all(bool(p.isfinite().all()) for p in made.model.parameters())
