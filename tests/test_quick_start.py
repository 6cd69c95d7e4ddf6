"""run, load, objective: RecBole's results, resuming, several processes, missing data."""

import json
import logging
import mmap
import os
import platform
import re
import shutil
import signal
import socket

import pyarrow.parquet as pq
import pytest
import torch

from recbole_micro import Config, load, objective, options, run
from recbole_micro.checkpoint import load_checkpoint, plain_config
from recbole_micro.data import missing
from recbole_micro.errors import UserError
from recbole_micro.models import MICRO
from recbole_micro.options.stored import config_from_plain
from recbole_micro.training import launch
from recbole_micro.training.experiment import build
from recbole_micro.training.trainer import PluginTrainer, extended
from tests.support.processes import free_port, run_code
from tests.support.tiny import QUICK, write_tiny

# isort: split
# RecBole's quick start can be imported once the plugin's own import has mended it.
import recbole.config
from recbole.data import create_dataset, data_preparation
from recbole.data.interaction import Interaction
from recbole.quick_start import load_data_and_model, objective_function, run_recbole
from recbole.trainer import Trainer


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Folder with the tiny data set."""
    return write_tiny(tmp_path_factory.mktemp("data"))


@pytest.fixture
def given(data, tmp_path):
    return {**QUICK, "data_path": str(data), "checkpoint_dir": str(tmp_path / "saved")}


def plain(log: str) -> str:
    """The log without RecBole's colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", log)


RESULT = ("best_valid_score", "valid_score_bigger", "best_valid_result", "test_result")


@pytest.mark.parametrize("model", ["MICRO", "BPR"])
def test_run_gives_what_recbole_gives(model, given):
    ours = run(model, "tiny", config_dict=given)
    if model == "BPR":  # has RecBole's own defaults there
        ours_too = {
            **options.plugin_defaults("overall.yaml"),
            **options.plugin_defaults("dataset/sample.yaml"),
        }
        given = {**ours_too, "eval_batch_size": 1000, **given}
    theirs = run_recbole(model, "tiny", config_dict=given)
    assert {key: ours[key] for key in RESULT} == {
        key: dict(value) if isinstance(value, dict) else value for key, value in theirs.items()
    }
    assert 0 < ours["test_result"]["recall@5"] < 1
    assert load_checkpoint(ours["checkpoint"])["config"]["model"] == model


def test_objective_gives_what_recbole_gives_and_reads_no_test_set(given, monkeypatch):
    given = {**given, "model": "MICRO", "dataset": "tiny"}
    theirs = {**objective_function(config_dict=given), "epochs": given["epochs"]}
    assert objective(given, test=True) == theirs
    evaluate, evaluated = PluginTrainer.evaluate, []

    def watch(self, eval_data, *args, **kwargs):
        evaluated.append(eval_data._sampler.phase)
        return evaluate(self, eval_data, *args, **kwargs)

    monkeypatch.setattr(PluginTrainer, "evaluate", watch)
    assert objective(given) == {**theirs, "test_result": {}}
    assert set(evaluated) == {"valid"}


def test_the_test_set_is_read_once(given, monkeypatch):
    evaluate, evaluated = PluginTrainer.evaluate, []

    def watch(self, eval_data, *args, **kwargs):
        evaluated.append(eval_data._sampler.phase)
        return evaluate(self, eval_data, *args, **kwargs)

    monkeypatch.setattr(PluginTrainer, "evaluate", watch)
    run("BPR", "tiny", config_dict=given)
    assert evaluated == ["valid", "valid", "test"]


SCORES = """
import sys
import torch
import recbole_micro
import recbole.config
from recbole.data import create_dataset, data_preparation
from recbole.data.interaction import Interaction
from recbole.quick_start import load_data_and_model

model = load_data_and_model(sys.argv[1])[1].eval()
torch.save(model.full_sort_predict(Interaction({"user_id": torch.arange(1, 25)})), "scores.pt")
"""


