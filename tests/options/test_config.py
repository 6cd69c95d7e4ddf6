"""Config: order of defaults, presets, what strings mean, data paths."""

import logging
from pathlib import Path

from recbole_micro import Config, options
from recbole_micro.options import config, defaults
from tests.options.shared import make
from tests.support.tiny import write_tiny


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


LAYERS = [
    "recbole overall",
    "plugin overall",
    "recbole model",
    "plugin model",
    "recbole data",
    "plugin data",
    "model on data",
]


def test_order_of_defaults(monkeypatch, tmp_path):
    """Each source beats all before it; RecBole's files and ours are stood in for."""
    names = [*LAYERS, "preset", "file", "second file", "dictionary", "command line"]
    keys = {name: f"k{index}" for index, name in enumerate(names)}

    def layer(name):
        return {keys[stronger]: name for stronger in names[names.index(name) :]}

    recbole = {"overall.yaml": "recbole overall", "BPR.yaml": "recbole model", "ml-100k.yaml": "recbole data"}
    ours = {
        "overall.yaml": "plugin overall",
        "model/BPR.yaml": "plugin model",
        "dataset/ml-100k.yaml": "plugin data",
        "preset/textual.yaml": "preset",
    }
    read_defaults, plugin_defaults = defaults.read_defaults, defaults.plugin_defaults

    def both(read, table, key):
        return {**read, **(layer(table[key]) if key in table else {})}

    monkeypatch.setattr(
        defaults, "read_defaults", lambda path: both(read_defaults(path), recbole, Path(path).name)
    )
    monkeypatch.setattr(defaults, "plugin_defaults", lambda file: both(plugin_defaults(file), ours, file))
    monkeypatch.setattr(defaults, "data_defaults", lambda model, dataset: layer("model on data"))
    monkeypatch.setattr(defaults, "known_names", lambda: frozenset([*keys.values(), "preset"]))
    files = [
        write(tmp_path / f"{name}.yaml", "".join(f"{k}: {v}\n" for k, v in layer(name).items()))
        for name in ("file", "second file")
    ]
    with config.own_command_line(layer("command line")):
        made = Config("BPR", "ml-100k", files, {**layer("dictionary"), "preset": "textual"})
    assert [made[keys[name]] for name in names] == names


def test_a_data_set_has_defaults_of_its_own_for_a_model(own_models):
    defaults.add_text("dataset/shop.yaml", "topk: [5, 20]\nmodels:\n  BPR: {embedding_size: 32}\n")
    defaults.add_text("dataset/mall.yaml", "models: shop\n")
    sizes = {name: make("BPR", name)["embedding_size"] for name in ("shop", "mall", "tiny")}
    assert sizes == {"shop": 32, "mall": 32, "tiny": 64}
    assert make("BPR", "shop", embedding_size=16)["embedding_size"] == 16
    other = make("LightGCN", "shop")
    assert other["embedding_size"] == 64 and other["topk"] == [5, 20]
    assert "models" not in other.final_config_dict
    assert options.declared("BPR", "mall")["embedding_size"].default == 32
    assert "models" not in options.known_names() and "models" not in options.declared("BPR", "shop")


def test_plugin_protocol_and_recbole_model_defaults():
    made = make("LightGCN")
    assert made["topk"] == [20]
    assert made["valid_metric"] == "Recall@20"
    assert made["metric_decimal_place"] == 6
    assert made["n_layers"] == 2
    assert made["reg_weight"] == 1e-5
    assert made["load_col"] == {"inter": ["user_id", "item_id"], "item": ["item_id"]}
    assert made["eval_args"]["split"] == {"RS": [0.8, 0.1, 0.1]}


def test_context_models_keep_recbole_evaluation():
    made = make("DeepFM", "ml-100k")
    assert made["metrics"] == ["AUC", "LogLoss"]
    assert made["load_col"]["user"] == ["user_id", "age", "gender", "occupation"]


def test_strings_of_dictionaries_and_command_lines_are_read():
    with config.own_command_line({"learning_rate": "1e-3", "topk": "5,10", "valid_metric": "NDCG@10"}):
        made = make(train_batch_size="256", mlp_hidden_size="[64, 32]", user_inter_num_interval="[5,inf)")
    assert (made["learning_rate"], made["topk"], made["valid_metric"]) == (0.001, [5, 10], "NDCG@10")
    assert (made["train_batch_size"], made["mlp_hidden_size"]) == (256, [64, 32])
    assert made["user_inter_num_interval"] == "[5,inf)"


