"""Every option of a configuration, in every kind of data set, changes what is built or is refused.

`CHANGED` gives each option another value than its default, and the others that it needs to have its effect.
What is built is looked at from outside: the data, the loaders and their batches, the model and its weights,
the trainer, the lines of the log, the losses and the scores.
"""

import logging
from functools import lru_cache

import pytest
import torch

from recbole_micro import Config
from recbole_micro.errors import UserError
from recbole_micro.options import defaults
from recbole_micro.training.experiment import build
from tests.support import every

ALL = {"load_col": None}
PRICES = {"load_col": {**every.LABELS}, "model": "FM", **every.BY_KIND["CONTEXT"]}
TIMES = every.BY_KIND["SEQUENTIAL"]
GRAPH = every.BY_KIND["KNOWLEDGE"]
COLD = {"cold_start": True}
# option -> (value, the options with which it has an effect)
CHANGED = {
    "seed": (1, {}),
    "worker": (1, {}),
    "state": ("CRITICAL", {}),
    "reproducibility": (False, {}),
    "data_path": ("elsewhere", {}),
    "checkpoint_dir": ("elsewhere", {}),
    "save_dataset": (True, {}),
    "dataset_save_path": ("x.pth", {}),
    "save_dataloaders": (True, {}),
    "dataloaders_save_path": ("x.pth", {}),
    "shuffle": (False, {}),
    "epochs": (1, {}),
    "train_batch_size": (7, {}),
    "learner": ("sgd", {}),
    "learning_rate": (0.5, {}),
    "train_neg_sample_args": ({"distribution": "popularity"}, {}),
    "eval_step": (2, {}),
    "stopping_step": (0, {}),
    "clip_grad_norm": ({"max_norm": 1e-6}, {"learner": "sgd"}),
    "weight_decay": (0.9, {}),
    "relative_weight_decay": (0.9, {}),
    "init_from": ("none.pth", {}),
    "loss_decimal_place": (1, {}),
    "require_pow": (True, {"model": "LightGCN", "reg_weight": 0.9}),
    "enable_amp": (True, {}),
    "transform": ("mask_itemseq", {"model": "SASRec", **TIMES, "train_neg_sample_args": None}),
    "eval_args": ({"order": "TO"}, ALL),
    "repeatable": (False, {"model": "SASRec", **TIMES, "train_neg_sample_args": None}),
    "metrics": (["Hit"], {}),
    "topk": ([3], {}),
    "valid_metric": ("NDCG@5", {}),
    "valid_metric_bigger": (False, {}),
    "eval_batch_size": (25, {}),
    "metric_decimal_place": (1, {}),
    "protocol": ("paper", {}),
    "ndcg_ideal": ("hits", {}),
    "cold_start": (lambda kind: kind != "cold", {"model": "MICRO"}),
    "cold_selection": ("warm", {"model": "MICRO"}),
    "cold_item_id": ("untrained", {"model": "MICRO"}),
    "official_negatives": (True, {}),
    "missing": ("neighbours", {"model": "MICRO", "missing_share": 0.4}),
    "missing_share": (0.4, {}),
    "missing_seed": (1, {"missing_share": 0.4}),
    "missing_modalities": (["visual"], {"missing_share": 0.4}),
    "save_last": (False, {}),
    "field_separator": (",", {}),
    "seq_separator": (",", ALL),
    "USER_ID_FIELD": ("x", {}),
    "ITEM_ID_FIELD": ("x", {}),
    "RATING_FIELD": ("timestamp", {"model": "DMF", "inter_matrix_type": "rating", **ALL}),
    "TIME_FIELD": ("x", TIMES),
    "seq_len": ({"class": 1}, ALL),
    "LABEL_FIELD": ("rating", {"model": "FM", **every.BY_KIND["CONTEXT"], "load_col": None}),
    "threshold": ({"rating": 4}, {**ALL, "model": "FM", "eval_args": {"mode": "labeled"}}),
    "NEG_PREFIX": ("other_", {}),
    "numerical_features": (["price"], {**PRICES}),
    "load_col": (None, {}),
    "unload_col": ({"inter": ["rating"]}, ALL),
    "unused_col": ({"inter": ["rating"]}, ALL),
    "additional_feat_suffix": (["emb"], ALL),
    "rm_dup_inter": ("first", ALL),
    "val_interval": ({"rating": "[3,inf)"}, ALL),
    "filter_inter_by_user_or_item": (False, {**ALL, "val_interval": {"price": "[5,inf)"}}),
    "user_inter_num_interval": ("[11,inf)", {}),
    "item_inter_num_interval": ("[5,inf)", {}),
    "alias_of_user_id": (["age"], ALL),
    "alias_of_item_id": (["iid"], {**ALL, "additional_feat_suffix": ["emb"]}),
    "alias_of_entity_id": (["x"], {"model": "CFKG", **GRAPH}),
    "alias_of_relation_id": (["x"], {"model": "CFKG", **GRAPH}),
    "preload_weight": (
        {"iid": "emb"},
        {**ALL, "additional_feat_suffix": ["emb"], "alias_of_item_id": ["iid"]},
    ),
    "normalize_field": (["price"], ALL),
    "normalize_all": (True, ALL),
    "discretization": ({"price": {"method": "ED", "bucket": 3}}, {**PRICES, "numerical_features": ["price"]}),
    "ITEM_LIST_LENGTH_FIELD": ("x", {"model": "SASRec", **TIMES, "train_neg_sample_args": None}),
    "LIST_SUFFIX": ("_x", {"model": "SASRec", **TIMES, "train_neg_sample_args": None}),
    "MAX_ITEM_LIST_LENGTH": (3, {"model": "SASRec", **TIMES, "train_neg_sample_args": None}),
    "HEAD_ENTITY_ID_FIELD": ("x", {"model": "CFKG", **GRAPH}),
    "TAIL_ENTITY_ID_FIELD": ("x", {"model": "CFKG", **GRAPH}),
    "RELATION_ID_FIELD": ("x", {"model": "CFKG", **GRAPH}),
    "ENTITY_ID_FIELD": ("x", {"model": "CFKG", **GRAPH}),
    "kg_reverse_r": (True, {"model": "CFKG", **GRAPH}),
    "entity_kg_num_interval": ("[3,inf)", {"model": "CFKG", **GRAPH}),
    "relation_kg_num_interval": ("[13,inf)", {"model": "CFKG", **GRAPH}),
    "benchmark_filename": (["train", "valid"], {}),
    "encoding": ("utf-16", {}),
    "preset": (["visual"], {"model": "MICRO"}),
    "plugins": (["none.py"], {}),
    "resume": ("none.pth", {}),
    "config_files": (["none.yaml"], {}),
    "nproc": (2, {}),
    "world_size": (2, {}),
    "ip": ("elsewhere", {}),
    "port": (1234, {}),
    "group_offset": (1, {}),
    "offset": (1, {}),
    "join_timeout": (1, {}),
    "modalities": (["visual"], {"model": "MICRO"}),
}
# Options whose effect shows nowhere here.
ELSEWHERE = {
    "gpu_id": "one of several CUDA devices: tests/options/test_devices.py",
    "use_gpu": "there is no GPU",
    "enable_scaler": "scales losses on a GPU only; on the CPU RecBole's scaler does nothing",
    "show_progress": "bars on a terminal",
    "graph_cache": "keeps graphs of 2,000 items or more: tests/models/test_graph_cache.py",
    "device_batches": "on CUDA alone: tests/training/device/test_batches.py",
    "replay_steps": "on CUDA alone: tests/test_cuda.py",
    "memory_check": "asks how much memory is free: tests/models/test_memory_check.py",
    "download": "the data are there: tests/data/test_missing.py",
    "log_wandb": "sends to a service",
    "log_mlflow": "keeps runs in a place of its own: tests/training/test_tracking.py",
    "mlflow_experiment": "likewise",
    "wandb_project": "the name of a project of that service",
    "local_rank": "set by the launcher, and waits for other processes: tests/test_distributed.py",
    "POSITION_FIELD": "RecBole names a field that nothing reads",
    "model": "chosen beside the options",
    "dataset": "chosen beside the options",
}
KINDS = ("ordinary", "fixed", "cold")


