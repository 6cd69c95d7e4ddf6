"""Each mend of RecBole, on data sets of a few rows; and checkpoints, read in a fresh process."""

import importlib
import json
import os
import pickle
import subprocess
import sys
import warnings
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.data.dataset import KnowledgeBasedDataset, SequentialDataset
from recbole.data.interaction import Interaction
from recbole.trainer.trainer import DecisionTreeTrainer, PretrainTrainer
from recbole.utils import FeatureType, get_model, get_trainer, init_seed

import recbole_micro
from recbole_micro import checkpoint
from recbole_micro import checkpoint as checkpoint_module
from recbole_micro.errors import UserError
from recbole_micro.options import stored
from recbole_micro.recbole_patches import libraries
from recbole_micro.recbole_patches.register import register
from recbole_micro.recbole_patches.table import PATCHES
from recbole_micro.training import loading
from tests.support.processes import ROOT, run_code

N_USERS, N_ITEMS = 30, 24
MODELS = ["BPR", "LightGCN", "NGCF", "ItemKNN", "EASE", "FM"]
OPTIONS = {
    "epochs": 1,
    "embedding_size": 8,
    "state": "ERROR",
    "show_progress": False,
    "eval_batch_size": 1000,
    "train_batch_size": 64,
    "topk": [5],
    "valid_metric": "Recall@5",
    "metrics": ["Recall"],
}
COLUMNS = {
    "inter": ["user_id", "item_id", "label"],
    "item": ["item_id", "class", "price", "vec"],
    "user": ["user_id", "age"],
}


def write_world(folder, n_items=N_ITEMS):
    """A data set `tiny`: sequences of tokens and floats, and every kind of missing cell."""
    folder = folder / "tiny"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    pairs = [(u, i) for u in range(N_USERS) for i in rng.choice(n_items, 12, replace=False)]
    (folder / "tiny.inter").write_text(
        "user_id:token\titem_id:token\tlabel:float\n" + "".join(f"u{u}\ti{i}\t{i % 2}\n" for u, i in pairs)
    )
    lines = ["item_id:token\tclass:token_seq\tprice:float\tvec:float_seq"]
    lines += [f"i{i}\tc{i % 3} c{i % 5}\t{i}\t{i} {i + 1}" for i in range(n_items - 1)]
    lines.append(f"i{n_items - 1}\t\t\t")
    (folder / "tiny.item").write_text("\n".join(lines) + "\n")
    lines = ["user_id:token\tage:token"] + [f"u{u}\t{20 + u % 4}" for u in range(N_USERS)]
    (folder / "tiny.user").write_text("\n".join(lines) + "\n")
    return folder.parent


@pytest.fixture(scope="module")
def data_path(tmp_path_factory):
    return write_world(tmp_path_factory.mktemp("data"))


def make_config(data_path, model="BPR", **options):
    return Config(model, "tiny", config_dict={**OPTIONS, "data_path": str(data_path), **options})


def prepare(config):
    """(model, trainer, data loaders, data set) of a configuration."""
    init_seed(config["seed"], True)
    dataset = create_dataset(config)
    loaders = data_preparation(config, dataset)
    model = get_model(config["model"])(config, loaders[0]._dataset).to(config["device"])
    return model, get_trainer(config["MODEL_TYPE"], config["model"])(config, model), loaders, dataset


def scores(model, dataset):
    """[n_users, n_items] scores, pair by pair."""
    pairs = torch.cartesian_prod(torch.arange(dataset.user_num), torch.arange(dataset.item_num))
    pairs = dataset.join(Interaction({"user_id": pairs[:, 0], "item_id": pairs[:, 1]}))
    model.eval()
    with torch.no_grad():
        return model.predict(pairs).reshape(dataset.user_num, dataset.item_num)


@pytest.fixture(scope="module")
def trained(data_path, tmp_path_factory):
    """Per model: the checkpoint of one epoch and the scores of the model that wrote it."""
    folder = tmp_path_factory.mktemp("saved")
    result = {}
    for name in MODELS:
        labelled = {"load_col": COLUMNS, "metrics": ["AUC"], "valid_metric": "AUC"} if name == "FM" else {}
        config = make_config(data_path, name, checkpoint_dir=str(folder), **labelled)
        model, trainer, (train, valid, test), dataset = prepare(config)
        trainer.fit(train, valid, verbose=False)
        trainer.evaluate(test)
        result[name] = trainer.saved_model_file, scores(model, dataset)
    return result


