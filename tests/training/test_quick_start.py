"""run and objective: RecBole's results, the log, what is evaluated."""

import logging
import re
import time

import psutil
import pytest
import torch
from recbole.quick_start import objective_function, run_recbole

from recbole_micro import objective, options, run
from recbole_micro.checkpoint import load_checkpoint
from recbole_micro.errors import UserError
from recbole_micro.training.quick_start import used
from tests.support.logs import plain
from tests.support.tiny import write_tiny


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
    assert {key: ours[key] for key in theirs} == {
        key: dict(value) if isinstance(value, dict) else value for key, value in theirs.items()
    }
    assert set(theirs) == {"best_valid_score", "valid_score_bigger", "best_valid_result", "test_result"}
    assert 0 < ours["test_result"]["recall@5"] < 1
    assert load_checkpoint(ours["checkpoint"])["config"]["model"] == model


def test_objective_gives_what_recbole_gives_and_reads_no_test_set(given, evaluated):
    given = {**given, "model": "MICRO", "dataset": "tiny"}
    theirs = {**objective_function(config_dict=given), "epochs": given["epochs"]}
    assert objective(given, test=True) == theirs
    evaluated.clear()
    assert objective(given) == {**theirs, "test_result": {}}
    assert set(evaluated) == {"valid"}


def test_the_test_set_is_read_once(given, evaluated):
    run("BPR", "tiny", config_dict=given)
    assert evaluated == ["valid", "valid", "test"]


def test_without_saving_there_is_no_checkpoint(given, tmp_path):
    assert run("BPR", "tiny", config_dict=given, saved=False)["checkpoint"] is None
    assert not list((tmp_path / "saved").glob("*.pth"))


def test_each_run_has_a_log_of_its_own(given, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    for epochs in (1, 2):
        run("BPR", "tiny", config_dict={**given, "epochs": epochs})
    first, second = sorted((tmp_path / "log" / "BPR").iterdir(), key=lambda file: file.stat().st_mtime_ns)
    assert (first.read_text().count("training ["), second.read_text().count("training [")) == (1, 2)
    used = r"used \d+ % of the machine's CPU, \d+\.\d\d of \d+\.\d\d GiB of memory\.$"
    assert re.search(used, first.read_text(), re.MULTILINE)


def test_what_other_programs_compute_is_not_said_of_a_training(monkeypatch):
    config = {"device": torch.device("cpu")}
    now = time.perf_counter(), time.process_time()
    assert used(config, now[0] - 1000, now[1]).startswith("0 % of the machine's CPU")
    monkeypatch.setattr(psutil, "cpu_count", lambda: 4)
    assert used(config, now[0] - 1000, now[1] - 2000).startswith("50 % of the machine's CPU")


def test_without_validation_nothing_is_tuned_and_training_says_so(given, caplog):
    options = {**given, "eval_args": {"split": {"RS": [0.8, 0.0, 0.2]}}}
    with caplog.at_level(logging.WARNING):
        assert run("BPR", "tiny", config_dict=options)["test_result"]
    assert "no validation interactions: the last epoch is kept" in plain(caplog.text)
    with pytest.raises(UserError, match="no validation interactions to choose options by"):
        objective({**options, "model": "BPR", "dataset": "tiny"})


def test_a_fixed_split_trains(given, tmp_path):
    folder = write_tiny(tmp_path / "parts", "tiny", parts=True)
    assert run("BPR", "tiny", config_dict={**given, "data_path": str(folder)})["test_result"]