def test_a_checkpoint_scores_the_same_in_a_fresh_process(given, tmp_path):
    checkpoint = run("MICRO", "tiny", config_dict=given)["checkpoint"]
    for loaded in (load(checkpoint), load_data_and_model(checkpoint)):
        scores = loaded[1].eval().full_sort_predict(Interaction({"user_id": torch.arange(1, 25)}))
    ran = run_code(SCORES, checkpoint, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    torch.testing.assert_close(torch.load(tmp_path / "scores.pt"), scores, rtol=0, atol=0)


def test_without_saving_there_is_no_checkpoint(given, tmp_path):
    assert run("BPR", "tiny", config_dict=given, saved=False)["checkpoint"] is None
    assert not list((tmp_path / "saved").glob("*.pth"))


def test_the_epoch_line_names_the_losses(given, caplog):
    with caplog.at_level(logging.INFO):
        run("MICRO", "tiny", config_dict={**given, "epochs": 1})
    line = r"epoch 0 training \[time: .*s, BPR: \d+\.\d+, contrast: .*\d, L2: \d"
    assert re.search(line, plain(caplog.text))


def test_names_and_losses_must_agree():
    class Model:
        loss_names = ("BPR", "L2")

    trained = object.__new__(extended(Trainer))
    trained.model, trained.config = Model(), {"loss_decimal_place": 4}
    line = trained._generate_train_loss_output
    assert "L2" in line(0, 0, 1, (1.0, 2.0))
    assert "train loss" in line(0, 0, 1, 1.0)
    with pytest.raises(ValueError, match="longer"):
        line(0, 0, 1, (1.0, 2.0, 3.0))
    Model.loss_names = ()
    assert "train_loss3" in line(0, 0, 1, (1.0, 2.0, 3.0))


@pytest.mark.parametrize("how", ["run", "run_recbole", "Trainer"])
def test_an_epoch_of_the_model_starts_once_before_its_first_batch(given, monkeypatch, how):
    """However a model is trained: RecBole also calls `train()` per batch, and on a copy before training."""
    calls = []
    start, loss = MICRO.start_epoch, MICRO.calculate_loss
    monkeypatch.setattr(MICRO, "start_epoch", lambda self: calls.append("epoch") or start(self))
    monkeypatch.setattr(
        MICRO, "calculate_loss", lambda self, batch: calls.append("step") or loss(self, batch)
    )
    given = {**given, "epochs": 3, "eval_step": 2}
    if how == "Trainer":
        config = recbole.config.Config("MICRO", "tiny", config_dict=given)
        train, valid, _ = data_preparation(config, create_dataset(config))
        Trainer(config, MICRO(config, train.dataset)).fit(train, valid, saved=False)
    else:
        {"run": run, "run_recbole": run_recbole}[how]("MICRO", "tiny", config_dict=given, saved=False)
    steps = calls.count("step") // 3
    assert steps > 1 and calls == ["epoch", *["step"] * steps] * 3


def test_each_run_has_a_log_of_its_own(given, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    for epochs in (1, 2):
        run("BPR", "tiny", config_dict={**given, "epochs": epochs})
    first, second = sorted((tmp_path / "log" / "BPR").iterdir(), key=lambda file: file.stat().st_mtime_ns)
    assert (first.read_text().count("training ["), second.read_text().count("training [")) == (1, 2)


def test_resuming_continues_and_leaves_the_file(given, tmp_path, caplog):
    first = run("MICRO", "tiny", config_dict={**given, "learning_rate": 0.01})["checkpoint"]
    kept = shutil.copyfile(first, tmp_path / "kept.pth")
    before = kept.read_bytes()
    trained = load_checkpoint(kept)
    caplog.clear()
    with caplog.at_level(logging.INFO):
        resumed = run(config_dict={"resume": str(kept), "epochs": 5, "gpu_id": ""})
    assert kept.read_bytes() == before
    assert resumed["checkpoint"] != str(kept)
    after = load_checkpoint(resumed["checkpoint"])
    assert after["config"]["learning_rate"] == 0.01
    assert resumed["best_valid_score"] >= trained["best_valid_score"]
    assert resumed["best_valid_result"]["recall@5"] == resumed["best_valid_score"]
    epochs = re.findall(r"epoch (\d+) training", plain(caplog.text))
    assert epochs == [str(epoch) for epoch in range(trained["epoch"] + 1, 5)]


def test_a_resumed_checkpoint_stands_for_itself(given, monkeypatch):
    first = run("BPR", "tiny", config_dict={**given, "epochs": 1})["checkpoint"]
    monkeypatch.setattr("recbole.trainer.trainer.calculate_valid_score", lambda *_: 1.0)  # so it is written
    second = run(config_dict={"resume": first, "epochs": 2, "gpu_id": ""})["checkpoint"]
    assert load_checkpoint(second)["epoch"] == 1
    os.unlink(first)
    load(second)


def test_resuming_takes_the_options_of_this_run(given):
    first = run("MICRO", "tiny", config_dict=given)["checkpoint"]
    changed = {"learning_rate": 0.5, "weight_decay": 0.25, "preset": "without_contrast", "epochs": 9}
    config = Config(config_dict={"resume": first, "gpu_id": "", **changed})
    assert config["beta"] == 0
    trainer = build(config).trainer
    trainer.resume_checkpoint(first)
    group = trainer.optimizer.param_groups[0]
    assert (group["lr"], group["weight_decay"]) == (0.5, 0.25)
    assert len(trainer.optimizer.state_dict()["state"]) > 0
    assert run(config_dict={"resume": first, "epochs": 9, "gpu_id": "", "learner": "sgd"})["test_result"]


def test_resuming_on_another_split_is_refused(given):
    first = run("BPR", "tiny", config_dict={**given, "epochs": 1})["checkpoint"]
    again = {"resume": first, "epochs": 2, "gpu_id": ""}
    with pytest.raises(UserError, match="trained with another seed: the data would be split"):
        run(config_dict={**again, "seed": 7})
    with pytest.raises(UserError, match="another split in eval_args"):
        run(config_dict={**again, "eval_args": {"split": {"RS": [0.6, 0.2, 0.2]}}})
    assert run(config_dict={**again, "seed": 2020})["test_result"]


def test_a_checkpoint_knows_its_users_and_items(given, tmp_path):
    folder = write_tiny(tmp_path / "data")
    trained = run("MICRO", "tiny", config_dict={**given, "data_path": str(folder)})["checkpoint"]
    moved = folder.rename(tmp_path / "moved")
    assert load(trained, data_path=moved)[1].modalities.keys() == {"textual", "visual"}
    extra = moved / "tiny" / "tiny.extra.parquet"  # a later feature file changes nothing
    table = pq.read_table(moved / "tiny" / "tiny.visual.parquet")
    pq.write_table(table.rename_columns(["item_id:token", "extra:float_seq"]), extra)
    assert load(trained, data_path=moved)[1].modalities.keys() == {"textual", "visual"}
    file = moved / "tiny" / "tiny.inter"
    head, *rows = file.read_text().splitlines()
    file.write_text("\n".join([head, *rows[::-1]]) + "\n")
    with pytest.raises(UserError, match="tiny has other users or items, or in another order"):
        load(trained, data_path=moved)
    with pytest.raises(UserError, match="or in another order"):
        run(config_dict={"resume": trained, "epochs": 9, "gpu_id": "", "data_path": str(moved)})


def test_a_checkpoint_of_another_size_is_one_sentence(given):
    first = run("BPR", "tiny", config_dict=given)["checkpoint"]
    with pytest.raises(UserError, match="does not fit BPR as it is here .size mismatch"):
        run(config_dict={"resume": first, "epochs": 9, "gpu_id": "", "embedding_size": 16})


def test_the_options_of_a_model_without_negatives_are_read_again(given):
    config = Config("GRU4Rec", "tiny", config_dict={**given, "train_neg_sample_args": None})
    again = config_from_plain(plain_config(config))
    assert again["train_neg_sample_args"] == config["train_neg_sample_args"]


def test_an_option_of_another_model_is_said_to_change_nothing(given, caplog):
    with caplog.at_level(logging.WARNING):
        Config("BPR", "tiny", config_dict={**given, "knn_k": 5})
        Config("MICRO", "tiny", config_dict={**given, "knn_k": 5})
    said = [line for line in caplog.messages if "changes nothing" in line]
    assert said == ["BPR has no option knn_k (in config_dict): it changes nothing."]


def test_an_order_by_time_needs_the_times(given):
    with pytest.raises(UserError, match="order: TO needs the column timestamp, which .*tiny.inter"):
        run("BPR", "tiny", config_dict={**given, "eval_args": {"order": "TO"}})


def test_without_validation_nothing_is_tuned_and_training_says_so(given, caplog):
    options = {**given, "eval_args": {"split": {"RS": [0.8, 0.0, 0.2]}}}
    with caplog.at_level(logging.WARNING):
        assert run("BPR", "tiny", config_dict=options)["test_result"]
    assert "no validation interactions: the last epoch is kept" in plain(caplog.text)
    with pytest.raises(UserError, match="no validation interactions to choose options by"):
        objective({**options, "model": "BPR", "dataset": "tiny"})


def test_an_interrupt_of_the_first_process_alone_ends_the_others(monkeypatch):
    """One that an interrupt of its own does not end is terminated."""
    done = []

    class Stubborn:
        pid = 7

        def join(self, timeout):
            pass

        def is_alive(self):
            return True

        def terminate(self):
            done.append("terminated")

    def interrupted(*arguments, **named):
        monkeypatch.setattr(launch.mp, "active_children", lambda: [Stubborn()])
        raise KeyboardInterrupt

    monkeypatch.setattr(launch.mp, "spawn", interrupted)
    monkeypatch.setattr(launch.os, "kill", lambda *arguments: done.append(arguments))
    with pytest.raises(KeyboardInterrupt):
        run("BPR", "tiny", nproc=2)
    assert done == [(7, signal.SIGINT), "terminated"]


def test_resuming_without_gain_keeps_the_resumed_state(given, monkeypatch):
    first = run("BPR", "tiny", config_dict={**given, "learning_rate": 0.05, "epochs": 6})
    monkeypatch.setattr("recbole.trainer.trainer.calculate_valid_score", lambda *_: -1.0)
    resumed = run(config_dict={"resume": first["checkpoint"], "epochs": 7, "gpu_id": ""})
    assert resumed["checkpoint"] != first["checkpoint"]
    assert {key: resumed[key] for key in RESULT} == {key: first[key] for key in RESULT}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({}, r"set epochs \(now \d\) higher"),
        ({"model": "LightGCN"}, "trained with model BPR, not LightGCN"),
        ({"dataset": "other"}, "trained with dataset tiny, not other"),
        ({"resume": "none.pth"}, "no checkpoint none.pth"),
    ],
)
def test_resuming_what_cannot_be_resumed(given, change, sentence):
    checkpoint = run("BPR", "tiny", config_dict=given)["checkpoint"]
    epochs = load_checkpoint(checkpoint)["epoch"] + 1
    with pytest.raises(UserError, match=sentence):
        run(config_dict={"resume": checkpoint, "epochs": epochs, **change})