def is_plain(value):
    if isinstance(value, dict):
        return all(type(key) is str and is_plain(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(is_plain, value))
    return value is None or type(value) in (bool, int, float, str)


# Checkpoints


@pytest.mark.parametrize("name", MODELS)
def test_checkpoint_is_plain_data(trained, name):
    state = torch.load(trained[name][0], weights_only=True)
    assert is_plain(state["config"])
    assert state["config"]["model"] == name and state["config"]["dataset"] == "tiny"
    assert not state["config"]["data_path"].endswith("tiny")
    assert type(state["best_valid_score"]) is float


LOAD = """
import importlib.machinery, json, sys, torch
sys.modules["ray"] = ray = type(sys)("ray")
ray.tune = sys.modules["ray.tune"] = type(sys)("ray.tune")
ray.__spec__ = importlib.machinery.ModuleSpec("ray", None)
from recbole.quick_start import load_data_and_model  # before the plugin mends it
sys.path.insert(0, sys.argv[1])
from tests.test_compat import scores
for file in json.loads(sys.argv[2]):
    config, model, dataset, *_ = load_data_and_model(file)
    torch.save((config["embedding_size"], scores(model, dataset)), file + ".scores")
"""


def test_fresh_process_gives_the_same_scores(trained):
    files = [file for file, _ in trained.values()]
    arguments = [str(ROOT), json.dumps(files), "--embedding_size=7"]
    subprocess.run([sys.executable, "-c", LOAD, *arguments], check=True, timeout=120)
    for file, expected in trained.values():
        embedding_size, found = torch.load(f"{file}.scores")
        assert embedding_size == 8  # the command line of the reader is not the writer's
        assert torch.equal(found, expected)


def test_runs_that_start_in_the_same_second_keep_files_of_their_own(data_path, tmp_path, monkeypatch):
    monkeypatch.setattr("recbole.trainer.trainer.get_local_time", lambda: "Jan-01-2026_00-00-00")
    given = {**OPTIONS, "data_path": data_path, "checkpoint_dir": str(tmp_path)}
    config = recbole_micro.Config("BPR", "tiny", config_dict=given)
    first, second = prepare(config)[1].saved_model_file, prepare(config)[1].saved_model_file
    assert first != second and {Path(file).parent for file in (first, second)} == {tmp_path}
    assert all(str(os.getpid()) in Path(file).name for file in (first, second))


def test_resume_continues_from_the_stored_state(data_path, tmp_path):
    config = make_config(data_path, epochs=2, checkpoint_dir=str(tmp_path))
    model, first, (train, valid, _), dataset = prepare(config)
    first.fit(train, valid, verbose=False)
    first._save_checkpoint(1, verbose=False)
    config["epochs"] = 3
    other, second, _, _ = prepare(config)
    assert not torch.equal(scores(other, dataset), scores(model, dataset))
    second.resume_checkpoint(first.saved_model_file)
    assert torch.equal(scores(other, dataset), scores(model, dataset))
    moments = [trainer.optimizer.state_dict()["state"][0]["exp_avg"] for trainer in (first, second)]
    assert torch.equal(*moments)
    second.fit(train, valid, verbose=False)
    assert list(second.train_loss_dict) == [2]


class Attack:
    def __reduce__(self):
        return open, ("attacked", "w")


def test_malicious_pickle_is_refused_and_does_not_run(trained, data_path, tmp_path):
    file = str(tmp_path / "attack.pth")
    torch.save({**torch.load(trained["BPR"][0]), "other_parameter": Attack()}, file)
    _, trainer, (_, _, test), _ = prepare(make_config(data_path))
    for read in (
        checkpoint_module.load_checkpoint,
        loading.load_data_and_model,
        trainer.resume_checkpoint,
        lambda path: trainer.evaluate(test, model_file=path),
    ):
        with pytest.raises(UserError, match="attack.pth holds Python objects"):
            read(file)
    assert not (tmp_path.cwd() / "attacked").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no checkpoint"),
        (b"PK\x03\x04 half", r"damaged \([^.]*\): train"),
        ([1, 2], "no config"),
        (b"", "empty or damaged"),
        (b"some text", "empty or damaged"),
        (pickle.dumps({"config": {}, "state_dict": print}), "not a checkpoint that recbole_micro wrote"),
    ],
)
def test_what_is_no_checkpoint_is_named(tmp_path, content, message):
    file = tmp_path / "file.pth"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content is not None:
        torch.save(content, file)
    with pytest.raises(UserError, match=message):
        checkpoint_module.load_checkpoint(file)


