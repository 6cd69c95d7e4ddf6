"""A data set appears whole or not at all."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from dataset_tools.dataset.folder import DatasetFolder
from dataset_tools.errors import DataError
from dataset_tools.formats.hashing import hash_file
from tests.support.processes import run_python, run_shell, start


def make(path, text, **options):
    with DatasetFolder(path, "toy", **options) as folder:
        folder.write_items([text])


def items(path):
    return (path / "toy" / "toy.item").read_text().split("\n")[1]


def test_an_existing_data_set_is_refused_and_force_replaces_it(tmp_path):
    make(tmp_path, "old")
    with pytest.raises(DataError, match="toy is there already; replace it with --force"):
        make(tmp_path, "new")
    assert items(tmp_path) == "old"
    make(tmp_path, "new", force=True)
    assert items(tmp_path) == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["toy"]


def test_a_failure_keeps_the_old_data_set(tmp_path):
    make(tmp_path, "old")
    with pytest.raises(RuntimeError), DatasetFolder(tmp_path, "toy", force=True) as folder:
        folder.write_items(["half"])
        raise RuntimeError
    assert items(tmp_path) == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["toy"]


@pytest.mark.parametrize("kind", ["a file", "a folder"])
def test_force_replaces_nothing_but_data_sets(tmp_path, kind):
    kept = tmp_path / "toy"
    if kind == "a folder":
        kept.mkdir()
        kept = kept / "notes.txt"
    kept.write_text("mine")
    with pytest.raises(DataError, match="toy is no data set, so it is not replaced"):
        make(tmp_path, "new", force=True)
    assert kept.read_text() == "mine"


def test_force_loses_nothing_that_is_no_part_of_the_data_set(tmp_path):
    make(tmp_path, "old")
    (tmp_path / "toy" / "images").mkdir()
    (tmp_path / "toy" / "images" / "a.jpg").write_text("mine")
    with pytest.raises(DataError, match="toy holds images as well, which would be lost"):
        make(tmp_path, "new", force=True)
    assert items(tmp_path) == "old" and (tmp_path / "toy" / "images" / "a.jpg").is_file()


KILLED = """
import os, signal, sys
from dataset_tools.dataset.folder import DatasetFolder
with DatasetFolder(sys.argv[1], "toy", force=True) as folder:
    folder.write_items(["half"])
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("before", ["old", None])
def test_a_killed_run_leaves_the_old_data_set_or_none(tmp_path, before):
    if before:
        make(tmp_path, before)
    run = run_python("-c", KILLED, tmp_path)
    assert run.returncode == -signal.SIGKILL
    assert (tmp_path / "toy").exists() == bool(before)
    make(tmp_path, "new", force=bool(before))
    assert items(tmp_path) == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["toy"]


WAITING = """
import sys, time
from dataset_tools.errors import DataError
from dataset_tools.dataset.folder import DatasetFolder
try:
    with DatasetFolder(sys.argv[1], "toy") as folder:
        print("in", flush=True)
        folder.write_items([sys.argv[2]])
        time.sleep(0.3)
    print("made")
except DataError as error:
    print(error)
"""


def test_of_two_processes_one_makes_the_data_set_and_the_other_is_told(tmp_path):
    runs = [start("-c", WAITING, tmp_path, name, stdout=subprocess.PIPE) for name in ("first", "second")]
    printed = sorted(run.communicate(timeout=60)[0] for run in runs)
    assert "is there already" in printed[0] and printed[1].endswith("made\n")
    assert items(tmp_path) in ("first", "second")
    assert [path.name for path in tmp_path.iterdir()] == ["toy"]


def test_a_run_killed_between_the_two_renames_is_undone(tmp_path):
    make(tmp_path, "old")
    os.rename(tmp_path / "toy", tmp_path / ".toy.old")
    with pytest.raises(DataError, match="is there already"):
        DatasetFolder(tmp_path, "toy")
    assert items(tmp_path) == "old"


@pytest.mark.parametrize("name", ["", "a/b", "..", "a.b", " x", "a\tb"])
def test_names_that_are_no_folder_are_refused(tmp_path, name):
    with pytest.raises(DataError, match="cannot name a data set"):
        DatasetFolder(tmp_path, name)


def test_provenance_lists_sources_options_versions_and_counts(tmp_path):
    source = tmp_path / "source.csv"
    source.write_bytes(b"abc")
    with DatasetFolder(tmp_path, "toy") as folder:
        folder.write_items(["a", "b"])
        folder.write_features("visual", ["b"], np.ones((1, 3)))
        folder.record("convert x", {"seed": 7}, [source])
    (step,) = json.loads((tmp_path / "toy" / "toy.source.json").read_text())["steps"]
    assert step["command"] == "convert x" and step["options"] == {"seed": 7}
    assert step["sources"] == [hash_file(source)]
    assert step["sources"][0]["sha256"] == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert step["sources"][0]["bytes"] == 3
    assert {"python", "numpy", "pyarrow"} <= set(step["versions"])
    assert step["summary"]["features"] == {"visual": {"items": 1, "columns": 3}}


def test_a_full_disk_is_one_sentence(tmp_path):
    limited = f"ulimit -f 8; exec {sys.executable} -m dataset_tools prepare ml-100k --data-path {tmp_path}"
    run = run_shell(f"trap '' XFSZ; {limited}")
    assert run.returncode == 2
    assert run.stderr.startswith("error: ") and len(run.stderr.strip().splitlines()) == 1
    assert "free some space" in run.stderr
    assert list(tmp_path.iterdir()) == []
