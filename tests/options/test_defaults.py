"""The shipped YAML files: every option is declared, explained, and its value allowed."""

import pytest

from recbole_micro import options
from recbole_micro.errors import UserError
from recbole_micro.models.registry import MODELS
from recbole_micro.options import defaults, schema


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


def own_files():
    folders = {folder: options.stems(folder) for folder in ("model", "dataset")}
    found = [f"{folder}/{name}.yaml" for folder, names in folders.items() for name in names]
    return ["overall.yaml", "launch.yaml", *found]


@pytest.mark.parametrize("file", own_files())
def test_every_shipped_option_is_declared_and_its_default_is_allowed(file):
    """Declared where its default stands, or in a file that this one refines."""
    stem = file.rpartition("/")[2].removesuffix(".yaml")
    declared = options.declared(stem, stem)
    for name in options.plugin_defaults(file).keys() - {"models"}:
        option, default = declared[name], options.plugin_defaults(file)[name]
        assert option.kinds, f"{name} in {file} has no (kind)"
        assert option.help, f"{name} in {file} has no help"
        assert option.read(default, file) == default


@pytest.mark.parametrize("dataset", options.stems("dataset"))
def test_data_sets_give_models_options_that_they_have_and_values_that_are_allowed(dataset):
    for model in options.model_names():
        for name, default in options.data_defaults(model, dataset).items():
            option = options.declared(model, dataset)[name]
            assert option.kinds and option.default == option.read(default, dataset) == default


@pytest.mark.parametrize("name", options.stems("preset"))
def test_presets_hold_known_options_and_allowed_values(name):
    values = dict(options.plugin_defaults(f"preset/{name}.yaml"))
    assert all(isinstance(line, str) for line in values.pop("notice", []))
    assert set(values.pop("models", [])) <= set(MODELS)
    every = {}
    for model in MODELS:
        every.update(options.declared(model, ""))
    for option, value in values.items():
        assert every[option].read(value, name) == value


@pytest.mark.parametrize("model", options.model_names())
def test_recbole_defaults_pass_their_own_checks(model):
    for option in options.declared(model, "ml-100k").values():
        if option.kinds:
            option.read(option.default, option.source)


def test_known_names_come_from_everywhere():
    known = options.known_names()
    assert {"knn_k", "n_layers", "ssl_tau", "topk", "load_col", "nproc", "config_files", "model"} <= known
    assert "notice" not in known
    assert "knn_kk" not in known


def test_presets_in_order_and_unknown():
    chosen = options.presets("paper,official")
    assert [chosen[name]["adjacency"] for name in chosen] == ["symmetric", "mean_self_loop"]
    assert options.presets(None) == {}
    with pytest.raises(UserError, match=r"no preset 'offical'; did you mean official\?"):
        options.presets(["offical"])
