"""Files told by their first bytes: compressed ones are read, others are named for what they are."""

import bz2
import gzip
import io
import json
import lzma
import pickle
import tarfile
import zipfile

import numpy as np
import pyarrow as pa
import pytest

from dataset_tools.errors import DataError
from dataset_tools.formats.records import RecordFile, json_object
from dataset_tools.formats.text_file import reading

LINES = [json.dumps({"id": n, "title": "é"}, ensure_ascii=False) for n in range(300)]
TEXT = ("\n".join(LINES) + "\n").encode()
COMPRESSED = {
    "plain": TEXT,
    "a byte order mark": b"\xef\xbb\xbf" + TEXT,
    "gzip": gzip.compress(TEXT),
    "two gzip members": gzip.compress(TEXT[:100]) + gzip.compress(TEXT[100:]),
    "bzip2": bz2.compress(TEXT),
    "xz": lzma.compress(TEXT),
    "zstd": pa.compress(TEXT, codec="zstd", asbytes=True),
}


@pytest.mark.parametrize("name", ["f.jsonl", "f.gz", "f.xz"])
@pytest.mark.parametrize("kind", COMPRESSED)
def test_compressed_files_are_read_whatever_their_name(tmp_path, kind, name):
    (tmp_path / name).write_bytes(COMPRESSED[kind])
    with reading(tmp_path / name) as file:
        assert file.read().splitlines() == LINES
    found = RecordFile(tmp_path / name, json_object)
    assert [record["id"] for _, record in found] == list(range(300))
    assert found.record["bytes"] == len(COMPRESSED[kind])


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "xz", "zstd"])
def test_a_cut_file_is_one_sentence(tmp_path, kind):
    noise = np.random.default_rng(0).bytes(20_000).hex().encode()  # nothing that compresses to a few bytes
    pack = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress}
    whole = pack[kind](noise) if kind in pack else pa.compress(noise, codec="zstd", asbytes=True)
    (tmp_path / "f").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="f is damaged or cut off"), reading(tmp_path / "f") as file:
        file.read()
    with pytest.raises(DataError, match="f is damaged or cut off"):
        list(RecordFile(tmp_path / "f", json_object))


def packed_zip():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("f.jsonl", TEXT)
    return file.getvalue()


def packed_tar():
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("f.jsonl"), io.BytesIO())
    return file.getvalue()


def array():
    file = io.BytesIO()
    np.save(file, np.eye(2))
    return file.getvalue()


OTHERS = {
    "zip": (packed_zip(), "f is a zip archive, not text; unpack it"),
    "tar.gz": (packed_tar(), "f is a tar archive, not text; unpack it"),
    "rar": (b"Rar!\x1a\x07\x00", "f is a RAR archive, not text; unpack it"),
    "parquet": (b"PAR1....", "f is a Parquet file, not text"),
    "npy": (array(), "f is a NumPy array, not text"),
    "pickle": (pickle.dumps([1]), "f is a Python pickle, which is never opened, not text; save it as"),
    "page": (b"\n<!DOCTYPE html><html>", "f is a web page, not text; download the file itself again"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid x", "f is a Git LFS pointer, .*git lfs pull"),
    "utf-16": (TEXT.decode().encode("utf-16"), "f is not UTF-8 text; convert it first: iconv -f UTF-16"),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_another_file_is_named_for_what_it_is(tmp_path, kind):
    data, message = OTHERS[kind]
    (tmp_path / "f").write_bytes(data)
    with pytest.raises(DataError, match=message), reading(tmp_path / "f") as file:
        file.read()
    for skip in (False, True):
        with pytest.raises(DataError, match=message):
            list(RecordFile(tmp_path / "f", json_object, skip))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("user,item\na,b\n", "f.x is a table, not one record per line .*'user,item'.*convert table --inter"),
        ('[\n {"id": 1},\n {"id": 2}\n]\n', "f.x is JSON or the like over several lines.*jq -c"),
        ("hello\n", "f.x is no file of records, one per line .it begins with 'hello'"),
    ],
)
def test_a_file_without_records_is_named_and_skipping_is_not_advised(tmp_path, text, message):
    (tmp_path / "f.x").write_text(text)
    for skip in (False, True):
        with pytest.raises(DataError, match=message) as error:
            list(RecordFile(tmp_path / "f.x", json_object, skip))
        assert "--skip-bad" not in str(error.value)


def test_one_broken_line_is_skipped_as_its_error_advises(tmp_path):
    (tmp_path / "f").write_bytes(b"{broken\n" + TEXT)
    with pytest.raises(DataError, match="f, line 1: not a valid record .*pass --skip-bad"):
        list(RecordFile(tmp_path / "f", json_object))
    found = RecordFile(tmp_path / "f", json_object, skip_bad=True)
    assert (len(list(found)), found.skipped) == (300, 1)