def names():
    """Every option that is no model's."""
    files = ("overall.yaml", "dataset/sample.yaml")
    recbole = {name for file in files for name in defaults.recbole_declarations(file)}
    ours = {name for file in (*files, "launch.yaml") for name in defaults.plugin_defaults(file)}
    return sorted(recbole | ours)


def test_every_option_is_looked_at():
    of_models = {"modalities", "encoding", "model", "dataset"}
    assert {*CHANGED, *ELSEWHERE} - of_models == set(names())
    assert not CHANGED.keys() & ELSEWHERE.keys()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    from dataset_tools.commands.command_line import main

    folder = tmp_path_factory.mktemp("data")
    every.write_every(folder, "ordinary")
    twice = folder / "ordinary" / "ordinary.inter"
    twice.write_text(twice.read_text() + twice.read_text().splitlines()[1] + "\n")
    every.write_every(folder, "fixed", parts=True)
    assert main(["split", "ordinary", "--cold", "0.2", "--to-name", "cold", "--data-path", str(folder)]) == 0
    return folder


def observed(folder, kind, given):
    """What an onlooker sees of a run: a list of texts."""
    options = (
        every.SMALL
        | {"epochs": 3, "data_path": str(folder), "eval_step": 1, "stopping_step": 5, "topk": [5]}
        | given
    )
    model = options.pop("model", "BPR")
    config = Config(model, kind, config_dict=options)
    torch.backends.cudnn.deterministic = False
    made = build(config)
    data, trainer = made.dataset, made.trainer
    seen = [config["state"], torch.backends.cudnn.deterministic, config["data_path"], repr(made.model)]
    seen += [data.user_num, data.item_num, sorted(data.field2type), sorted(data.field2seqlen.items())]
    seen += [sorted(map(str, data._preloaded_weight)), data.alias]
    for frame in (data.inter_feat, data.item_feat, data.user_feat):
        seen += [] if frame is None else [frame.interaction if hasattr(frame, "interaction") else frame]
    for loader in (made.train_data, made.valid_data, made.test_data):
        seen += [
            len(loader),
            getattr(loader, "num_workers", 0),
            loader._dataset.inter_num,
            getattr(loader, "step", 0),
        ]
        seen += [type(getattr(loader, "transform", None)).__name__]
    plain = (bool, int, float, str, dict, type(None))
    seen.append(
        {name: one for name, one in vars(trainer).items() if isinstance(one, plain) and "file" not in name}
    )
    seen.append(trainer.checkpoint_dir)
    trainer.fit(made.train_data, made.valid_data, saved=True, show_progress=False)
    seen.append(next(iter(made.train_data)).interaction)  # dynamic negatives need the trained model
    seen += [trainer.keeps_last, trainer.train_loss_dict, trainer.best_valid_result, trainer.cur_step]
    seen += [trainer._generate_train_loss_output(0, 0.0, 1.0, 0.123456789), str(type(trainer.optimizer))]
    seen += [trainer.evaluate(made.test_data, load_best_model=False), sorted(made.model.state_dict().items())]
    torch.set_printoptions(profile="full")
    return [str(one) for one in seen]


@lru_cache
def usual(folder, kind, needs):
    return observed(folder, kind, dict(NEEDS[needs]))


NEEDS: dict[str, dict] = {}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CHANGED)
@pytest.mark.slow
def test_an_option_changes_something_or_is_refused(folder, kind, name, caplog):
    value, needs = CHANGED[name]
    value = value(kind) if callable(value) else value
    NEEDS[str(needs)] = needs
    try:
        before = usual(folder, kind, str(needs))
    except UserError as refused:
        before = str(refused)  # which the option may mend
    with caplog.at_level(logging.WARNING):
        try:
            after = observed(folder, kind, {**needs, name: value})
        except UserError as refused:
            if isinstance(before, str) and kind != "ordinary":
                pytest.skip(f"{needs} is refused of itself: {before}")
            assert not isinstance(before, str), before
            assert len(str(refused)) < 450
            return
    assert before != after or any(name in line and "changes nothing" in line for line in caplog.messages)
