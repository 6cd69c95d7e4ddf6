"""Files of Python objects: arrays and plain containers are read, nothing is ever called."""

import collections
import os
import pickle
import pickletools

import numpy as np
import pytest
from scipy import sparse

from dataset_tools.errors import DataError
from dataset_tools.formats.matrices.plain_objects import read_objects


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_and_containers_of_every_protocol(tmp_path, protocol):
    content = {
        "5": np.arange(3, dtype=">f4"),
        7: [np.float64(1.5), (None, True)],
        "set": {np.int64(3), 4},
        "columns": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "default": collections.defaultdict(list, {1: [2]}),
        "texts": np.array(["ab", "c"]),
    }
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(content, protocol))
    found = read_objects(tmp_path / "x.pkl")
    assert list(found) == list(content)
    for key in ("5", "columns", "texts"):
        np.testing.assert_array_equal(found[key], content[key])
    assert found[7] == [1.5, (None, True)] and found["set"] == {3, 4} and found["default"] == {1: [2]}


@pytest.mark.parametrize("protocol", range(2, 6))
@pytest.mark.parametrize("kind", ["coo_matrix", "csr_matrix", "csc_matrix", "coo_array", "csr_array"])
def test_sparse_matrices(tmp_path, kind, protocol):
    dense = np.array([[0, 2.5, 0], [1, 0, 0]], dtype="f4")
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(getattr(sparse, kind)(dense), protocol))
    np.testing.assert_array_equal(read_objects(tmp_path / "x.pkl").toarray(), dense)


def test_sparse_matrices_of_older_scipy_and_broken_ones(tmp_path):
    def save(kind, **state):
        matrix = kind((2, 3))
        matrix.__dict__.clear()
        matrix.__dict__.update(state)
        content = pickle.dumps(matrix, 2)
        (tmp_path / "x.pkl").write_bytes(content.replace(b"scipy.sparse._coo", b"scipy.sparse.coo"))
        return read_objects(tmp_path / "x.pkl")

    one, two = np.array([1]), np.array([2])
    assert save(sparse.coo_matrix, _shape=(2, 3), row=one, col=two, data=one).toarray()[1, 2] == 1
    broken = [
        (sparse.coo_matrix, dict(_shape=(2, 2), row=one, col=two, data=one)),
        (sparse.coo_matrix, dict(_shape=(2, 2), row=-one, col=one, data=one)),
        (sparse.coo_matrix, dict(_shape=(2, 2), row=one, data=one)),
        (sparse.csr_matrix, dict(_shape=(2, 2), indices=two, indptr=np.array([0, 1, 1]), data=one)),
        (sparse.csr_matrix, dict(_shape=(2, 3), indices=two, indptr=np.array([0, 9, 1]), data=one)),
    ]
    for kind, state in broken:
        with pytest.raises(DataError, match=r"x.pkl is damaged or no file of objects"):
            save(kind, **state)


def test_numpy_s_files_of_objects(tmp_path):
    rows = np.empty(2, dtype=object)
    rows[:] = [[0, 5, 6], [1, 7]]
    for name, content in (("rows", rows), ("square", np.array([[0, 5], [1, 7]], dtype=object))):
        np.save(tmp_path / f"{name}.npy", content)
        assert read_objects(tmp_path / f"{name}.npy").tolist() == content.tolist()
    np.save(tmp_path / "one.npy", {0: {5}})
    assert read_objects(tmp_path / "one.npy") == {0: {5}}
    np.save(tmp_path / "plain.npy", np.arange(3))
    assert read_objects(tmp_path / "plain.npy").tolist() == [0, 1, 2]


class Calls:
    def __init__(self, function, *arguments):
        self._call = function, arguments

    def __reduce__(self):
        return self._call


RECONSTRUCT = np.zeros(1).__reduce__()[0]


@pytest.mark.parametrize(
    "content",
    [
        Calls(os.system, "touch harm"),
        Calls(eval, "open('harm', 'w')"),
        Calls(getattr, "x", "upper"),
        [{"deep": (Calls(os.mkdir, "harm"),)}],
        np.ndarray,
        np.dtype("f8"),
        np.array([(1, 2)], dtype=[("a", "i4"), ("b", "O")]),
    ],
)
def test_nothing_else_is_opened(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(content))
    with pytest.raises(DataError, match="x.pkl (holds more than arrays|is damaged)"):
        read_objects(tmp_path / "x.pkl")
    assert not (tmp_path / "harm").exists()


def test_bytes_are_never_taken_for_objects(tmp_path):
    """NumPy's own reader believes a type that says of itself that it holds no objects."""
    good = pickle.dumps(np.array([1, "x"], dtype=object), 2)
    place = next(p for op, value, p in pickletools.genops(good) if op.name == "BININT1" and value == 63)
    (tmp_path / "x.pkl").write_bytes(good[:place] + b"K\x00" + good[place + 2 :])
    assert read_objects(tmp_path / "x.pkl").tolist() == [1, "x"]  # the flags are not looked at
    raw = pickle.dumps(Calls(RECONSTRUCT, np.ndarray, (0,), b"b"), 2).replace(
        b"R", b"R(K\x01K\x01\x85cnumpy\ndtype\nU\x02O8K\x00K\x01\x87R\x89U\x08AAAAAAAAtb", 1
    )
    (tmp_path / "y.pkl").write_bytes(raw)
    with pytest.raises(DataError, match="y.pkl (holds more than arrays|is damaged)"):
        read_objects(tmp_path / "y.pkl")


@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x04", b"\x93NUMPY\x01\x00", b"(" * 5000 + b"."])
def test_what_is_no_pickle_is_one_sentence(tmp_path, content):
    (tmp_path / "x.pkl").write_bytes(content)
    with pytest.raises(DataError, match=r"x.pkl (holds more|is damaged).*\.$"):
        read_objects(tmp_path / "x.pkl")
