"""The synthetic world: what only the features tell, MICRO finds."""

import numpy as np
import pytest
import torch
from recbole.data import create_dataset, data_preparation
from recbole.utils import get_model, get_trainer, init_seed

import recbole_micro  # noqa: F401
from recbole_micro import Config
from tests.support import world as worlds

CHANCE = 1 / (worlds.VISUAL * worlds.TEXTUAL)


def scores_after_training(name, world, **options):
    """Scores [n_users, n_items] of a model trained by RecBole's own trainer on the world."""
    config = Config(name, world.name, config_dict=world.config(**options))
    init_seed(config["seed"], True)
    train_data, _, _ = data_preparation(config, create_dataset(config))
    model = get_model(name)(config, train_data._dataset)
    get_trainer(config["MODEL_TYPE"], name)(config, model).fit(train_data, saved=False, verbose=False)
    return worlds.score_matrix(model, train_data._dataset, world)


@pytest.fixture(scope="module", params=[3, pytest.param(10, marks=pytest.mark.slow)])
def studies(request, tmp_path_factory):
    """Per seed: MICRO's Recall, whether mates come first, its Recall when shuffled, LightGCN's Recall."""
    rows = []
    for seed in range(request.param):
        world = worlds.build(tmp_path_factory.mktemp("world"), seed)
        shuffled = worlds.build(tmp_path_factory.mktemp("shuffled"), seed, shuffled=True)
        scores = scores_after_training("MICRO", world, seed=seed)
        rows.append(
            (
                worlds.recall_on_withheld(world, scores),
                worlds.mates_first(world, scores),
                worlds.recall_on_withheld(world, scores_after_training("MICRO", shuffled, seed=seed)),
                worlds.recall_on_withheld(world, scores_after_training("LightGCN", world, seed=seed)),
            )
        )
    return np.array(rows)


def test_micro_ranks_withheld_cluster_mates_first(studies):
    assert studies[:, 1].sum() >= 0.9 * len(studies)


def test_shuffled_features_lose_at_least_half_of_it(studies):
    assert (studies[:, 2] <= studies[:, 0] / 2).sum() >= 0.9 * len(studies)


def test_lightgcn_stays_at_chance(studies):
    """The withheld items have no edges: only their random initial embeddings tell them apart."""
    users = worlds.VISUAL * worlds.TEXTUAL * worlds.USERS
    assert abs(studies[:, 3].mean() - CHANCE) < 5 * np.sqrt(CHANCE / users)


def test_the_same_seed_gives_identical_scores(tmp_path):
    assert torch.get_num_threads() == 1
    world = worlds.build(tmp_path, 1)
    first, second = (scores_after_training("MICRO", world, epochs=3, seed=7) for _ in range(2))
    other = scores_after_training("MICRO", world, epochs=3, seed=8)
    assert np.array_equal(first, second) and not np.array_equal(first, other)


@pytest.mark.parametrize(
    "options",
    [
        {
            "preset": "bpr",
            "train_neg_sample_args": {"distribution": "uniform", "dynamic": True, "candidate_num": 3},
        },
        {"enable_amp": True, "train_batch_size": 128},
        {"learner": "adamw", "train_batch_size": 128},
    ],
    ids=["dynamic negatives", "mixed precision", "adamw"],
)
def test_micro_learns_under_recbole_s_training_options(tmp_path, options):
    world = worlds.build(tmp_path, 2)
    recall = worlds.recall_on_withheld(world, scores_after_training("MICRO", world, epochs=25, **options))
    assert recall > 3 * CHANCE