def test_interrupted_writing_keeps_the_old_checkpoint(tmp_path, monkeypatch):
    def fail(state, file):
        file.write(b"half")
        raise OSError("disk full")

    file = tmp_path / "model.pth"
    checkpoint.write({"config": {}, "state_dict": {}}, file)
    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        checkpoint.write({"config": {"x": 1}, "state_dict": {}}, file)
    assert checkpoint_module.load_checkpoint(file)["config"] == {}
    assert list(tmp_path.iterdir()) == [file]


def test_pretraining_and_trees_write_plain_data(data_path, tmp_path):
    config = make_config(data_path)
    model, trainer, _, _ = prepare(config)
    PretrainTrainer(config, model).save_pretrained_model(3, str(tmp_path / "pretrained.pth"))
    state = torch.load(tmp_path / "pretrained.pth", weights_only=True)
    assert state["epoch"] == 3 and state["state_dict"].keys() == model.state_dict().keys()

    tree = SimpleNamespace(
        config=config, cur_step=0, best_valid_score=np.float64(0.5),
        temp_best_file="best.model", saved_model_file=str(tmp_path / "tree.pth"),
    )  # fmt: skip
    DecisionTreeTrainer._save_checkpoint(tree, 1)
    assert torch.load(tmp_path / "tree.pth", weights_only=True)["state_dict"] == "best.model"


@pytest.mark.parametrize("kind", [sp.csr_matrix, sp.csc_matrix, sp.lil_matrix, sp.csr_array, np.asarray])
def test_matrices_survive_packing(kind):
    matrix = kind(np.eye(3, 4, dtype=np.float32))
    again = checkpoint.unpack(checkpoint.pack({"a": [matrix, 1]}))["a"][0]
    assert type(again) is type(matrix) and again.dtype == np.float32
    assert np.array_equal(again @ np.eye(4), np.eye(3, 4))


def test_plain_config_leaves_out_what_is_not_plain(data_path, caplog):
    config = make_config(data_path)
    config["topk"], config["callback"] = np.array([5]), print
    values = checkpoint.plain_config(config)
    assert values["topk"] == [5] and "callback" not in values
    assert "callback is left out" in caplog.text


def test_config_from_plain_keeps_every_option(data_path):
    config = make_config(data_path, train_neg_sample_args=None, seq_separator="1e3")
    again = stored.config_from_plain(json.loads(json.dumps(checkpoint.plain_config(config))))
    assert again.final_config_dict == config.final_config_dict


# The libraries


def test_numpy_aliases():
    assert np.float_ is np.float64 and np.float is np.float64 and np.unicode_ is np.str_


WITHOUT_RAY = """
import pathlib, sys


class NoRay:
    def find_spec(self, name, *_):
        if name.partition(".")[0] == "ray":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


blocker = NoRay()
sys.meta_path.insert(0, blocker)
import recbole_micro
from recbole.quick_start import quick_start

assert "ray" not in sys.modules
quick_start.tune.report(**{"recall@20": 0.1})
sys.meta_path.remove(blocker)
pathlib.Path("ray.py").write_text("real = True")
sys.path.insert(0, "")
import ray

assert ray.real
"""


