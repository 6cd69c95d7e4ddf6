"""Several processes at a time: nobody's file is overwritten or half read."""

import json
import subprocess
import time

import numpy as np
import pytest
import torch

from dataset_tools.dataset import provenance
from dataset_tools.dataset.folder import DatasetFolder
from dataset_tools.dataset.interactions import Interactions
from dataset_tools.dataset.reading import Dataset
from dataset_tools.files import whole, write_text
from recbole_micro import checkpoint
from recbole_micro.data import dataset as datasets
from recbole_micro.errors import UserError
from recbole_micro.files import alone_in
from recbole_micro.options.config import Config
from recbole_micro.studies import pool
from recbole_micro.studies.runs import Run
from recbole_micro.training.experiment import build
from recbole_micro.tuning import study
from tests.support import tiny
from tests.support.processes import WARM, start, working

SECONDS = 100  # for the other process, on a busy machine

TRAINING = """
import json, sys, time
import recbole.utils.utils as utils
import recbole_micro
import recbole.trainer.trainer as trainer, recbole.utils.logger as logger
trainer.get_local_time = logger.get_local_time = lambda: "Jan-01-2026_00-00-00"
result = recbole_micro.run("BPR", "tiny", config_dict=json.loads(sys.argv[1]))
print(json.dumps([result["checkpoint"], result["test_result"]]))
"""


@pytest.mark.slow
def test_two_runs_of_the_same_second_share_no_file(given, places):
    asked = [json.dumps({**given, "epochs": 4, "seed": seed, "checkpoint_dir": "saved"}) for seed in (1, 2)]
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    runs = [
        start("-c", TRAINING, options, cwd=place, **pipes)
        for options, place in zip(asked, places, strict=True)
    ]
    ended = [run.communicate(timeout=300) for run in runs]
    assert [run.returncode for run in runs] == [0, 0], ended
    files, results = zip(*(json.loads(out.splitlines()[-1]) for out, _ in ended), strict=True)
    assert len(set(files)) == 2
    for file, seed in zip(files, (1, 2), strict=True):
        for path in (file, checkpoint.last_file(file)):
            assert checkpoint.load_checkpoint(places[0] / path)["config"]["seed"] == seed
    logs = [path.read_text() for path in (places[0] / "log" / "BPR").iterdir()]
    assert len(logs) == 2
    for log in logs:
        assert log.count("test result") == 1 and sum(f"seed = {seed}" in log for seed in (1, 2)) == 1
    assert len(list((places[0] / "log_tensorboard").iterdir())) == 2 and results[0] and results[1]


SPLITTING = """
import sys
from dataset_tools import main
sys.exit(main(["split", "tiny", "--data-path", sys.argv[1], *sys.argv[2:]]))
"""


def split_twice(folders, *more):
    runs = [
        start("-c", SPLITTING, folder, *more, "--seed", seed, stderr=subprocess.PIPE)
        for seed, folder in enumerate(folders)
    ]
    errors = [run.communicate(timeout=300)[1] for run in runs]
    return [run.returncode for run in runs], errors


def test_of_two_splits_into_a_new_data_set_one_is_told(places):
    tiny.write_tiny(places[0])
    codes, errors = split_twice(places, "--to-name", "other")
    assert sorted(codes) == [0, 2] and "is there already" in "".join(errors)
    assert sorted(path.name for path in places[0].iterdir()) == ["other", "tiny"]


def test_two_splits_in_place_follow_each_other(places):
    tiny.write_tiny(places[0])
    before = len(Dataset("tiny", places[0]).interactions)
    codes, errors = split_twice(places, "--force")
    assert codes == [0, 0], errors
    found = Dataset("tiny", places[0])
    assert len(found.interactions) == before and found.interactions.part is not None
    assert sorted(found.modalities) == ["textual", "visual"]
    assert [path.name for path in places[0].iterdir()] == ["tiny"]


ENCODING = """
import sys
import numpy as np
from dataset_tools import main
ids = [f"i{row}" for row in range(16)]
np.savez(sys.argv[3], ids=np.array(ids), values=np.full((16, 3), float(sys.argv[4])))
more = ["--input", sys.argv[3], "--modality", sys.argv[2], "--name", "tiny", "--data-path", sys.argv[1]]
sys.exit(main(["features", *more, "--force", "--key", "values", "--ids-key", "ids"]))
"""


