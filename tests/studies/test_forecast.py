"""How long runs will take: from finished runs of the study, or from measured epochs."""

import math
from types import SimpleNamespace

import pytest

from recbole_micro.studies.forecast import TYPICAL_EPOCHS, Forecast, duration, of_epochs

TIMING = {"prepare": 5.0, "epoch": 10.0, "evaluation": 4.0, "epochs": 100, "eval_step": 5}


def run(model, setting=""):
    return SimpleNamespace(model=model, label=f"{model} {setting}".strip())


def test_a_training_is_its_start_its_epochs_and_its_looks_at_the_validation_set():
    assert of_epochs(TIMING, 20) == 5 + 20 * 10 + (20 / 5 + 1) * 4
    assert of_epochs({**TIMING, "eval_step": 0}, 20) == 5 + 20 * 10 + 4


def test_timings_hold_until_runs_with_the_same_label_are_finished():
    forecast = Forecast({"MICRO": TIMING, "VBPR": {**TIMING, "epoch": 1.0}})
    assert forecast.seconds(run("MICRO")) == of_epochs(TIMING, TYPICAL_EPOCHS)
    assert forecast.seconds(run("MICRO"), longest=True) == of_epochs(TIMING, 100)
    forecast.add(run("VBPR"), {"seconds": 40.0, "epochs": 30})
    forecast.add(run("VBPR"), {"seconds": 60.0, "epochs": 50})
    forecast.add(run("Pop"), {"seconds": 1.0, "epochs": 1})
    assert forecast.seconds(run("VBPR")) == 50
    assert forecast.seconds(run("MICRO")) == of_epochs(TIMING, 52)  # 60, 60, 60, 30, 50


def test_without_timings_runs_of_the_model_or_any_runs_tell():
    forecast = Forecast()
    assert math.isnan(forecast.seconds(run("MICRO"))) and math.isnan(forecast.left([run("BPR")], [], 2))
    forecast.add(run("BPR"), {"epochs": 3})  # its time was not kept
    assert math.isnan(forecast.seconds(run("BPR")))
    forecast.add(run("BPR"), {"seconds": 10.0, "epochs": 3})
    forecast.add(run("MICRO", "(knn_k=5)"), {"seconds": 30.0, "epochs": 3})
    assert forecast.seconds(run("MICRO", "(knn_k=10)")) == 30
    assert forecast.seconds(run("LightGCN")) == 20
    assert math.isnan(forecast.seconds(run("LightGCN"), longest=True))


@pytest.fixture
def known():
    """A forecast of one epoch of so many seconds: a 8, b 6, c 4, d 2."""
    still = {"prepare": 0, "evaluation": 0, "epochs": 1, "eval_step": 0}
    return Forecast(
        {name: {**still, "epoch": value} for name, value in zip("abcd", (8, 6, 4, 2), strict=True)}
    )


def test_the_longest_come_first_and_the_unknown_last(known):
    ordered = known.longest_first([run(name) for name in ("x", "d", "a", "c")])
    assert [one.label for one in ordered] == ["a", "c", "d", "x"]


@pytest.mark.parametrize(
    ("waiting", "active", "workers", "left"),
    [
        ("abcd", [], 1, 20),
        ("abcd", [], 2, 10),  # a and d beside b and c
        ("abcd", [], 9, 8),
        ("d", [("a", 3.0), ("c", 1.0)], 2, 5),  # d starts when c ends, after 3
        ("", [("a", 30.0)], 2, 0),  # it takes longer than was said
        ("ax", [], 2, math.nan),
    ],
)
def test_the_rest_of_a_study_is_that_of_its_last_worker(known, waiting, active, workers, left):
    found = known.left([run(name) for name in waiting], [(run(name), t) for name, t in active], workers)
    assert found == pytest.approx(left, nan_ok=True)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "1 s"),
        (89.4, "89 s"),
        (90, "2 min"),
        (60 * 89, "89 min"),
        (60 * 85 + 3600, "2 h 25 min"),
        (math.nan, "an unknown time"),
    ],
)
def test_durations_are_for_people(seconds, text):
    assert duration(seconds) == text
