"""Weight decay in two units: what wins where, and what the optimiser gets."""

import pytest

from recbole_micro import Config, run
from recbole_micro.checkpoint import load_checkpoint
from recbole_micro.errors import UserError
from recbole_micro.options.decay import per_step
from recbole_micro.training.experiment import build


def units(config):
    return config["weight_decay"], config["relative_weight_decay"]


@pytest.mark.parametrize(
    "options, expected",
    [
        ({}, (0.0, 1.0)),
        ({"weight_decay": 1e-5}, (1e-5, 0.0)),
        ({"weight_decay": 0.0}, (0.0, 0.0)),
        ({"relative_weight_decay": 0.25}, (0.0, 0.25)),
        ({"preset": "paper"}, (0.0, 0.0)),
        ({"preset": "paper", "relative_weight_decay": 2}, (0.0, 2.0)),
        ({"preset": "bpr", "weight_decay": 2e-6}, (2e-6, 0.0)),
    ],
    ids=str,
)
def test_the_unit_that_is_given_last_wins(given, options, expected):
    assert units(Config("MICRO", "tiny", config_dict={**given, **options})) == expected


def test_both_units_at_once_are_refused(given):
    with pytest.raises(UserError, match=r"weight_decay \(1e-05\) and relative_weight_decay \(0.5\)"):
        Config("BPR", "tiny", config_dict={**given, "weight_decay": 1e-5, "relative_weight_decay": 0.5})


@pytest.mark.parametrize("model", ["MICRO", "LightGCN", "STAIR"])
def test_the_optimiser_gets_it_per_training_interaction(given, model):
    """So twice the data with the same option are pulled half as hard in each of their steps."""
    given = {**given, "epochs": 1, "eval_step": 0, "relative_weight_decay": 0.5}
    built = build(Config(model, "tiny", config_dict=given))
    built.trainer.fit(built.train_data, saved=False)
    interactions = len(built.train_data._dataset)
    assert interactions > 20
    decays = [group["weight_decay"] for group in built.trainer.optimizer.param_groups]
    assert decays and all(decay == pytest.approx(0.5 / interactions) for decay in decays)
    assert per_step(built.config, 2 * interactions) == pytest.approx(0.25 / interactions)


def test_a_checkpoint_of_before_keeps_its_options(given, tmp_path, monkeypatch):
    """A file without the later options was trained with BPR, dot products and the plain weight decay."""
    given = {**given, "preset": "bpr", "weight_decay": 1e-5, "checkpoint_dir": str(tmp_path)}
    file = run("MICRO", "tiny", config_dict=given)["checkpoint"]
    later = "relative_weight_decay", "ranking_loss", "score", "score_tau", "item_bias", "history_weight"
    later += ("history_power", "support_power")
    import recbole_micro.options.config as module

    def without(path, **more):
        state = load_checkpoint(path, **more)
        return {**state, "config": {k: v for k, v in state["config"].items() if k not in (*later, "preset")}}

    monkeypatch.setattr(module, "load_checkpoint", without)
    again = Config(config_dict={"resume": file, "data_path": given["data_path"], "gpu_id": ""})
    assert units(again) == (1e-5, 0.0)
    assert [again[name] for name in later[1:]] == ["bpr", "dot", 1.0, False, 0.0, 0.0, 0.0]
