"""Each mend of RecBole and its libraries, on data sets of a few rows."""

import importlib
import io
import os
import sys
import warnings
from types import ModuleType, SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import recbole.quick_start
import scipy.sparse as sp
import torch
from recbole.data import create_dataset, data_preparation
from recbole.data.dataloader.abstract_dataloader import NegSampleDataLoader
from recbole.data.dataset import KnowledgeBasedDataset, SequentialDataset
from recbole.data.interaction import Interaction
from recbole.utils import FeatureType, init_logger

import recbole_micro
from recbole_micro.recbole_patches import libraries
from tests.support.recbole_runs import COLUMNS, N_ITEMS, OPTIONS, make_config, prepare
from tests.support.tiny import write_tiny


def test_dynamic_sampling_indexes_candidates_on_the_cpu():
    """The scores are on the model's device, the candidates on the CPU: on CUDA that ended in an error."""

    class Indices:
        def detach(self):
            return self

        def cpu(self):
            return torch.zeros(2, dtype=torch.long)

    loader = SimpleNamespace(
        neg_sample_args={"dynamic": True, "candidate_num": 2},
        neg_sample_num=1,
        uid_field="user_id",
        iid_field="item_id",
        _sampler=SimpleNamespace(sample_by_user_ids=lambda users, items, count: torch.tensor([5, 6, 7, 8])),
        model=SimpleNamespace(
            device="cpu", eval=lambda: None, train=lambda: None, predict=lambda interaction: torch.zeros(4)
        ),
        sampling_func=lambda interaction, negatives: negatives,
    )
    batch = Interaction({"user_id": torch.tensor([1, 2]), "item_id": torch.tensor([3, 4])})
    assert NegSampleDataLoader._neg_sampling(loader, batch).tolist() == [5, 6]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "max", lambda scores, dim: (None, Indices()))
        assert NegSampleDataLoader._neg_sampling(loader, batch).tolist() == [5, 6]


def test_the_screen_is_wrapped_once_however_many_runs_a_process_makes(given, monkeypatch):
    """Else a line went through one wrapper a run, and after 250 runs nothing could be printed any more."""
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, io.StringIO())
    config, plain = recbole_micro.Config("BPR", "tiny", config_dict=given), sys.stdout
    init_logger(config)
    once = sys.stdout, sys.stderr
    assert once[0] is not plain
    init_logger(config)
    assert (sys.stdout, sys.stderr) == once


# The libraries
def test_numpy_aliases():
    assert np.float_ is np.float64 and np.float is np.float64 and np.unicode_ is np.str_


def test_the_stand_in_for_ray_goes_away_after_the_import(monkeypatch):
    monkeypatch.setattr(recbole, "quick_start", recbole.quick_start)
    for installed in (None, ModuleType("ray")):  # as after `import ray`, without Ray Tune
        for name in ("ray", "ray.tune", "recbole.quick_start", "recbole.quick_start.quick_start"):
            monkeypatch.delitem(sys.modules, name, raising=False)
        if installed:
            monkeypatch.setitem(sys.modules, "ray", installed)
        libraries.import_without_ray()
        assert sys.modules.get("ray") is installed and "ray.tune" not in sys.modules
        assert sys.modules["recbole.quick_start.quick_start"].tune.__spec__.name == "ray.tune"


@pytest.mark.filterwarnings("ignore:`report` is meant to only be called")  # by a Ray that is installed
@pytest.mark.parametrize("old", [True, False])
def test_report_suits_either_ray(monkeypatch, old):
    from recbole.quick_start import quick_start

    quick_start.tune.report(**{"recall@20": 0.1})  # no Ray: nothing to report to
    seen = {}
    tune = ModuleType("ray.tune")
    tune.report = (lambda **metrics: seen.update(metrics)) if old else (lambda metrics: seen.update(metrics))
    monkeypatch.setitem(sys.modules, "ray.tune", tune)
    quick_start.tune.report(**{"recall@20": 0.1})
    assert seen == {"recall@20": 0.1}


