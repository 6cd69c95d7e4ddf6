"""Config: order of defaults, command line, checks, device, data paths."""

import os
from pathlib import Path

import pytest
import torch
from recbole.data import create_dataset, data_preparation

from recbole_micro import Config, options
from recbole_micro.errors import UserError
from recbole_micro.options import config, defaults
from tests.tiny import QUICK, python, write_tiny


def make(model="BPR", dataset="tiny", files=None, **given):
    return Config(model, dataset, files, given)


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


def test_a_data_set_has_defaults_of_its_own_for_a_model(monkeypatch):
    monkeypatch.setattr(defaults, "_added", {})
    defaults.add_text("dataset/shop.yaml", "topk: [5, 20]\nmodels:\n  BPR: {embedding_size: 32}\n")
    defaults.add_text("dataset/mall.yaml", "models: shop\n")
    try:
        sizes = {name: make("BPR", name)["embedding_size"] for name in ("shop", "mall", "tiny")}
        assert sizes == {"shop": 32, "mall": 32, "tiny": 64}
        assert make("BPR", "shop", embedding_size=16)["embedding_size"] == 16
        other = make("LightGCN", "shop")
        assert other["embedding_size"] == 64 and other["topk"] == [5, 20]
        assert "models" not in other.final_config_dict
        assert options.declared("BPR", "mall")["embedding_size"].default == 32
        assert "models" not in options.known_names() and "models" not in options.declared("BPR", "shop")
    finally:
        monkeypatch.undo()
        for cached in (options.plugin_defaults, options.known_names, options.declared):
            cached.cache_clear()


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


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"learning_rat": 1}, r"no option 'learning_rat' \(in config_dict\); did you mean learning_rate\?"),
        ({"epochs": -1}, r"epochs is -1 \(in config_dict\); allowed: whole number >= 0\."),
        ({"learning_rate": "fast"}, "learning_rate is 'fast'"),
        ({"preset": "papr"}, "did you mean paper"),
        ({"gpu_id": "cuda:0"}, "gpu_id is cuda:0: name devices as 0 or 0,1"),
        (
            {"eval_args": {"split": {"RS": [0.8, 0.2]}}},
            r"split \{RS: \[0.8, 0.2\]\}; allowed: ",
        ),
        ({"eval_args": {"split": {"RS": [0, 0.5, 0.5]}}}, "with three shares"),
        ({"eval_args": {"split": {"LS": "valid"}}}, "valid_and_test or valid_only or test_only"),
        ({"eval_args": {"split": {"KS": 1}}}, "split {KS: 1}"),
        ({"metrics": ["Recal"]}, r"no metric 'Recal'; did you mean Recall\?"),
        (
            {"topk": [10], "valid_metric": "Recall@20"},
            "valid_metric is Recall@20, but .* Recall@10, NDCG@10, Precision@10",
        ),
        ({"valid_metric": "MRR@20"}, "valid_metric is MRR@20"),
        ({"eval_args": {"splt": {}}}, "eval_args has no key 'splt'"),
        ({"eval_args": {"mode": "fulll"}}, "mode .fulll. in eval_args is not supported"),
        ({"eval_args": {"mode": "uni"}}, "mode 'uni' in eval_args is not supported: choose full, labeled"),
        ({"eval_args": {"mode": {"valid": "full", "test": "pop"}}}, "mode 'pop' in eval_args"),
        ({"eval_args": {"order": "XX"}}, "eval_args.order is 'XX' .*one of RO, TO"),
        ({"eval_args": {"group_by": "users"}}, "eval_args.group_by is 'users' .*one of user, none or ~"),
        ({"train_neg_sample_args": {"distribution": "zipf"}}, "distribution is 'zipf' .*uniform, popularity"),
        ({"train_neg_sample_args": {"dynamc": True}}, "no key 'dynamc' .*did you mean dynamic"),
        ({"train_neg_sample_args": "{distribution:uniform}"}, "no key 'distribution:uniform'"),
        ({"train_neg_sample_args": {"dynamic": True}}, "dynamic: True without candidates"),
        ({"train_neg_sample_args": {"candidate_num": -2}}, "candidate_num is -2 .*whole number >= 0"),
        ({"train_neg_sample_args": {"sample_num": 0}}, "sample_num is 0 .*whole number > 0"),
        ({"learner": "adamm"}, "learner is 'adamm' .*one of adam, adamw"),
        ({"embedding_size": -1}, "embedding_size is -1 .*whole number >= 1"),
        ({"metrics": ""}, "metrics is empty"),
        ({"metrics": ["Recall", "AUC"]}, "can not be used at the same time"),
        ({"topk": 0}, "topk is 0"),
        ({"load_col": 3}, r"load_col is 3 .*allowed: \{key: value, ...\} or ~"),
    ],
)
def test_mistakes_are_one_sentence(given, sentence):
    with pytest.raises(UserError, match=sentence):
        make(**given)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"topk": [10_000], "valid_metric": "Recall@10000"}, "topk is 10000, but the data set has 16 items"),
        (
            {
                "threshold": {"ratin": 4},
                "eval_args": {"mode": "labeled"},
                "metrics": ["AUC"],
                "valid_metric": "AUC",
            },
            "threshold is {'ratin': 4}: Field .ratin. not in inter_feat",
        ),
        ({"load_col": {"inter": ["user_id"]}}, "load_col reads no item_id of the interactions"),
    ],
)
def test_mistakes_that_only_the_data_show(tmp_path, given, sentence):
    made = make(data_path=str(write_tiny(tmp_path)), **given)
    with pytest.raises(UserError, match=sentence):
        data_preparation(made, create_dataset(made))