PROCESSES = """
import json
import sys
import recbole_micro

if __name__ == "__main__":
    given, port = json.loads(sys.argv[1]), sys.argv[2]
    result = recbole_micro.run("MICRO", "tiny", config_dict=given, nproc=2, port=port)
    print(json.dumps(result["test_result"]), result["checkpoint"])
"""


@pytest.mark.slow
def test_two_processes_train_on_the_cpu(given, tmp_path):
    ran = run_code(PROCESSES, json.dumps(given), str(free_port()), cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    result, checkpoint = ran.stdout.strip().splitlines()[-1].rsplit(" ", 1)
    assert 0 < json.loads(result)["recall@5"] < 1
    assert load(checkpoint)[1].training


@pytest.mark.slow
def test_a_mistake_in_several_processes_is_one_sentence(given):
    with pytest.raises(UserError, match="no option 'knn_kk'"):
        run("MICRO", "tiny", config_dict={**given, "knn_kk": 1}, nproc=2, port=free_port())


@pytest.mark.slow
def test_a_taken_port_is_one_sentence(given):
    with socket.socket() as taken:
        taken.bind(("localhost", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"cannot meet at tcp://localhost:{port}.*--port"):
            run("BPR", "tiny", config_dict=given, nproc=2, port=port)


def test_a_missing_data_set_is_one_sentence(given, tmp_path):
    for name, sentence in (
        ("baby", "get it with python -m dataset_tools prepare baby --data-path"),
        ("babby", "convert your files .* did you mean baby"),
    ):
        with pytest.raises(UserError, match=sentence):
            run("BPR", name, config_dict={**given, "data_path": str(tmp_path)})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "does not begin with a header .* dataset_tools convert"),
        ("user,item\nu1,i1\n", "does not begin with a header"),
        ("user_id:token\tmovie:token\nu1\ti1\n", "no column item_id:token, only user_id, movie"),
        ("user_id:token\titem_id:token\n", "no row left in inter"),
    ],
)
def test_interactions_that_recbole_cannot_read_are_one_sentence(given, tmp_path, text, sentence):
    folder = write_tiny(tmp_path / "broken")
    (folder / "tiny" / "tiny.inter").write_text(text)
    with pytest.raises(UserError, match=sentence):
        run("BPR", "tiny", config_dict={**given, "data_path": str(folder)})


