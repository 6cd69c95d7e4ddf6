"""Every model's YAML file explains its keys, and its search space has values that its options allow."""

import pytest

from recbole_micro import options
from recbole_micro.models.registry import MODELS
from recbole_micro.options import defaults, schema
from recbole_micro.tuning import space as space_module


@pytest.mark.parametrize("name", MODELS)
def test_every_option_is_declared_and_explained(name):
    file = f"model/{name}.yaml"
    found = schema.parse_declarations(defaults.plugin_text(file), file)
    assert set(found) == set(options.plugin_defaults(file))
    for option in found.values():
        known = option.name == "train_neg_sample_args"  # RecBole's own, with another default
        assert known or option.kinds and option.help.endswith("."), option.name
        if option.kinds:
            assert option.read(option.default, "in the file") == option.default


@pytest.mark.parametrize("name", options.stems("space"))
def test_the_search_space_suits_the_model(name):
    space = options.plugin_defaults(f"space/{name}.yaml")
    assert space_module.read_space(space)
    declared = options.declared(name, "")
    for values in space.values():
        for option, choices in values.items():
            shared = declared[option].source in ("overall.yaml", "dataset/sample.yaml")
            assert not shared or option in ("learning_rate", "weight_decay"), option
            for value in choices:
                declared[option].read(value, "in the space")


def test_every_model_of_ours_has_a_search_space_around_its_defaults():
    for name in MODELS:
        choices = options.plugin_defaults(f"space/{name}.yaml")["choice"]
        for option, values in choices.items():
            assert options.declared(name, "")[option].default in values, (name, option)
