"""Searches with hyperopt, RecBole's own and ours."""

import itertools

import pytest
from recbole.trainer import HyperTuning

from recbole_micro import objective
from recbole_micro.errors import UserError
from recbole_micro.tuning import hyperopt_engine


@pytest.fixture
def fixed(given):
    return {**given, "model": "BPR", "dataset": "tiny", "epochs": 1}


@pytest.mark.parametrize("algo", ["exhaustive", "random", "bayes"])
def test_recboles_own_search_takes_our_objective(algo, fixed, tmp_path):
    file = tmp_path / "fixed.yaml"
    file.write_text("".join(f"{name}: {value!r}\n" for name, value in fixed.items()))
    search = HyperTuning(
        objective,
        params_dict={"choice": {"learning_rate": [0.01, 0.1]}},
        fixed_config_file_list=[str(file)],
        algo=algo,
        max_evals=2,
    )
    search.run()
    assert search.best_params["learning_rate"] in (0.01, 0.1)
    assert 0 < search.best_score == max(search.score_list)
    search.export_result(tmp_path / "result.txt")
    assert "recall@5" in (tmp_path / "result.txt").read_text()


@pytest.mark.parametrize("model", ["BPR", "MICRO"])
@pytest.mark.parametrize("algo", hyperopt_engine.ALGORITHMS)
def test_our_search(algo, model, fixed):
    fixed = {**fixed, "model": model}
    search = hyperopt_engine.hyper_tuning(
        {"choice": {"embedding_size": [4, 8]}}, algo, max_evals=2, config_dict=fixed
    )
    assert len(search.score_list) == 2
    assert search.best_score == max(search.score_list)
    assert list(search.params2result.values())[0]["test_result"] == {}


def trial(params, files):
    """An objective without a model: the best is a = 3, b = 1."""
    return {
        "model": "none",
        "best_valid_score": 1 / (1 + abs(params["seed"] - 3) + abs(params["epochs"] - 1)),
        "valid_score_bigger": True,
        "best_valid_result": {},
        "test_result": {},
    }


def test_an_exhaustive_search_tries_every_combination_once():
    space = {"choice": {"seed": [1, 2, 3, 4, 5], "epochs": [1, 2, 3]}}
    search = hyperopt_engine.hyper_tuning(space, "exhaustive", objective=trial)
    tried = [f"epochs:{epochs}, seed:{seed}" for seed, epochs in itertools.product(range(1, 6), range(1, 4))]
    assert sorted(search.params_list) == sorted(tried)
    assert search.best_params == {"seed": 3, "epochs": 1}


def flat(params, files):
    """An objective that never gains."""
    return trial({"seed": 9, "epochs": 1}, files)


def test_an_exhaustive_search_without_gain_still_tries_everything():
    """RecBole stops after 10 trials without gain, whatever the search."""
    space = {"choice": {"seed": list(range(6)), "epochs": [1, 2, 3, 4]}}
    search = hyperopt_engine.hyper_tuning(space, "exhaustive", objective=flat)
    assert len(set(search.params_list)) == 24


@pytest.mark.parametrize("bigger", [True, False])
def test_a_best_score_of_zero_stays_the_best(bigger):
    scores = iter([0.0, -0.5, -0.25] if bigger else [0.0, 0.5, 0.25])

    def zero_first(params, files):
        return trial(params, files) | {"best_valid_score": next(scores), "valid_score_bigger": bigger}

    space = {"choice": {"seed": [1, 2, 3], "epochs": [1]}}
    search = hyperopt_engine.hyper_tuning(space, "exhaustive", objective=zero_first)
    assert search.best_score == 0.0
    assert search.params2str(search.best_params) == search.params_list[0]


def test_a_search_can_stop_early():
    space = {"choice": {"seed": list(range(40)), "epochs": [1]}}
    search = hyperopt_engine.hyper_tuning(space, "random", max_evals=40, objective=flat, early_stop=3)
    assert len(search.score_list) < 40


def test_an_unknown_algorithm():
    with pytest.raises(UserError, match="no search 'grid': choose one of exhaustive, random, bayes"):
        hyperopt_engine.hyper_tuning({"choice": {"knn_k": [1]}}, "grid")