def test_null_is_an_answer_where_it_is_declared():
    made = make("BM3", load_col=None, train_neg_sample_args=None, eval_args={"group_by": None})
    assert made["load_col"] is None and made["eval_args"]["group_by"] is None
    with config.own_command_line({"load_col": "~"}):
        assert make()["load_col"] is None


def test_early_stopping_outlasts_micros_first_bump():
    """MICRO has a first best epoch at 4 to 6 and passes it some ten epochs later."""
    made = make()
    assert made["eval_step"] * (made["stopping_step"] + 1) >= 20


def test_mistakes_in_files_name_the_file(tmp_path):
    file = write(tmp_path / "mine.yaml", "knn_kk: 3\n")
    with pytest.raises(UserError, match=r"no option 'knn_kk' \(in .*mine.yaml\); did you mean knn_k\?"):
        make(files=[file])


@pytest.mark.parametrize(
    ("model", "sentence"),
    [("Micro", "did you mean MICRO"), ("LightGNC", "did you mean LightGCN"), (None, "No model is chosen")],
)
def test_unknown_models(model, sentence):
    with pytest.raises(UserError, match=sentence):
        Config(model, "tiny")


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


def test_a_preset_for_micro_leaves_other_models_alone(tmp_path):
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


def cuda(monkeypatch, count):
    """Pretend that `count` CUDA devices are visible; the list of devices that were made current."""
    current = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    return current


@pytest.mark.parametrize(
    ("count", "given", "device"),
    [
        (2, {}, "cuda:0"),
        (2, {"gpu_id": 1}, "cuda:1"),
        (4, {"gpu_id": "[2, 3]"}, "cuda:2"),
        (4, {"gpu_id": (3, 1)}, "cuda:3"),
        (2, {"gpu_id": ""}, "cpu"),
        (2, {"gpu_id": "-1"}, "cpu"),
        (2, {"use_gpu": False}, "cpu"),
        (0, {}, "cpu"),
        (0, {"gpu_id": "3"}, "cpu"),
    ],
)
def test_device(monkeypatch, count, given, device):
    current = cuda(monkeypatch, count)
    made = make(**given)
    assert made["device"] == torch.device(device)
    assert bool(made["use_gpu"]) == device.startswith("cuda")
    assert current == ([made["device"]] if device.startswith("cuda") else [])


def test_a_device_that_is_not_there(monkeypatch):
    cuda(monkeypatch, 2)
    with pytest.raises(UserError, match="gpu_id is 2, but the visible CUDA devices are 0 to 1"):
        make(gpu_id=2)


