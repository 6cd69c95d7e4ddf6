"""A guest in RecBole's house: what RecBole's own programs get with the plugin imported is RecBole's."""

import logging
from pathlib import Path

import numpy as np
import pytest
import recbole.config
import recbole.quick_start
from recbole.config import Config as RecBoleConfig
from recbole.data import create_dataset, data_preparation
from recbole.data.dataloader import FullSortEvalDataLoader, TrainDataLoader
from recbole.data.dataset import Dataset
from recbole.data.interaction import Interaction
from recbole.evaluator import Collector
from recbole.model.general_recommender import BPR
from recbole.sampler import Sampler
from recbole.trainer import Trainer
from recbole.utils import get_model, get_trainer

import recbole_micro
from recbole_micro import UserError
from recbole_micro.evaluation.metrics import Metrics
from recbole_micro.training.trainer import PluginTrainer
from tests.support.tiny import write_tiny


@pytest.fixture
def tiny(tmp_path):
    """Where the data sets are, and options that RecBole itself understands."""
    return {
        "data_path": str(write_tiny(tmp_path / "data", items=30)),
        "state": "ERROR",
        "show_progress": False,
        "epochs": 1,
        "embedding_size": 8,
        "checkpoint_dir": str(tmp_path / "saved"),
    }


def test_a_configuration_of_recboles_has_recboles_defaults(tiny):
    made = RecBoleConfig("BPR", "tiny", config_dict=dict(tiny))
    assert type(made) is RecBoleConfig
    assert made["topk"] == [10] and made["valid_metric"] == "MRR@10" and made["eval_step"] == 1
    assert made["eval_batch_size"] == 4096 and made["metric_decimal_place"] == 4
    assert "protocol" not in made and made["metrics"] == ["Recall", "MRR", "NDCG", "Hit", "Precision"]


def test_topk_and_metrics_without_valid_metric(tiny):
    """RecBole complains in the first validation, not before: a program may never validate."""
    made = RecBoleConfig("BPR", "tiny", config_dict={**tiny, "topk": [50, 20], "metrics": ["Recall"]})
    assert made["topk"] == [50, 20] and made["valid_metric"] == "MRR@10"


def test_labeled_data_that_are_never_ranked(tiny):
    given = {**tiny, "eval_args": {"mode": "labeled", "split": {"RS": [0.8, 0.1, 0.1]}}}
    made = RecBoleConfig("BPR", "tiny", config_dict=given)
    assert made["eval_args"]["mode"] == {"valid": "labeled", "test": "labeled"}


def test_options_of_their_own(tiny, caplog):
    with caplog.at_level(logging.WARNING):
        made = RecBoleConfig("BPR", "tiny", config_dict={**tiny, "eta": 0.5, "eval_setting": "RO_RS"})
    assert made["eta"] == 0.5 and made["eval_setting"] == "RO_RS" and not caplog.records


def test_an_unknown_learner_is_adam(tiny):
    made = RecBoleConfig("BPR", "tiny", config_dict={**tiny, "learner": "nosuch"})
    data = create_dataset(made)
    train, *_ = data_preparation(made, data)
    trainer = Trainer(made, BPR(made, train.dataset).to(made["device"]))
    assert type(trainer.optimizer).__name__ == "Adam" and not trainer.optimizer.defaults["fused"]


