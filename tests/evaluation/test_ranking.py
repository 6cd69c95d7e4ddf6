"""The rankings of a cold start against brute force: all items, cold ones, warm ones."""

import numpy as np
import pytest

from recbole_micro import run
from recbole_micro.errors import UserError
from recbole_micro.evaluation import protocol
from recbole_micro.evaluation import ranking as ranking_module
from recbole_micro.training.experiment import build
from tests.support import cold, world
from tests.support.cold import QUICK, loaders, options
from tests.support.scores import whole


def by_hand(trainer, parts, part: int, ranking: str, masked: list[int], k: int = 5) -> float:
    """Recall@k of a ranking by sorting."""
    known = []
    for loader in parts:
        rows = (loader._dataset.inter_feat[field].tolist() for field in ("user_id", "item_id"))
        known.append(list(zip(*rows, strict=True)))
    trained_users, trained = {u for u, _ in known[0]}, {i for _, i in known[0]}
    cold = set(range(1, parts[0]._dataset.item_num)) - trained
    everything = trained | cold
    candidates = {"cold": cold, "warm": trained}.get(ranking, everything)
    positives = {}
    for user, item in known[part]:
        on_warm = item not in cold and user in trained_users
        asked = {"all": True, "warm": on_warm, "warm_all": on_warm}.get(ranking, item in cold)
        if asked:
            positives.setdefault(user, set()).add(item)
    scores_of = whole(trainer.model)
    values = []
    for user, liked in positives.items():
        hidden = {i for other in masked for u, i in known[other] if u == user} - liked
        scores = scores_of[user].tolist()
        ranked = sorted(candidates - hidden, key=lambda i: -scores[i])[:k]
        values.append(len(liked & set(ranked)) / len(liked))
    return float(np.mean(values))


@pytest.mark.parametrize("name, masked", [("recbole", [0, 1]), ("paper", [0])])
def test_the_rankings_equal_brute_force(cold_world, name, masked):
    config = cold.config(cold_world, "MICRO", protocol=name, eval_step=1, epochs=2)
    built = build(config)
    trainer, parts = built.trainer, built[2:5]
    trainer.fit(*parts[:2], saved=False)
    result = trainer.evaluate(parts[2], load_best_model=False)
    for ranking in ("all", "cold_all", "cold", "warm_all", "warm"):
        front = "" if ranking == "all" else f"{ranking}:"
        expected = by_hand(trainer, parts, 2, ranking, masked)
        assert result[f"{front}recall@5"] == pytest.approx(expected, abs=1e-9)
    assert len(result) == 15 and result.protocol == name
    assert "cold_all: cold items among all items; cold: cold items" in str(result)
    other = {"recbole": "paper", "paper": "recbole"}[name]
    again = protocol.evaluate(trainer, parts[2], other)
    expected = by_hand(trainer, parts, 2, "all", [0] if other == "paper" else [0, 1])
    assert again["recall@5"] == pytest.approx(expected, abs=1e-9)
    assert trainer.evaluate(parts[2], load_best_model=False) == result


@pytest.mark.parametrize("ranking", ["all", "cold_all", "cold", "warm_all", "warm"])
def test_the_epoch_is_selected_by_the_chosen_ranking(cold_world, ranking):
    config = cold.config(cold_world, "MICRO", cold_selection=ranking, epochs=1, eval_step=1)
    built = build(config)
    trainer, parts = built.trainer, built[2:5]
    score, result = trainer.fit(*parts[:2], saved=False)
    assert score == pytest.approx(by_hand(trainer, parts, 1, ranking, [0]), abs=1e-9)
    assert ranking_module.WHAT[ranking] in str(result)


def test_a_model_that_cannot_rank_cold_items_is_reported_so(cold_world, tmp_path):
    more = {"checkpoint_dir": str(tmp_path), "epochs": 2, "eval_step": 1}
    result = run("BPR", "world-cold", config_dict=options(cold_world, **more))
    test = result["test_result"]
    assert all(np.isnan(test[name]) for name in test if name.startswith(("cold:", "cold_all:")))
    assert 0 < test["warm:recall@5"] < 1 and 0 < test["recall@5"] < 1
    assert "BPR cannot rank cold items" in str(test)
    assert "warm items" in str(result["best_valid_result"])  # not selected by noise


def test_popularity_ranks_cold_items_below_the_others_and_not_among_themselves(cold_world, tmp_path):
    result = run("Pop", "world-cold", config_dict=options(cold_world, checkpoint_dir=str(tmp_path)))[
        "test_result"
    ]
    assert result["cold_all:recall@5"] == 0 and result["warm:recall@5"] > 0
    assert np.isnan(result["cold:recall@5"])


def test_withheld_items_of_the_world_are_ranked_by_their_features(tmp_path):
    """The world's test items are cold: MICRO finds them among all items."""
    made = world.build(tmp_path)
    more = {"cold_start": True, "checkpoint_dir": str(tmp_path / "saved")}
    found = run("MICRO", "world", config_dict=made.config(**QUICK, **more))["test_result"]
    chance = 5 / len(made.cluster)
    assert found["cold_all:recall@5"] > 2 * chance
    assert found["cold:recall@5"] > 0.6  # 5 of 24 by chance


def test_sampled_rankings_are_refused(cold_world):
    with pytest.raises(UserError, match="mode: full"):
        loaders(cold_world, eval_args={"mode": "uni5"})


def test_a_checkpoint_keeps_the_cold_start(cold_world, tmp_path):
    from recbole_micro import load

    more = {"checkpoint_dir": str(tmp_path), "epochs": 1}
    result = run("MICRO", "world-cold", config_dict=options(cold_world, **more))
    config, model, *_, test = load(result["checkpoint"])
    from recbole.trainer import Trainer

    assert Trainer(config, model).evaluate(test, load_best_model=False) == result["test_result"]
