"""Which reader a file of features needs: told by its content, then by its name."""

import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

from dataset_tools.errors import DataError
from dataset_tools.features.feature_text import is_text_form
from dataset_tools.features.sources.contract import Block, Source
from dataset_tools.features.sources.tables import CsvColumns, ParquetColumns, TextRows
from dataset_tools.features.sources.vectors import (
    Identified,
    JsonRows,
    JsonVectors,
    NpyFolder,
    TorchVectors,
    vectors_by_id,
)
from dataset_tools.formats import content
from dataset_tools.formats.matrices.archives import (
    DAMAGES,
    Npz,
    Safetensors,
    Torch,
    load_tensors,
    safetensor_vectors,
)
from dataset_tools.formats.matrices.arrays import NpyFile
from dataset_tools.formats.matrices.hdf5 import Hdf5, hdf5_vectors
from dataset_tools.formats.text_file import BadRows, reading

FORMATS = (
    ".npy, .npz, .pt, .safetensors, .h5, .parquet, .csv, .tsv, .json, .jsonl, a folder of .npy files named "
    "by item, or RecBole's text form with a column"
)
JSON = (".json", ".jsonl", ".ndjson")
_IDS = re.compile(r"(^|[_/])(ids?|items?|itemids?|asins?|keys?|tokens?)$", re.IGNORECASE)


def open_source(
    path: str | Path,
    modality: str,
    key: str | None,
    bad: BadRows,
    column: str | None = None,
    ids_key: str | None = None,
) -> Source:
    """The reader for a file or folder.

    `key` names the array of an archive, or the column of ids of a table; `column` the column of vectors where
    there are several; `ids_key` the array of ids of an archive.  Broken lines of a table go to `bad`.
    """
    path = Path(path)
    if path.is_dir():
        return NpyFolder(path)
    if not path.is_file():
        raise DataError(f"There is no file {path}.")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty.")
    kind, suffix = _format(path)
    if kind == ".npy":
        return Rows(NpyFile(path))
    if kind == ".parquet":
        return ParquetColumns(path, key, column, bad)
    if kind in (".npz", ".pt", ".safetensors", ".h5"):
        return _archive(path, kind, key, ids_key)
    if suffix in JSON:
        return _json(path, key, column, bad)
    if is_text_form(path, modality):
        return TextRows(path, modality)
    if suffix in (".csv", ".tsv"):
        return CsvColumns(path, key, bad)
    content.refuse_other(path, content.inner_kind(path))
    if _head(path).lstrip().startswith("{"):
        return _json(path, key, column, bad)
    raise DataError(f"{path} is in no known format; use {FORMATS} {modality}:float_seq.")


class Rows:
    """Rows without ids: a matrix in a file."""

    def __init__(self, matrix: NpyFile):
        self.path, self.rows, self.width = matrix.path, matrix.rows, matrix.width
        self._matrix = matrix

    def blocks(self) -> Iterator[Block]:
        for block in self._matrix.blocks():
            yield None, block


def _format(path: Path) -> tuple[str, str]:
    """(the format of binary files, the ending that names that of others)."""
    kind, suffix = content.file_kind(path).name, path.suffix.lower()
    if suffix in (".pt", ".pth", ".bin") and kind in ("zip", "pickle", ""):
        return ".pt", suffix
    if kind == "zip":
        return (_in_zip(path) or suffix), suffix
    if kind in ("npy", "parquet"):
        return f".{kind}", suffix
    if kind == "hdf5" or suffix in (".h5", ".hdf5"):
        return ".h5", suffix
    if suffix in (".npy", ".npz", ".parquet", ".safetensors"):
        return suffix, suffix
    return "", content.plain_suffix(path)


def _in_zip(path: Path) -> str:
    """`.npz` or `.pt` by the names inside, "" for another or a damaged archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except DAMAGES:
        return ""
    if any(name.endswith("data.pkl") for name in names):
        return ".pt"
    return ".npz" if names and all(name.endswith(".npy") for name in names) else ""


def _archive(path: Path, kind: str, key: str | None, ids_key: str | None) -> Source:
    matrix: Npz | Torch | Safetensors | Hdf5
    if kind == ".pt":
        found = load_tensors(path)
        if key is None and vectors_by_id(found):
            return TorchVectors(path, found)
        matrix = Torch(path, key, found)
    elif kind == ".npz":
        matrix = Npz(path, key)
    elif kind == ".h5":
        by_id = hdf5_vectors(path) if key is None else {}
        if by_id:
            return TorchVectors(path, by_id)
        matrix = Hdf5(path, key)
    else:
        vectors = safetensor_vectors(path) if key is None else {}
        if vectors:
            return TorchVectors(path, vectors)
        matrix = Safetensors(path, key)
    likely = [name for name in matrix.lists if _IDS.search(name)]
    if ids_key is not None or len(likely) == 1:
        return Identified(matrix, ids_key or likely[0])
    return matrix


def _json(path: Path, key: str | None, column: str | None, bad: BadRows) -> Source:
    return JsonVectors(path) if _is_object(path) else JsonRows(path, key, column, bad)


def _head(path: Path) -> str:
    with reading(path, errors="replace") as file:
        return file.read(1 << 16)


def _is_object(path: Path) -> bool:
    """Whether a JSON file is one object `{id: vector}`, not one record per line."""
    head = _head(path)
    try:
        return all(isinstance(value, list) for value in json.loads(head.splitlines()[0]).values())
    except (ValueError, AttributeError, IndexError, RecursionError):
        pass  # an object over several lines, or a longer one
    return re.match(r'\s*\{\s*"(?:[^"\\]|\\.)*"\s*:\s*\[[^\]"]*(\][\]\s]*,?\s*("|\})|$)', head) is not None