@pytest.mark.parametrize("visible", ["2,3", "", None])
def test_cuda_visible_devices_is_left_alone(monkeypatch, visible):
    cuda(monkeypatch, 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert make(gpu_id=1)["device"] == torch.device("cuda", 1)
    assert os.environ.get("CUDA_VISIBLE_DEVICES") == visible


GROUP = {"nproc": 2, "world_size": 2, "ip": "localhost", "port": 5678}


@pytest.mark.parametrize(
    ("count", "given", "devices"), [(2, {"gpu_id": 0}, 1), (1, {}, 1), (3, {"nproc": 4}, 3)]
)
def test_too_few_devices_for_the_processes(monkeypatch, count, given, devices):
    cuda(monkeypatch, count)
    processes = given.get("nproc", 2)
    with pytest.raises(UserError, match=rf"{processes} processes .*, but {devices} CUDA device\(s\)"):
        make(**{**GROUP, "local_rank": 0, **given})


@pytest.mark.parametrize(
    "given, device", [({}, "cuda:1"), ({"gpu_id": "2,0"}, "cuda:0"), ({"gpu_id": ""}, "cpu")]
)
def test_each_process_has_a_device_of_its_own(monkeypatch, given, device):
    """Without `gpu_id` they take the visible devices in order."""
    cuda(monkeypatch, 3)
    joined = []
    monkeypatch.setattr("recbole_micro.distributed.join", lambda final, device, wait: joined.append(device))
    made = make(**GROUP, local_rank=1, **given)
    assert [made["device"]] == joined == [torch.device(device)]
    assert not made["single_spec"]


FOREIGN = """
import recbole_micro
from recbole_micro import Config
made = Config("BPR", "tiny")
print("epochs", made["epochs"], "mine", made["my_own"])
"""


def test_a_program_of_ones_own_keeps_its_arguments(tmp_path):
    """RecBole's habit of reading --key=value from any program stays; what is not ours disturbs nothing."""
    arguments = ["input.txt", "-v", "--epochs=7", "--flag", "--name", "value", "--my_own=1/0", "--resume=x"]
    ran = python(FOREIGN, *arguments, cwd=tmp_path)
    assert ran.stdout.split() == ["epochs", "7", "mine", "1/0"], ran.stderr
    assert "no option 'my_own'" in ran.stderr


def test_two_values_for_one_argument_are_refused(monkeypatch):
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    monkeypatch.setattr("sys.argv", ["mine.py", "--epochs=7", "--epochs=7"])
    assert make()["epochs"] == 7
    monkeypatch.setattr("sys.argv", ["mine.py", "--epochs=7", "--epochs=8"])
    with pytest.raises(UserError, match="--epochs is given twice, as '7' and '8'"):
        make()


@pytest.mark.parametrize("program", ["/x/ipykernel_launcher.py", "/x/ray/default_worker.py"])
def test_arguments_of_notebooks_and_ray_workers_are_not_ours(program, monkeypatch):
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    monkeypatch.setattr("sys.argv", [program, "--epochs=7"])
    assert make()["epochs"] == 300


def test_eval_batch_is_chosen_from_the_number_of_items(tmp_path):
    from recbole.data import create_dataset, data_preparation

    write_tiny(tmp_path)
    for given, users in (({}, 256), ({"eval_batch_size": 34}, 2)):
        made = make(data_path=str(tmp_path), **{**QUICK, **given})
        dataset = create_dataset(made)
        assert dataset.item_num == 17, "items without interactions stay"
        _, valid, test = data_preparation(made, dataset)
        assert valid.step == test.step == users
    sampled = make(data_path=str(tmp_path), **QUICK, eval_args={"mode": "uni5"})
    data_preparation(sampled, create_dataset(sampled))
    assert sampled["eval_batch_size"] == 4096


def test_eval_batch_is_bounded_by_memory():
    from recbole_micro.evaluation.loaders import eval_batch_size

    made = make()
    assert eval_batch_size(made, 1000) == 256_000
    assert eval_batch_size(made, 10**6) == 67 * 10**6
    assert eval_batch_size(made, 10**9) == 10**9
    assert eval_batch_size(make("NeuMF"), 1000) == 4096