def test_features_and_splits_at_a_time_are_all_kept(places, tmp_path):
    """A split in place takes the features along; those written meanwhile would be lost with the folder."""
    tiny.write_tiny(places[0])
    given = [("audio", 1), ("video", 2), ("audio", 3)]
    runs = []
    for number, (modality, value) in enumerate(given):
        words = places[number % 2], modality, tmp_path.parent / f"{value}.npz", value
        runs.append(start("-c", ENCODING, *words, stderr=subprocess.PIPE))
    runs.append(start("-c", SPLITTING, places[1], "--force", stderr=subprocess.PIPE))
    ended = [run.communicate(timeout=300)[1] for run in runs]
    assert [run.returncode for run in runs] == [0] * 4, ended
    found = Dataset("tiny", places[0])
    assert sorted(found.modalities) == ["audio", "textual", "video", "visual"]
    values = found.matrix("audio")[0]
    assert (values == values[0, 0]).all() and values[0, 0] in (1, 3) and (found.matrix("video")[0] == 2).all()
    commands = [step["command"] for step in provenance.read_steps(places[0] / "tiny", "tiny")]
    assert sorted(commands) == ["features"] * 3 + ["split tiny"]
    assert not [path.name for path in (places[0] / "tiny").iterdir() if path.name.startswith(".")]


def replace(folder, once):
    for number in range(10**6):
        make(folder, "ab"[number % 2])
        once.set()


def make(folder, kind):
    """A data set all of whose ids, numbers of rows and features are those of its kind."""
    n = {"a": 12, "b": 20}[kind]
    tokens = [f"{kind}{row}" for row in range(n)]
    pairs = np.array([(user, item) for user in range(n) for item in range(n) if (user + item) % 2])
    with DatasetFolder(folder, "made", force=True) as target:
        target.write_items(tokens)
        target.write_interactions(Interactions(tokens, tokens, pairs[:, 0], pairs[:, 1]))
        target.write_features("visual", tokens, np.full((n, 3), float(n), dtype=np.float32))


def test_a_reader_sees_one_data_set_or_is_told(given, places):
    make(places[0], "a")
    seen, told, once = set(), 0, WARM.Event()
    with working(replace, places[0], once):
        assert once.wait(SECONDS)
        for _ in range(12):
            options = {**given, "data_path": str(places[1]), "modalities": ["visual"]}
            try:
                model = build(Config("VBPR", "made", config_dict=options), trainer=False).model
            except UserError as error:
                assert "has replaced the data set" in str(error)
                told += 1
                continue
            n = model.n_items - 1
            assert (model.modalities["visual"].values[1:] == n).all() and n in (12, 20)
            seen.add(n)
    assert seen or told


def test_a_data_set_that_is_replaced_while_it_is_read_is_not_trained_on(given, tmp_path, monkeypatch):
    make(tmp_path, "a")
    usual = datasets.CheckedFiles._load_data

    def slowly(self, *arguments):
        usual(self, *arguments)
        make(tmp_path, "b")

    monkeypatch.setattr(datasets.CheckedFiles, "_load_data", slowly)
    with pytest.raises(UserError, match="Another process has replaced the data set made"):
        build(Config("BPR", "made", config_dict={**given, "data_path": str(tmp_path)}), trainer=False)


def hold(folder, inside):
    with alone_in(folder):
        inside.set()
        time.sleep(SECONDS)


def test_a_study_s_folder_is_one_process_s(given, places):
    inside = WARM.Event()
    with working(hold, places[0] / "out", inside):
        assert inside.wait(SECONDS)
        out = places[1] / "out"
        options = {**given, "model": "BPR", "dataset": "tiny"}
        with pytest.raises(UserError, match="Another process is at work in"):
            study.tune({"choice": {"learning_rate": [0.1, 0.01]}}, options, out, trials=1)
        with pytest.raises(UserError, match="Another process is at work in"):
            pool.run_all([Run("BPR", 1, {}, {"dataset": "tiny"})], out)
        assert [path.name for path in out.iterdir()] == ["lock"]
    assert pool.run_all([], out).empty  # nobody's any more


def write(out, mark, began):
    for _ in range(60):
        write_text(out / "report.html", f"<p>{mark}</p>" * 5000)
        state = {"config": {}, "state_dict": {"weight": torch.full((20000,), mark)}}
        checkpoint.write(state, out / "model.pth")
        began.set()


def test_readers_of_files_that_two_write_see_whole_ones(places):
    began, marks = [WARM.Event(), WARM.Event()], set()
    with (
        working(write, places[0], 1.0, began[0]) as first,
        working(write, places[1], 2.0, began[1]) as second,
    ):
        assert all(event.wait(SECONDS) for event in began)
        while first.is_alive() or second.is_alive():
            page = whole((places[0] / "report.html").read_text)
            weight = checkpoint.load_checkpoint(places[0] / "model.pth")["state_dict"]["weight"]
            assert page in (f"<p>{mark}</p>" * 5000 for mark in (1.0, 2.0))
            assert torch.equal(weight, weight[:1].expand_as(weight))
            marks.add(float(weight[0]))
        assert (first.exitcode, second.exitcode) == (0, 0)
    assert marks <= {1.0, 2.0} and marks
    assert sorted(path.name for path in places[0].iterdir()) == ["model.pth", "report.html"]
