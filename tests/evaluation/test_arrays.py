"""The loaders give what RecBole's own give: the same batches in the same order, by the same draws."""

import numpy as np
import pytest
import torch
from recbole.config import Config as RecBoleConfig

from recbole_micro import Config
from recbole_micro.data.batches import OnArrays
from recbole_micro.evaluation.collector import Collector
from recbole_micro.training.experiment import build
from tests.support.recbole_runs import COLUMNS
from tests.support.tiny import write_tiny

OPTIONS = {
    "state": "ERROR", "show_progress": False, "gpu_id": "", "epochs": 2, "eval_step": 1, "embedding_size": 8,
    "topk": [5], "metrics": ["Recall", "NDCG", "MAP"], "valid_metric": "Recall@5", "metric_decimal_place": 10,
    "eval_batch_size": 100, "train_batch_size": 40,
    "eval_args": {"split": {"RS": [0.6, 0.2, 0.2]}, "order": "RO"},
    "load_col": {"inter": ["user_id", "item_id"], "item": ["item_id"]},
}  # fmt: skip
UNIFORM = {"distribution": "uniform", "sample_num": 2, "alpha": 1.0}
HARDEST = {**UNIFORM, "dynamic": True, "candidate_num": 3}
SPLIT = OPTIONS["eval_args"]
LAST = {"split": {"LS": "valid_and_test"}, "order": "TO"}
TIMED = {"load_col": {"inter": ["user_id", "item_id", "timestamp"]}, "eval_args": LAST}
CASES = {
    "pairs": ("BPR", {}),
    "two pairs by popularity": ("BPR", {"train_neg_sample_args": {**UNIFORM, "distribution": "popularity"}}),
    "hardest": ("BPR", {"train_neg_sample_args": {**HARDEST, "sample_num": 1}}),
    "two hardest": ("BPR", {"train_neg_sample_args": HARDEST}),
    "points": ("DMF", {"train_neg_sample_args": UNIFORM}),
    "columns": ("FM", {"load_col": COLUMNS, "eval_args": {**SPLIT, "mode": "full"}}),
    "labels": ("FM", {"load_col": COLUMNS, "eval_args": {**SPLIT, "mode": "labeled"}, "valid_metric": "AUC",
                      "metrics": ["AUC", "LogLoss"], "train_neg_sample_args": None}),
    "sampled": ("BPR", {"eval_args": {**SPLIT, "mode": "uni6"}}),
    "sampled by popularity": ("BPR", {"eval_args": {**SPLIT, "mode": "pop4"}, "load_col": COLUMNS}),
    "users": ("MultiVAE", {}),
    "graph": ("LightGCN", {}),
    "sequences": ("GRU4Rec", {**TIMED, "loss_type": "BPR"}),
    "sampled after sequences": ("GRU4Rec", {**TIMED, "loss_type": "BPR",
                                            "eval_args": {**LAST, "mode": "uni6"}}),
    "masked sequences": ("BERT4Rec", {**TIMED, "train_neg_sample_args": None, "hidden_size": 8,
                                      "inner_size": 8, "eval_args": {**LAST, "mode": "uni6"}}),
}  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Folder with the tiny data set, columns of every kind and a time of each interaction."""
    folder = write_tiny(tmp_path_factory.mktemp("data"), users=30, items=24, columns=True)
    file = folder / "tiny" / "tiny.inter"
    head, *lines = file.read_text().splitlines()
    rows = [f"{line}\t{number * 7 % 311}" for number, line in enumerate(lines)]
    file.write_text("\n".join([f"{head}\ttimestamp:float", *rows]) + "\n")
    return folder


def made(kind, data, tmp_path, case):
    model, more = CASES[case]
    given = {"data_path": str(data), "checkpoint_dir": str(tmp_path), **OPTIONS, **more}
    return build(kind(model, "tiny", config_dict=given))


def flat(batch):
    """Tensors by name of whatever a loader gives; who is masked or positive, in order."""
    if not isinstance(batch, tuple):
        return {name: batch[name] for name in batch.columns}
    first, second, rows, items = batch
    found = flat(first)
    if isinstance(second, tuple):
        found["masked"] = torch.stack(second).unique(dim=1)
    elif second is not None:
        found["rows"] = second
    if rows is not None:
        found["positive"] = torch.stack([rows, items]).unique(dim=1)
    return found


@pytest.mark.parametrize("case", CASES)
def test_batches_are_recboles(case, data, tmp_path):
    found = []
    for kind in (RecBoleConfig, Config):
        parts = made(kind, data, tmp_path, case)
        loaders = (parts.train_data, parts.valid_data, parts.test_data)
        assert all(isinstance(one, OnArrays) == (kind is Config) for one in loaders)
        if hasattr(loaders[0], "get_model"):
            loaders[0].get_model(parts.model)
        np.random.seed(3)
        torch.manual_seed(3)
        batches = [[flat(batch) for batch in loader] for loader in loaders for _ in range(2)]
        state = loaders[0].generator.get_state()
        found.append((batches, (np.random.random(), state), [len(loader) for loader in loaders]))
    (expected, state, sizes), (ours, our_state, our_sizes) = found
    assert sizes == our_sizes and state[0] == our_state[0] and torch.equal(state[1], our_state[1])
    for theirs, own in zip(expected, ours, strict=True):
        for one, other in zip(theirs, own, strict=True):
            assert one.keys() == other.keys()
            for name in one:
                assert one[name].dtype == other[name].dtype and torch.equal(one[name], other[name]), name


@pytest.mark.parametrize("case", ["pairs", "sampled", "columns", "labels", "users", "graph", "sequences"])
def test_trainings_end_as_recboles(case, data, tmp_path):
    ends = []
    for kind in (RecBoleConfig, Config):
        parts = made(kind, data, tmp_path, case)
        score, valid = parts.trainer.fit(parts.train_data, parts.valid_data, saved=False)
        test = parts.trainer.evaluate(parts.test_data, load_best_model=False)
        ends.append((dict(valid), dict(test), parts.trainer.train_loss_dict))
    for theirs, ours in zip(*ends, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-5 if case == "labels" else 1e-6, abs=1e-9)


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_of_other_processes(workers, data, tmp_path):
    model, more = CASES["pairs"]
    given = {"data_path": str(data), "checkpoint_dir": str(tmp_path), **OPTIONS, "worker": workers}
    parts = build(Config(model, "tiny", config_dict=given))
    users = torch.cat([batch["user_id"] for batch in parts.train_data])
    assert torch.equal(users.sort().values, parts.train_data._dataset.inter_feat["user_id"].sort().values)


@pytest.mark.parametrize("metrics", [["Recall", "NDCG", "ItemCoverage", "GAUC"], ["Hit"]])
def test_the_collector_collects_what_recboles_does(metrics, data):
    from recbole.evaluator import Collector as RecBoleCollector

    given = {**OPTIONS, "data_path": str(data), "metrics": metrics, "valid_metric": metrics[0] + "@5"}
    config = Config("BPR", "tiny", config_dict=given)
    generator = torch.Generator().manual_seed(1)
    found = []
    batches = [
        (torch.rand(users, 30, generator=generator), torch.randint(users, (9,), generator=generator),
         torch.randint(30, (9,), generator=generator))
        for users in (7, 4)
    ]  # fmt: skip
    batches.append((torch.rand(3, 30, generator=generator), torch.empty(0).long(), torch.empty(0).long()))
    for kind in (RecBoleCollector, Collector):
        collector = kind(config)
        for _ in range(2):  # the second time nothing of the first is left
            for scores, rows, items in batches:
                collector.eval_batch_collect(scores, None, rows, items)
            struct = collector.get_data_struct()
        found.append(
            {name: struct.get(name) for name in ("rec.items", "rec.topk", "rec.meanrank") if name in struct}
        )
    theirs, ours = found
    assert theirs.keys() == ours.keys() and len(theirs)
    for name in theirs:
        assert theirs[name].dtype == ours[name].dtype and torch.equal(theirs[name], ours[name])