def test_without_ray_recbole_is_imported_and_a_ray_installed_later_is_seen(tmp_path):
    done = run_code(WITHOUT_RAY, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


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


def load_columns(data_path, **options):
    """The training data set with item and user columns; a warning that users would see is an error."""
    config = make_config(data_path, "FM", load_col=COLUMNS, eval_args={"mode": "full"}, **options)
    torch.set_warn_always(True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", DeprecationWarning)
            return data_preparation(config, create_dataset(config))[0].dataset
    finally:
        torch.set_warn_always(False)


def test_missing_cells_are_filled(data_path):
    dataset = load_columns(data_path, normalize_all=False)
    last = dataset.token2id("item_id", f"i{N_ITEMS - 1}")
    assert dataset.item_feat["price"][last] == (N_ITEMS - 2) / 2  # the mean of 0 .. N_ITEMS - 2
    assert not dataset.item_feat["class"][last].any()
    assert not dataset.item_feat["vec"][last].any()
    assert dataset.user_feat["age"][0] == 0  # [PAD] has no row in the file


def test_sequences_keep_their_rows(data_path):
    dataset = load_columns(data_path, normalize_all=True)
    largest = N_ITEMS - 1
    for i in range(largest):
        item = dataset.item_feat[dataset.token2id("item_id", f"i{i}")]
        assert list(dataset.id2token("class", item["class"].numpy())) == [f"c{i % 3}", f"c{i % 5}"]
        assert item["vec"].tolist() == pytest.approx([i / largest, (i + 1) / largest])


@pytest.mark.parametrize("bucket", [4, None])
def test_sequences_are_discretized_row_by_row(data_path, bucket):
    how = {"vec": {"method": "ED", "bucket": bucket}} if bucket else None
    dataset = load_columns(
        data_path, normalize_all=False, numerical_features=["price", "vec"], discretization=how
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


def test_results_are_python_numbers(data_path):
    config = recbole_micro.Config("BPR", "tiny", config_dict={**OPTIONS, "data_path": data_path})
    _, trainer, (_, valid, _), _ = prepare(config)
    assert {type(value) for value in trainer.evaluate(valid, load_best_model=False).values()} == {float}


@pytest.mark.parametrize("name", ["BPR", "LightGCN", "NGCF"])
def test_training_warns_of_nothing(data_path, tmp_path, name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", DeprecationWarning)
        libraries.silence_sparse_tensors()  # pytest forgets the filters of an import
        torch.set_warn_always(True)
        try:
            _, trainer, (train, valid, _), _ = prepare(
                make_config(data_path, name, checkpoint_dir=str(tmp_path))
            )
            trainer.fit(train, valid, verbose=False)
        finally:
            torch.set_warn_always(False)


# RecBole's own slips


@pytest.mark.parametrize("mode", ["full", "uni5"])
def test_evaluation_loader_declines_to_shuffle(data_path, caplog, mode):
    config = make_config(data_path, eval_args={"mode": mode})
    _, _, (_, valid, _), _ = prepare(config)
    again = type(valid)(config, valid.dataset, valid._sampler, shuffle=True)
    assert not again.shuffle
    assert f"{type(valid).__name__} can't shuffle" in caplog.text


def test_ngcf_drops_nothing_at_evaluation(data_path):
    model, *_ = prepare(make_config(data_path, "NGCF", node_dropout=0.3, message_dropout=0.3))
    for training in (True, False):
        model.train(training)
        first, second = model.forward()[0], model.forward()[0]
        assert torch.equal(first, second) is not training
    assert model.message_dropout == model.node_dropout == 0.3


@pytest.mark.parametrize("name", ["Random", "SLIMElastic", "ADMMSLIM"])
def test_scores_are_on_the_models_device(data_path, name):
    model, _, _, dataset = prepare(make_config(data_path, name))
    model.device = torch.device("meta")
    pairs = Interaction({"user_id": torch.tensor([1, 2]), "item_id": torch.tensor([3, 4])})
    assert model.predict(pairs).device.type == "meta"
    assert model.full_sort_predict(pairs).device.type == "meta"


@pytest.mark.parametrize("name", ["DiffRec", "LDiffRec"])
def test_diffusion_models_give_one_score_per_pair(data_path, name):
    options = {"n_cate": 1} if name == "LDiffRec" else {}
    model, *_ = prepare(make_config(data_path, name, **options))
    model.eval()
    pairs = Interaction({"user_id": torch.tensor([1, 2, 3]), "item_id": torch.tensor([3, 4, 3])})
    torch.manual_seed(0)
    whole = model.full_sort_predict(pairs)
    torch.manual_seed(0)
    assert torch.equal(model.predict(pairs), whole[[0, 1, 2], [3, 4, 3]])


def test_saved_data_set_is_used_only_for_the_same_data(data_path, tmp_path):
    cache = {"save_dataset": True, "checkpoint_dir": str(tmp_path / "saved")}
    first = create_dataset(make_config(data_path, **cache))
    assert first.item_num == N_ITEMS + 1
    other = write_world(tmp_path / "other", n_items=15)
    assert create_dataset(make_config(other, **cache)).item_num == 16
    split = {"split": {"LS": "valid_and_test"}}
    again = create_dataset(make_config(other, eval_args=split, **cache))
    assert again.config["eval_args"]["split"] == {"LS": "valid_and_test"}


def test_applying_twice_changes_nothing():
    before = [
        getattr(patch.target(), patch.name) for patch in PATCHES if patch.how in ("wrap", "replace", "edit")
    ]
    register()
    after = [
        getattr(patch.target(), patch.name) for patch in PATCHES if patch.how in ("wrap", "replace", "edit")
    ]
    assert all(one is other for one, other in zip(before, after, strict=True))


@pytest.mark.parametrize(
    "module", ["data.dataset.dataset", "data.utils", "trainer.trainer", "utils", "utils.logger"]
)
def test_processes_make_the_same_folder(module, tmp_path, monkeypatch):
    """The other process makes it after this one has looked."""
    monkeypatch.setattr(os.path, "exists", lambda path: False)
    importlib.import_module(f"recbole.{module}").ensure_dir(str(tmp_path))