@pytest.mark.parametrize(
    "options, sentence",
    [
        (
            {"val_interval": {"rating": "[3,inf)"}},
            "val_interval names rating, but only .*item_id.* are loaded",
        ),
        ({"val_interval": {"item_id": "i3"}}, "val_interval of item_id is 'i3': give a list"),
        ({"user_inter_num_interval": 50}, "The interval '50' .* cannot be read: write .5,inf."),
        ({"item_inter_num_interval": "[1,5);[9,7]"}, "The interval '.9,7.' .* cannot be read"),
        ({"item_inter_num_interval": "[a,b]"}, "The interval '.a,b.' .* cannot be read"),
        ({"item_inter_num_interval": "[1.2.3,5]"}, "The interval .*1.2.3.* cannot be read"),
        ({"eval_args": {"mode": "labeled"}}, "mode: labeled, in which nothing is ranked, so Recall, NDCG"),
        (
            {"eval_args": {"mode": "labeled"}, "metrics": "AUC", "valid_metric": "AUC"},
            "mode: labeled needs the column label",
        ),
        ({"val_interval": {"item_id": ["i3"]}}, "interacted with all items"),
    ],
)
def test_filters_and_evaluations_that_do_not_fit_the_data_are_one_sentence(given, options, sentence):
    with pytest.raises(UserError, match=sentence):
        run("BPR", "tiny", config_dict={**given, **options})