def test_scipy_dok_update():
    matrix = sp.dok_matrix((2, 2))
    matrix._update({(0, 1): 3.0})
    assert matrix.toarray().tolist() == [[0, 3], [0, 0]]


def load_columns(columns_data, **options):
    """The training data set with item and user columns; a warning that users would see is an error."""
    config = make_config(columns_data, "FM", load_col=COLUMNS, eval_args={"mode": "full"}, **options)
    torch.set_warn_always(True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", DeprecationWarning)
            return data_preparation(config, create_dataset(config))[0].dataset
    finally:
        torch.set_warn_always(False)


def test_missing_cells_are_filled(columns_data):
    dataset = load_columns(columns_data, normalize_all=False)
    last = dataset.token2id("item_id", f"i{N_ITEMS - 1}")
    assert dataset.item_feat["price"][last] == (N_ITEMS - 2) / 2  # the mean of 0 .. N_ITEMS - 2
    assert not dataset.item_feat["class"][last].any()
    assert not dataset.item_feat["vec"][last].any()
    assert dataset.user_feat["age"][0] == 0  # [PAD] has no row in the file


def test_sequences_keep_their_rows(columns_data):
    dataset = load_columns(columns_data, normalize_all=True)
    largest = N_ITEMS - 1
    for i in range(largest):
        item = dataset.item_feat[dataset.token2id("item_id", f"i{i}")]
        assert list(dataset.id2token("class", item["class"].numpy())) == [f"c{i % 3}", f"c{i % 5}"]
        assert item["vec"].tolist() == pytest.approx([i / largest, (i + 1) / largest])


@pytest.mark.parametrize("bucket", [4, None])
def test_sequences_are_discretized_row_by_row(columns_data, bucket):
    how = {"vec": {"method": "ED", "bucket": bucket}} if bucket else None
    dataset = load_columns(
        columns_data, normalize_all=False, numerical_features=["price", "vec"], discretization=how
    )
    row = dataset.item_feat["vec"][dataset.token2id("item_id", "i0")].numpy()
    assert row[:2].tolist() == ([[1, 1], [1, 1]] if bucket else [[0, 1], [1, 1]])


def test_entities_and_sequence_lengths_row_by_row():
    frame = pd.DataFrame({"ids": [np.array([1]), np.array([2, 1])]})
    entities = SimpleNamespace(
        field2id_token={}, field2token_id={},
        field2feats=lambda _: [frame], field2type={"ids": FeatureType.TOKEN_SEQ},
    )  # fmt: skip
    KnowledgeBasedDataset._reset_ent_remapID(entities, "ids", np.array([0, 20, 10]), [], {})
    assert [row.tolist() for row in frame["ids"]] == [[20], [10, 20]]

    sequences = SimpleNamespace(
        config={"LIST_SUFFIX": "_list"}, inter_feat=frame, set_field_property=lambda *_: None,
        item_list_length_field="length", item_id_list_field="ids",
    )  # fmt: skip
    SequentialDataset._benchmark_presets(sequences)
    assert frame["length"].tolist() == [1, 2]


def test_results_are_python_numbers(columns_data):
    config = recbole_micro.Config("BPR", "tiny", config_dict={**OPTIONS, "data_path": columns_data})
    _, trainer, (_, valid, _), _ = prepare(config)
    assert {type(value) for value in trainer.evaluate(valid, load_best_model=False).values()} == {float}


@pytest.mark.parametrize("name", ["BPR", "LightGCN", "NGCF"])
def test_training_warns_of_nothing(columns_data, tmp_path, name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", DeprecationWarning)
        libraries.silence_sparse_tensors()  # pytest forgets the filters of an import
        torch.set_warn_always(True)
        try:
            _, trainer, (train, valid, _), _ = prepare(
                make_config(columns_data, name, checkpoint_dir=str(tmp_path))
            )
            trainer.fit(train, valid, verbose=False)
        finally:
            torch.set_warn_always(False)


# RecBole's own slips
@pytest.mark.parametrize("mode", ["full", "uni5"])
def test_evaluation_loader_declines_to_shuffle(columns_data, caplog, mode):
    config = make_config(columns_data, eval_args={"mode": mode})
    _, _, (_, valid, _), _ = prepare(config)
    again = type(valid)(config, valid.dataset, valid._sampler, shuffle=True)
    assert not again.shuffle
    assert f"{type(valid).__name__} can't shuffle" in caplog.text


def test_metrics_of_counts(columns_data):
    counted = ["ItemCoverage", "AveragePopularity", "GiniIndex", "TailPercentage"]
    config = make_config(columns_data, metrics=[*counted, "Recall"])
    _, trainer, (train, valid, _), _ = prepare(config)
    trainer.fit(train, valid, verbose=False, saved=False)
    found = trainer.evaluate(valid, load_best_model=False)
    assert {f"{name.lower()}@5" for name in counted} < set(found) and 0 < found["itemcoverage@5"] <= 1


def test_ngcf_drops_nothing_at_evaluation(columns_data):
    model, *_ = prepare(make_config(columns_data, "NGCF", node_dropout=0.3, message_dropout=0.3))
    for training in (True, False):
        model.train(training)
        first, second = model.forward()[0], model.forward()[0]
        assert torch.equal(first, second) is not training
    assert model.message_dropout == model.node_dropout == 0.3


@pytest.mark.parametrize("name", ["Random", "SLIMElastic", "ADMMSLIM"])
def test_scores_are_on_the_models_device(columns_data, name):
    model, _, _, dataset = prepare(make_config(columns_data, name))
    model.device = torch.device("meta")
    pairs = Interaction({"user_id": torch.tensor([1, 2]), "item_id": torch.tensor([3, 4])})
    assert model.predict(pairs).device.type == "meta"
    assert model.full_sort_predict(pairs).device.type == "meta"


@pytest.mark.parametrize("name", ["DiffRec", "LDiffRec"])
def test_diffusion_models_give_one_score_per_pair(columns_data, name):
    options = {"n_cate": 1} if name == "LDiffRec" else {}
    model, *_ = prepare(make_config(columns_data, name, **options))
    model.eval()
    pairs = Interaction({"user_id": torch.tensor([1, 2, 3]), "item_id": torch.tensor([3, 4, 3])})
    torch.manual_seed(0)
    whole = model.full_sort_predict(pairs)
    torch.manual_seed(0)
    assert torch.equal(model.predict(pairs), whole[[0, 1, 2], [3, 4, 3]])


def test_saved_data_set_is_used_only_for_the_same_data(columns_data, tmp_path):
    cache = {"save_dataset": True, "checkpoint_dir": str(tmp_path / "saved")}
    first = create_dataset(make_config(columns_data, **cache))
    assert first.item_num == N_ITEMS  # the last one has no interaction, [PAD] counts
    other = write_tiny(tmp_path / "other", items=15)
    assert create_dataset(make_config(other, **cache)).item_num == 15
    split = {"split": {"LS": "valid_and_test"}}
    again = create_dataset(make_config(other, eval_args=split, **cache))
    assert again.config["eval_args"]["split"] == {"LS": "valid_and_test"}


@pytest.mark.parametrize(
    "module", ["data.dataset.dataset", "data.utils", "trainer.trainer", "utils", "utils.logger"]
)
def test_processes_make_the_same_folder(module, tmp_path, monkeypatch):
    """The other process makes it after this one has looked."""
    monkeypatch.setattr(os.path, "exists", lambda path: False)
    importlib.import_module(f"recbole.{module}").ensure_dir(str(tmp_path))
