"""Search spaces: how they are read, and the shipped ones."""

import math

import pytest

from recbole_micro import options
from recbole_micro.errors import UserError
from recbole_micro.models.registry import MODELS
from recbole_micro.options import defaults
from recbole_micro.tuning import space as space_module


def test_read_space(tmp_path):
    file = tmp_path / "space.yaml"
    file.write_text("choice:\n  knn_k: [5, 10]\nloguniform:\n  learning_rate: [1e-4, 1e-2]\n")
    assert space_module.read_space(file) == {
        "choice": {"knn_k": [5, 10]},
        "loguniform": {"learning_rate": [math.log(1e-4), math.log(1e-2)]},
    }


@pytest.mark.parametrize(
    ("space", "sentence"),
    [
        ({}, "is empty"),
        ({"choices": {"knn_k": [1]}}, "has 'choices': write"),
        ({"choice": [1]}, "has 'choice': write"),
        ({"choice": {"knn_kk": [1]}}, "names no option: 'knn_kk'; did you mean knn_k"),
        ({"choice": {"knn_k": 3}}, "which wants a list of values"),
        ({"uniform": {"tau": [0.5]}}, r"which wants \[low, high\]"),
        ({"uniform": {"tau": [0.5, 0.1]}}, r"which wants \[low, high\]"),
        ({"quniform": {"tau": [0.1, 0.5]}}, r"which wants \[low, high, step\]"),
        ({"loguniform": {"tau": [0, 0.5]}}, r"which wants \[low, high\]"),
        ({"loguniform": {"tau": ["a", "b"]}}, r"which wants \[low, high\]"),
    ],
)
def test_refused_spaces(space, sentence):
    with pytest.raises(UserError, match=sentence):
        space_module.read_space(space)


@pytest.mark.parametrize("model", options.stems("space"))
def test_shipped_spaces_hold_values_that_the_options_may_have(model):
    space = space_module.read_space(defaults.properties() / "space" / f"{model}.yaml")
    space_module.check_space(space, options.declared(model, "baby"))


@pytest.mark.parametrize("name", options.stems("space"))
def test_the_search_space_suits_the_model(name):
    space = options.plugin_defaults(f"space/{name}.yaml")
    assert space_module.read_space(space)
    declared = options.declared(name, "")
    for values in space.values():
        for option, choices in values.items():
            shared = declared[option].source in ("overall.yaml", "dataset/sample.yaml")
            assert not shared or option in ("learning_rate", "relative_weight_decay"), option
            for value in choices:
                declared[option].read(value, "in the space")


def test_every_model_of_ours_has_a_search_space_around_its_defaults():
    for name in MODELS:
        choices = options.plugin_defaults(f"space/{name}.yaml")["choice"]
        for option, values in choices.items():
            assert options.declared(name, "")[option].default in values, (name, option)