def test_filters_that_leave_nothing_are_one_sentence(given):
    with pytest.raises(UserError, match="no row left .*user_inter_num_interval"):
        run("BPR", "tiny", config_dict={**given, "user_inter_num_interval": "[99,inf)"})


def test_a_known_data_set_is_prepared_on_first_use(given, tmp_path, monkeypatch):
    from dataset_tools.dataset import catalog

    prepared = []

    def prepare(name, data_path):
        prepared.append(name)
        return write_tiny(data_path, name) / name

    monkeypatch.setattr(catalog, "prepare", prepare)
    for start in (run, run_recbole):
        start("MICRO", "ml-100k", config_dict={**given, "data_path": str(tmp_path)})
    assert prepared == ["ml-100k"]


def test_a_missing_part_of_a_fixed_split_counts_as_missing(given, tmp_path):
    folder = write_tiny(tmp_path / "parts", "tiny", parts=True)
    made = Config("BPR", "tiny", config_dict={**given, "data_path": str(folder)})
    assert missing.missing_files(made) == []
    (folder / "tiny" / "tiny.test.inter").unlink()
    assert [path.rsplit("/", 1)[1] for path in missing.missing_files(made)] == ["tiny.test.inter"]


FAULTS = """
import json, resource, sys
import recbole_micro

if sys.argv[2] == "train":
    recbole_micro.run("BPR", "tiny", config_dict=json.loads(sys.argv[1]), saved=False)
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    b"x" * 2**26
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(faults)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's malloc is told")
def test_a_training_process_keeps_the_memory_that_it_frees(given, tmp_path):
    def faults_of_a_third_block(what):
        return int(run_code(FAULTS, json.dumps(given), what, cwd=tmp_path).stdout.splitlines()[-1])

    pages = 2**26 // mmap.PAGESIZE
    assert faults_of_a_third_block("train") < pages / 10 < faults_of_a_third_block("import")


def test_a_fixed_split_trains(given, tmp_path):
    folder = write_tiny(tmp_path / "parts", "tiny", parts=True)
    assert run("BPR", "tiny", config_dict={**given, "data_path": str(folder)})["test_result"]
