"""Files are written whole or not at all, and by one process at a time."""

import errno
import json
import os
import signal
import subprocess

import numpy as np
import pytest

from dataset_tools import files
from dataset_tools.converters import download, mmrec_export
from dataset_tools.dataset import provenance
from dataset_tools.dataset.reading import Dataset
from dataset_tools.features.feature_file import FeatureFile, FeatureWriter
from dataset_tools.features.feature_text import write_text as write_feature_text
from dataset_tools.features.shards import Shards
from dataset_tools.formats.atomic import write_table
from dataset_tools.inspection.dataset_plots import save_plot
from dataset_tools.operations.splitting import cold
from tests.support import tiny
from tests.support.disk import small_disk
from tests.support.processes import run_python, start

SMALL, LARGE = 10, 60_000
DISK = 64  # KB


def features(path, n):
    with FeatureWriter(path, "visual", 8) as writer:
        for first in range(0, n, 500):
            tokens = [f"i{row}" for row in range(first, min(n, first + 500))]
            writer.write(tokens, np.ones((len(tokens), 8), dtype=np.float32))


def feature_text(path, n):
    source = path.parent.parent / f"{n}.visual.parquet"
    features(source, n)
    write_feature_text(path, FeatureFile(source, "visual"))


WRITERS = {
    "a text": ("toy.txt", lambda path, n: files.write_text(path, "x" * 20 * n)),
    "a table": ("toy.inter", lambda path, n: write_table(path, ["a:token"], ([f"{i:09}"] for i in range(n)))),
    "features": ("toy.visual.parquet", features),
    "features as text": ("toy.visual", feature_text),
    "cold items": ("toy.cold.json", lambda path, n: cold.write(path.parent, "toy", {"test": ["item"] * n})),
    "a record": (
        "toy.source.json",
        lambda path, n: provenance.record_step(path.parent, "toy", "x", {"o": "x" * n * 5}, [], {}),
    ),
    "downloads": (
        download.RECORDS,
        lambda path, n: download._write(path.parent, {f"file{i}": {} for i in range(n)}),
    ),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, kind):
    name, write = WRITERS[kind]
    with small_disk(tmp_path / "disk", DISK) as disk:
        path = disk / name
        write(path, SMALL)
        before = path.read_bytes()
        with pytest.raises(OSError) as caught:
            write(path, LARGE)
        assert path.read_bytes() == before and [one.name for one in disk.iterdir()] == [name]
    error = caught.value
    assert error.filename == str(path) and error.errno in files.FULL
    assert files.sentence(error).startswith(f"{path}: ") and "free some space" in files.sentence(error)


def test_a_full_disk_ends_no_export_halfway(tmp_path):
    tiny.write_tiny(tmp_path, parts=True)
    dataset = Dataset("tiny", tmp_path)
    with small_disk(tmp_path / "disk", DISK) as disk:
        target, _ = mmrec_export.export_mmrec(dataset, disk / "out")
        before = {path.name: path.read_bytes() for path in target.iterdir()}
        wide = {"visual": np.ones((16, 4000)), "textual": np.ones((16, 4000))}
        parts = {"train": [(0, 0)], "valid": [(0, 1)], "test": [(0, 2)]}
        home = tiny.write_dataset(tmp_path, "wide", parts, 16, wide)
        with pytest.raises(OSError) as caught:  # a file in memory would be a signal that kills
            mmrec_export.export_mmrec(Dataset("wide", home.parent), target, force=True)
        assert {path.name: path.read_bytes() for path in target.iterdir()} == before
        assert [path.name for path in disk.iterdir()] == ["out"]
    assert caught.value.errno in files.FULL and caught.value.filename.endswith("_feat.npy")


def test_a_full_disk_leaves_encoded_portions_whole(tmp_path):
    with small_disk(tmp_path / "disk", DISK) as disk:
        shards = Shards(disk / "shards", {}, ["text"])
        with pytest.raises(OSError):
            list(shards.encoded(lambda: lambda texts: (np.ones((1, 30_000), np.float32), np.ones(1, bool))))
        assert [path.name for path in (disk / "shards").iterdir()] == ["key"]


def test_a_full_disk_leaves_the_old_picture(tmp_path):
    tiny.write_tiny(tmp_path)
    with small_disk(tmp_path / "disk", 8) as disk:
        (disk / "plot.png").write_text("old")
        with pytest.raises(OSError):
            save_plot(Dataset("tiny", tmp_path), disk / "plot.png")
        assert (disk / "plot.png").read_text() == "old" and len(list(disk.iterdir())) == 1


def test_two_writers_of_a_file_do_not_meet(tmp_path):
    path = tmp_path / "file"
    with files.replacing(path) as one, files.replacing(path) as other:
        one.write_text("one")
        other.write_text("other")
        assert one != other and not path.exists()
    assert path.read_text() == "one" and [part.name for part in tmp_path.iterdir()] == ["file"]


HOLDING = """
import sys, time
from pathlib import Path
from dataset_tools.files import held
folder = Path(sys.argv[1])
for _ in range(int(sys.argv[2])):
    with held(folder / "lock", folder):
        inside = folder / "inside"
        assert not inside.exists(), "two at a time"
        inside.touch()
        time.sleep(0.002)
        inside.unlink()
"""


def test_a_lock_is_one_process_s_at_a_time_and_leaves_no_file(places):
    started = [start("-c", HOLDING, place, 40, stderr=subprocess.PIPE) for place in (*places, places[0])]
    ended = [process.communicate(timeout=300)[1] for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], ended
    assert list(places[0].iterdir()) == []