def test_what_recbole_builds_is_its_own(tiny):
    made = RecBoleConfig("BPR", "tiny", config_dict=dict(tiny))
    data = create_dataset(made)
    train, valid, _ = data_preparation(made, data)
    trainer = get_trainer(made["MODEL_TYPE"], made["model"])(made, BPR(made, train.dataset))
    kinds = [type(one) for one in (data, train, valid, trainer)]
    assert kinds == [Dataset, TrainDataLoader, FullSortEvalDataLoader, Trainer]
    kinds = [type(one) for one in (train._sampler, data.inter_feat, trainer.eval_collector)]
    assert kinds == [Sampler, Interaction, Collector]
    assert Path(trainer.saved_model_file).name.count("-") == 5, "BPR-Nov-27-2026_10-11-12.pth"
    assert valid.step == max(4096 // data.item_num, 1)
    trainer.fit(train, valid, saved=False)
    assert not isinstance(trainer.best_valid_result, Metrics)


def test_values_are_never_evaluated(tiny, tmp_path):
    planted = tmp_path / "planted"
    given = {
        **tiny,
        "note": f"open({str(planted)!r}, 'w')",
        "topk": "[5, 7]",
        "split_to": "1e-3",
        "flag": "true",
    }
    made = RecBoleConfig("BPR", "tiny", config_dict=given)
    assert not planted.exists() and made["note"].startswith("open(")
    assert made["topk"] == [5, 7] and made["split_to"] == 1e-3 and made["flag"] is True


@pytest.mark.parametrize("start", ["by name", "in config_dict", "in a file", "by class"])
def test_a_plugin_model_has_the_plugins_configuration_however_it_is_started(tiny, tmp_path, start):
    file = tmp_path / "options.yaml"
    file.write_text("model: MICRO\n")
    from recbole_micro.models import MICRO

    arguments = {
        "by name": {"model": "MICRO"},
        "in config_dict": {"config_dict": {**tiny, "model": "MICRO"}},
        "in a file": {"config_file_list": [str(file)]},
        "by class": {"model": MICRO},
    }[start]
    made = RecBoleConfig(dataset="tiny", **{"config_dict": dict(tiny), **arguments})
    assert type(made) is recbole_micro.Config and isinstance(made, RecBoleConfig)
    assert made["topk"] == [20] and made["valid_metric"] == "Recall@20" and made["protocol"] == "recbole"


def test_a_plugin_model_on_the_command_line(tiny, monkeypatch):
    monkeypatch.setattr("sys.argv", ["program.py", "--model=MICRO", "--dataset=tiny"])
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    assert type(RecBoleConfig(config_dict=dict(tiny))) is recbole_micro.Config


def test_our_configuration_checks_recboles_models_too(tiny):
    made = recbole_micro.Config("BPR", "tiny", config_dict=dict(tiny))
    assert made["topk"] == [20] and made["valid_metric"] == "Recall@20"
    with pytest.raises(recbole_micro.UserError, match="There is no option 'eta'"):
        recbole_micro.Config("BPR", "tiny", config_dict={**tiny, "eta": 0.5})
    data = create_dataset(made)
    train, valid, _ = data_preparation(made, data)
    trainer = Trainer(made, BPR(made, train.dataset))
    assert isinstance(data, Dataset) and type(data).__mro__[1].__name__ == "CheckedFiles"
    assert isinstance(trainer, PluginTrainer) and trainer.optimizer.defaults.get("fused") is not False
    names = [one.__name__ for one in type(trainer).__mro__]
    assert names == ["Trainer", "PluginTrainer", "Trainer", "AnyProcessGroup", "AbstractTrainer", "object"]


@pytest.mark.parametrize(
    "given, expected",
    [
        ({"topk": 10}, "Recall@10"),
        ({"topk": [5, 10]}, "Recall@5"),
        ({"topk": [10, 20]}, "Recall@20"),
        ({"metrics": ["NDCG"]}, "NDCG@20"),
        ({"metrics": ["NDCG", "Hit"], "topk": [3]}, "NDCG@3"),
        ({"metrics": ["AUC"], "eval_args": {"mode": "labeled"}, "threshold": {"rating": 1}}, "AUC"),
    ],
)
def test_valid_metric_follows(tiny, given, expected):
    made = recbole_micro.Config("BPR", "tiny", config_dict={**tiny, **given})
    assert made["valid_metric"] == expected
    told = f"valid_metric follows metrics and topk: {expected}." in str(made)
    assert told == (expected != "Recall@20")


def test_a_given_valid_metric_is_not_changed(tiny):
    with pytest.raises(recbole_micro.UserError, match="valid_metric is Recall@20"):
        recbole_micro.Config("BPR", "tiny", config_dict={**tiny, "topk": 10, "valid_metric": "Recall@20"})


def test_saved_data_are_refused_and_never_opened(tiny, tmp_path):
    for name in ("save_dataset", "save_dataloaders"):
        with pytest.raises(recbole_micro.UserError, match=f"{name} is set, but RecBole saves .* pickles"):
            recbole_micro.Config("MICRO", "tiny", config_dict={**tiny, name: True})


@pytest.mark.parametrize("kind", [RecBoleConfig, recbole_micro.Config])
def test_a_planted_pickle_is_never_opened(tiny, tmp_path, kind, caplog):
    """RecBole looks for saved data and loaders by these names, without any option set."""
    made = kind("BPR", "tiny", config_dict=dict(tiny))
    (tmp_path / "saved").mkdir()
    planted = (tmp_path / "planted").as_posix()
    for file in ("tiny-Dataset.pth", "tiny-for-BPR-dataloader.pth"):
        (tmp_path / "saved" / file).write_bytes(f"cos\nsystem\n(S'touch {planted}'\ntR.".encode())
    train, *_ = data_preparation(made, create_dataset(made))
    assert len(train.dataset) and not Path(planted).exists()
    assert caplog.text.count("is not opened: RecBole saves data as pickles") == 2


class Attack:
    """A pickle of it writes a file where it is opened."""

    def __reduce__(self):
        return open, ("attacked", "w")


def built(config):
    train, *_ = data_preparation(config, create_dataset(config))
    return get_model(config["model"])(config, train.dataset)


def made_of_objects(path):
    np.save(path, np.array([[Attack()]], dtype=object))


@pytest.mark.parametrize("kind", [RecBoleConfig, recbole_micro.Config])
@pytest.mark.parametrize(
    ("write", "said"),
    [
        (made_of_objects, "item_emb.npy holds Python objects, which are never opened"),
        (lambda path: path.write_bytes(b"cbuiltins\nopen\n(S'attacked'\nS'w'\ntR."), "is not a NumPy file"),
        (None, "reads a row per item in .*item_emb.npy: write it, or set n_cate=1"),
    ],
)
def test_vectors_that_a_model_of_recboles_reads_are_numbers(tiny, kind, write, said):
    if write:
        write(Path(tiny["data_path"]) / "tiny" / "item_emb.npy")
    with pytest.raises(UserError, match=said):
        built(kind("LDiffRec", "tiny", config_dict={**tiny, "n_cate": 2}))
    assert not Path("attacked").exists()


@pytest.mark.parametrize("kind", [RecBoleConfig, recbole_micro.Config])
def test_a_teacher_is_named_and_never_evaluated(tiny, tmp_path, kind):
    folder = str(write_tiny(tmp_path / "labelled", items=30, columns=True))
    given = {**tiny, "data_path": folder, "load_col": None}
    model = built(kind("KD_DAGFM", "tiny", config_dict={**given, "teacher": "CIN"}))
    assert type(model.teacher_network).__name__ == "CIN"
    with pytest.raises(UserError, match="choose one of CrossNet, CIN"):
        built(kind("KD_DAGFM", "tiny", config_dict={**given, "teacher": "open('attacked', 'w').close"}))
    assert not Path("attacked").exists()


def test_recboles_quick_start_trains_a_plugin_model_as_ours_does(tiny):
    given = {**tiny, "metric_decimal_place": 12}
    theirs = recbole.quick_start.run_recbole("MICRO", "tiny", config_dict=dict(given), saved=False)
    ours = recbole_micro.run("MICRO", "tiny", config_dict=dict(given), saved=False)
    assert dict(theirs["test_result"]) == dict(ours["test_result"])
    assert dict(theirs["best_valid_result"]) == dict(ours["best_valid_result"])
