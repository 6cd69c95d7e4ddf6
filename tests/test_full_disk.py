"""A full disk: the old file stays, nothing else is left, one sentence says what to do."""

import logging

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure

import recbole_micro
from dataset_tools.files import FULL
from recbole_micro import checkpoint, cli
from recbole_micro.inference.list_files import list_file
from recbole_micro.logs import LogFile
from recbole_micro.studies import details, plots
from recbole_micro.studies.results import write_results
from recbole_micro.studies.runs import Run
from recbole_micro.training.loading import copy
from recbole_micro.tuning.trials import Journal
from tests.support.disk import fill, small_disk

SMALL, LARGE = 10, 6_000
DISK = 64  # KB


def lists(path, n):
    with list_file(path) as file:
        scores = np.linspace(0, 1, n)
        file.add(pd.DataFrame({"user_id": "u", "rank": range(1, n + 1), "item_id": "i", "score": scores}))


def picture(path, n):
    figure = Figure(figsize=(1, 1) if n == SMALL else (8, 8))
    figure.subplots().imshow(np.random.default_rng(0).random((10, 10) if n == SMALL else (500, 500)))
    plots.save(figure, path)


def trial(path, n):
    result = {"state": "finished", "best_valid_score": 0.5, "epochs": 1, "best_valid_result": {}}
    Journal(path).add({"layers": "x" * 50 * n}, result)


def weights(path, n):
    state = {"state_dict": {f"part{i}": torch.ones(n) for i in range(4)}, "config": {}}
    checkpoint.write(state, path)


def copied(path, n):
    source = path.parent.parent / "source.pth"
    source.write_bytes(b"x" * 20 * n)
    copy(source, path)


WRITERS = {
    "a checkpoint": ("model.pth", weights),
    "a checkpoint of a resumed training": ("model.pth", copied),
    **{f"lists as {kind}": (f"lists.{kind}", lists) for kind in ("csv", "json", "jsonl", "parquet")},
    "a plot": ("bars.png", picture),
    "trials": ("trials.jsonl", trial),
    "epochs": (
        "epochs.csv",
        lambda path, n: details.write_epochs(path, dict.fromkeys(range(n), 0.12345), {}, {}),
    ),
    "a table of results": (
        "results.csv",
        lambda path, n: write_results([Run("BPR", seed, {}, {}) for seed in range(n // 3)], path.parent),
    ),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_the_old_file_stays_and_nothing_else_is_left(tmp_path, kind):
    name, write = WRITERS[kind]
    with small_disk(tmp_path / "disk", DISK) as disk:
        path = disk / name
        write(path, SMALL)
        before = {one.name: one.read_bytes() for one in disk.iterdir()}
        with pytest.raises(OSError) as caught:
            write(path, LARGE)
        assert {one.name: one.read_bytes() for one in disk.iterdir()} == before
    assert caught.value.filename == str(path) and caught.value.errno in FULL


def sentences(text):
    return [line for line in text.splitlines() if line.startswith(("error: ", "warning: "))]


@pytest.mark.parametrize("state", ["best", "last"])
def test_a_training_ends_in_a_sentence_that_names_the_checkpoint(given, tmp_path, capfd, state):
    """The best state is written first; the last one, before the second epoch, finds no room."""
    with small_disk(tmp_path / "disk", 16 if state == "best" else 56) as disk:
        size = 64 if state == "best" else 32
        asked = {**given, "checkpoint_dir": disk, "embedding_size": size}
        options = [f"--{name}={value}" for name, value in asked.items()]
        assert cli.main(["train", "--model=BPR", "--dataset=tiny", *options]) == 2
        left = [path.name for path in disk.iterdir()]
        assert not [name for name in left if name.endswith(".partial")]
        assert len(left) == (state == "last")
        for name in left:
            checkpoint.load_checkpoint(disk / name)
    printed = capfd.readouterr().err
    (said,) = sentences(printed)
    assert said.startswith(f"error: {disk}/BPR-") and "free some space" in said
    assert said.split(": ")[1].endswith(".last.pth" if state == "last" else ".pth")
    assert "Traceback" not in printed


def test_a_log_that_cannot_be_written_ends_no_training(given, tmp_path, capfd, monkeypatch):
    with small_disk(tmp_path / "disk", DISK) as disk:
        fill(disk)
        monkeypatch.chdir(disk)
        monkeypatch.setattr(logging.getLogger(), "handlers", [])  # pytest's, beside which there is no log
        result = recbole_micro.run("BPR", "tiny", config_dict=given)
        monkeypatch.chdir(tmp_path)
        for handler in logging.getLogger().handlers:
            handler.close()
    assert result["test_result"]
    printed = capfd.readouterr().err
    assert len(sentences(printed)) == 2 and "Traceback" not in printed and "Logging error" not in printed
    for what in (".log", "log_tensorboard"):
        (line,) = [line for line in sentences(printed) if f"{what} cannot be written" in line]
        assert "the program goes on" in line


def test_logs_of_the_same_second_are_two(tmp_path):
    logs = [LogFile(str(tmp_path / "BPR.log")) for _ in range(2)]
    for number, log in enumerate(logs):
        log.emit(logging.LogRecord("", logging.INFO, "", 0, f"line {number}", None, None))
        log.close()
    assert (tmp_path / "BPR.log").read_text() == "line 0\n"
    assert (tmp_path / "BPR-2.log").read_text() == "line 1\n"


def test_other_mistakes_of_a_log_line_are_shown_as_usual(tmp_path, capsys):
    log = LogFile(str(tmp_path / "BPR.log"))
    log.handle(logging.LogRecord("", logging.INFO, "", 0, "%d", ("text",), None))
    log.close()
    assert "Logging error" in capsys.readouterr().err
