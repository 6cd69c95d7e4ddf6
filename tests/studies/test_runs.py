"""The runs of a study: which ones there are, and how seeds and varied options are read."""

import pytest
import yaml

from recbole_micro.errors import UserError
from recbole_micro.studies import runs as runs_module
from tests.studies.shared import runs


def test_the_grid_varies_only_options_that_a_model_has():
    assert [(run.label, run.seed) for run in runs()] == [
        ("BPR", 1),
        ("BPR", 2),
        *((f"MICRO (knn_k={k})", seed) for k in (2, 3) for seed in (1, 2)),
    ]
    assert yaml.safe_load(runs()[-1].text) == {
        "model": "MICRO",
        "seed": 2,
        "knn_k": 3,
        "dataset": "tiny",
        "epochs": 2,
    }


@pytest.mark.parametrize(("text", "seeds"), [("3", [7, 8, 9]), ("1,5", [1, 5]), ("4,", [4])])
def test_seeds(text, seeds):
    assert runs_module.read_seeds(text, first=7) == seeds


@pytest.mark.parametrize("text", ["0", "a", "-1", "1.5", ""])
def test_refused_seeds(text):
    with pytest.raises(UserError, match="--seeds is "):
        runs_module.read_seeds(text)


def test_vary():
    assert runs_module.read_vary("knn_k=5,10; preset=visual,textual;tau=0.5") == {
        "knn_k": [5, 10],
        "preset": ["visual", "textual"],
        "tau": [0.5],
    }
    with pytest.raises(UserError, match="no option 'knnk' .*did you mean knn_k"):
        runs_module.read_vary("knnk=5")
    with pytest.raises(UserError, match="--vary has 'knn_k': write option=value"):
        runs_module.read_vary("knn_k")
