"""Kept arrays: the same ones, of one writer of several, after a kill, and never from somebody's own file."""

import multiprocessing
import os
import pickle
import time
import zipfile

import numpy as np
import pytest

from recbole_micro.data import array_cache
from recbole_micro.data.array_cache import ArrayCache

CONTENT = [np.arange(12, dtype=np.float32).reshape(3, 4)]


def arrays(value=1):
    return {"col": np.full(5, value, dtype=np.int32), "val": np.linspace(0, 1, 5, dtype=np.float32)}


class Making:
    """Makes arrays, and counts how often."""

    def __init__(self):
        self.times = 0

    def __call__(self):
        self.times += 1
        return arrays(self.times)


def test_the_same_content_and_options_are_made_once(tmp_path):
    cache, make = ArrayCache(tmp_path / ".graphs"), Making()
    first = cache.get("graph", CONTENT, {"k": 3, "clamp": True}, make)
    again = cache.get("graph", [CONTENT[0].copy()], {"clamp": True, "k": 3}, make)
    assert make.times == 1 and all((first[name] == again[name]).all() for name in first)
    assert all(first[name].dtype == again[name].dtype for name in first)
    other = CONTENT[0].copy()
    other[2, 3] = np.nextafter(other[2, 3], 99, dtype=np.float32)
    for content, options in (
        ([other], {"k": 3, "clamp": True}),
        ([CONTENT[0].reshape(4, 3)], {"k": 3, "clamp": True}),
        ([CONTENT[0].astype(np.float64)], {"k": 3, "clamp": True}),
        (CONTENT, {"k": 4, "clamp": True}),
        (CONTENT, {"k": 3, "clamp": False}),
    ):
        assert cache.get("graph", content, options, make)["col"][0] == make.times > 1
    assert make.times == 6 and len(list((tmp_path / ".graphs").iterdir())) == 6


def planted(path, kind):
    if kind == "objects":
        np.savez(path, col=np.array([print], dtype=object))
    elif kind == "pickle":
        path.write_bytes(pickle.dumps(arrays()))
    elif kind == "packed":
        np.savez_compressed(path, col=np.zeros(10**6))
    elif kind == "torn":
        path.write_bytes(path.read_bytes()[:-40])
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("../col.npy", b"x")


@pytest.mark.parametrize("kind", ["objects", "pickle", "packed", "torn", "zip"])
def test_a_file_of_somebody_elses_is_replaced(kind, tmp_path):
    cache, make = ArrayCache(tmp_path), Making()
    cache.get("graph", CONTENT, {}, make)
    (path,) = tmp_path.glob("*.npz")
    planted(path, kind)
    assert cache.get("graph", CONTENT, {}, make)["col"][0] == 2
    assert cache.get("graph", CONTENT, {}, make)["col"][0] == 2 and make.times == 2
    assert not (tmp_path.parent / "col.npy").exists()


def test_where_nothing_can_be_kept_it_is_made_and_said(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    cache, make = ArrayCache(tmp_path / "file" / ".graphs"), Making()
    assert cache.get("graph", CONTENT, {}, make)["col"][0] == 1
    assert "The graph is not kept" in caplog.text and str(tmp_path / "file") in caplog.text


def test_the_least_recently_read_files_make_room(tmp_path, monkeypatch):
    cache, make = ArrayCache(tmp_path), Making()
    for k in range(3):
        cache.get("graph", CONTENT, {"k": k}, make)
        for path in tmp_path.glob("*.npz"):
            os.utime(path, (time.time() - 100,) * 2) if k == 1 else None
    cache.get("graph", CONTENT, {"k": 0}, make)  # read just now
    assert make.times == 3
    old, new = tmp_path / ".a.npz.1.partial", tmp_path / ".b.npz.1.partial"
    for part in (old, new):
        part.write_text("")
    os.utime(old, (0, 0))
    size = next(tmp_path.glob("*.npz")).stat().st_size
    monkeypatch.setattr(array_cache, "LIMIT", 3 * size)
    cache.get("graph", CONTENT, {"k": 3}, make)
    assert not old.exists() and new.exists() and len(list(tmp_path.glob("*.npz"))) == 3
    cache.get("graph", CONTENT, {"k": 0}, make)
    assert make.times == 4
    cache.get("graph", CONTENT, {"k": 1}, make)  # it had to go
    assert make.times == 5


def test_a_file_that_another_process_removes_meanwhile_is_no_matter(tmp_path, monkeypatch, caplog):
    gone = tmp_path / "gone.npz"
    gone.symlink_to(tmp_path / "nowhere")  # it is listed, and has no state
    assert ArrayCache(tmp_path).get("graph", CONTENT, {}, Making())["col"][0] == 1
    assert "not kept" not in caplog.text and gone.is_symlink()


def write(folder, calls, seconds):
    """A process that needs the arrays, and takes its time to make them."""

    def make():
        with open(calls, "a") as file:
            file.write("made\n")
        time.sleep(seconds)
        return {"col": np.arange(100_000, dtype=np.int32)}

    found = ArrayCache(folder).get("graph", [np.zeros(3)], {}, make)
    assert (found["col"] == np.arange(100_000)).all()


def test_of_two_processes_one_makes_and_a_killed_one_holds_nothing(places, tmp_path):
    folders, calls = [place / ".graphs" for place in places], tmp_path / "calls"
    start = multiprocessing.get_context("fork").Process
    killed = start(target=write, args=(folders[0], calls, 60))
    killed.start()
    while not calls.exists() or not calls.read_text():
        assert killed.is_alive()
        time.sleep(0.01)
    killed.kill()
    killed.join()
    both = [start(target=write, args=(folder, calls, 0.3)) for folder in folders]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert [one.exitcode for one in both] == [0, 0]
    assert calls.read_text().count("made") == 2  # the killed one's, and one of both
    assert [path.suffix for path in folders[0].iterdir()] == [".npz"]