def test_names_stay_strings():
    made = Config(config_dict={"model": "BPR", "dataset": "2018", "USER_ID_FIELD": "1e3"})
    assert (made["model"], made["dataset"], made["USER_ID_FIELD"]) == ("BPR", "2018", "1e3")
    assert Config("BPR", config_dict={"dataset": 2018})["dataset"] == "2018"


def test_strings_are_never_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    attack = "__import__('os').mkdir('made')"
    with config.own_command_line({"wandb_project": attack}):
        made = make(mlp_hidden_size=attack, checkpoint_dir="saved")
    assert made["wandb_project"] == attack
    assert not (tmp_path / "made").exists()


def test_the_dictionary_is_not_changed():
    given = {"train_neg_sample_args": {"distribution": "uniform"}, "eval_args": {"order": "TO"}, "seed": "1"}
    copy = {key: dict(value) if isinstance(value, dict) else value for key, value in given.items()}
    made = Config("BPR", "tiny", None, given)
    assert given == copy
    assert made["train_neg_sample_args"]["sample_num"] == 1
    assert made["eval_args"]["group_by"] == "user"


def test_null_is_an_answer_where_it_is_declared():
    made = make("BM3", load_col=None, train_neg_sample_args=None, eval_args={"group_by": None})
    assert made["load_col"] is None and made["eval_args"]["group_by"] is None
    with config.own_command_line({"load_col": "~"}):
        assert make()["load_col"] is None


def test_early_stopping_outlasts_micros_first_bump():
    """MICRO has a first best epoch at 4 to 6 and passes it some ten epochs later."""
    made = make()
    assert made["eval_step"] * (made["stopping_step"] + 1) >= 20


def test_a_model_of_ones_own_has_options_of_its_own():
    from recbole.model.general_recommender import BPR

    class Mine(BPR):
        pass

    assert Config(Mine, "tiny", config_dict={"my_option": "3"})["my_option"] == 3


def test_value_metrics_need_no_k():
    made = make(metrics="AUC", valid_metric="AUC", eval_args={"mode": "labeled"})
    assert made["valid_metric"] == "AUC"


def test_items_can_be_set_freely():
    made = make()
    made["anything"] = 1
    assert made["anything"] == 1


def test_notices_of_a_preset_are_in_the_printed_configuration():
    text = str(make("MICRO", preset=["paper", "official"]))
    assert text.count("Notice: ") == 4
    for difference in ("users drawn uniformly", "decay of the learning rate", "momentum", "NaN", "0-core"):
        assert difference in text
    assert "Notice: " not in str(make("MICRO"))


def test_a_preset_for_micro_leaves_other_models_alone(own_models, tmp_path):
    own = write(
        tmp_path / "own.py",
        "from recbole_micro.models.micro import MICRO\n\n\nclass Own(MICRO):\n    pass\n",
    )
    plain, with_preset = (make("BPR", **given) for given in ({}, {"preset": ["textual", "paper"]}))
    assert with_preset.notices == ["The preset paper is for MICRO: BPR is as without it."]
    changed = {"preset", "modalities"}
    assert {k: v for k, v in with_preset.final_config_dict.items() if k not in changed} == {
        k: v for k, v in plain.final_config_dict.items() if k not in changed
    }
    assert make("MICRO", preset="paper")["learning_rate"] == 5e-4
    assert make("Own", preset="paper", plugins=own)["learning_rate"] == 5e-4


def test_data_path_of_ml_100k_is_ours(tmp_path):
    assert make("BPR", "ml-100k", data_path=str(tmp_path))["data_path"] == str(tmp_path / "ml-100k")


def test_a_fixed_split_is_found(tmp_path):
    write_tiny(tmp_path, "split", parts=True)
    write_tiny(tmp_path, "whole")
    assert make(dataset="split", data_path=str(tmp_path))["benchmark_filename"] == ["train", "valid", "test"]
    assert make(dataset="whole", data_path=str(tmp_path))["benchmark_filename"] is None


def test_an_option_of_another_model_is_said_to_change_nothing(given, caplog):
    with caplog.at_level(logging.WARNING):
        Config("BPR", "tiny", config_dict={**given, "knn_k": 5})
        Config("MICRO", "tiny", config_dict={**given, "knn_k": 5})
    said = [line for line in caplog.messages if "changes nothing" in line]
    assert said == ["BPR has no option knn_k (in config_dict): it changes nothing."]