KILLED = """
import os, signal, sys
from pathlib import Path
from dataset_tools.files import held
with held(Path(sys.argv[1]) / "lock", "x"):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_holds_nothing(tmp_path):
    assert run_python("-c", KILLED, tmp_path).returncode == -signal.SIGKILL
    assert (tmp_path / "lock").exists()
    with files.held(tmp_path / "lock", "x", wait=False):
        with pytest.raises(BlockingIOError), files.held(tmp_path / "lock", "x", wait=False):
            pass
        with pytest.raises(BlockingIOError), files.held(tmp_path / "lock", "x", wait=False, shared=True):
            pass
    assert not (tmp_path / "lock").exists()


def test_a_shared_lock_lets_others_share_and_keeps_a_single_one_out(tmp_path):
    lock = tmp_path / "lock"
    with files.held(lock, "x", shared=True):
        with files.held(lock, "x", shared=True, wait=False):
            pass
        assert lock.exists()
        with pytest.raises(BlockingIOError), files.held(lock, "x", wait=False):
            pass
    assert not lock.exists()


def test_who_waits_is_told(tmp_path, capsys, monkeypatch):
    calls = []

    def flock(file, how):
        calls.append(how)
        if len(calls) == 1:
            raise BlockingIOError

    monkeypatch.setattr(files.fcntl, "flock", flock)
    with files.held(tmp_path / "lock", tmp_path / "toy"):
        pass
    assert f"Another process is writing {tmp_path / 'toy'}: waiting for it." in capsys.readouterr().err


@pytest.mark.parametrize("number", [errno.ENOENT, errno.ESTALE])
def test_a_lock_file_that_goes_away_meanwhile_is_made_again(tmp_path, monkeypatch, number):
    """Who had it removes it; on another machine that can also be an ESTALE."""
    usual, calls = os.fstat, []

    def fstat(file):
        calls.append(file)
        if len(calls) == 1:
            (tmp_path / "lock").unlink()
            raise OSError(number, os.strerror(number))
        return usual(file)

    monkeypatch.setattr(files.os, "fstat", fstat)
    with files.held(tmp_path / "lock", "x"):
        assert (tmp_path / "lock").exists() and len(calls) == 2
        with pytest.raises(BlockingIOError), files.held(tmp_path / "lock", "x", wait=False):
            pass


def test_a_lock_file_that_another_machine_has_removed_is_known_by_its_links(tmp_path, monkeypatch):
    """Seen on two mounts of a GlusterFS volume: the name still led to the file, and two were inside."""
    lock = tmp_path / "lock"
    with open(lock, "w") as file:
        assert files._is_in_place(lock, file.fileno())
        lock.unlink()
        monkeypatch.setattr(files.os, "stat", lambda path: os.fstat(file.fileno()))  # what is remembered
        assert not files._is_in_place(lock, file.fileno())


def test_a_file_that_another_machine_replaces_while_it_is_read_is_read_again():
    numbers = [errno.ESTALE, errno.ENOENT, 0, errno.EIO]

    def read():
        number = numbers.pop(0)
        if number:
            raise OSError(number, os.strerror(number))
        return "new"

    assert files.whole(read) == "new"
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        files.whole(read)


def test_a_file_that_is_replaced_all_the_time_is_one_sentence(monkeypatch):
    def read():
        raise OSError(errno.ESTALE, "Stale file handle", "x")

    monkeypatch.setattr(files, "PAUSES", (0, 0))
    with pytest.raises(OSError) as error:
        files.whole(read)
    assert files.sentence(error.value).endswith("another machine has replaced it meanwhile: start again.")


@pytest.mark.parametrize("number", files.UNLOCKABLE)
def test_a_file_system_without_locks_is_written_without_them(tmp_path, monkeypatch, number):
    def flock(file, how):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files.fcntl, "flock", flock)
    with files.held(tmp_path / "lock", "x", wait=False):
        files.write_text(tmp_path / "file", "x")
    assert (tmp_path / "file").read_text() == "x"


RECORDING = """
import sys
from pathlib import Path
from dataset_tools.dataset import provenance
for number in range(15):
    provenance.record_step(Path(sys.argv[1]), "toy", sys.argv[2], {"number": number}, [], {})
"""


def test_no_step_of_two_commands_at_a_time_is_lost(tmp_path):
    runs = [start("-c", RECORDING, tmp_path, name) for name in ("features", "encode")]
    assert [run.wait(timeout=300) for run in runs] == [0, 0]
    steps = provenance.read_steps(tmp_path, "toy")
    for command in ("features", "encode"):
        mine = [step["options"]["number"] for step in steps if step["command"] == command]
        assert mine == list(range(15))
    assert [path.name for path in tmp_path.iterdir()] == ["toy.source.json"]


def test_a_file_is_downloaded_once_and_every_record_is_kept(tmp_path, monkeypatch):
    fetched = []

    def arrive(self, url):
        fetched.append(url.rsplit("/", 1)[1])
        files.write_text(self.part, "content")

    monkeypatch.setattr(download.Resuming, "__call__", arrive)
    for name in ("a", "b", "a"):
        download.fetch("https://example.org", [name], tmp_path)
    assert fetched == ["a", "b"] and set(json.loads((tmp_path / download.RECORDS).read_text())) == {"a", "b"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", download.RECORDS]
