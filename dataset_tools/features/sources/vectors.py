"""Vectors by id: JSON, dictionaries of PyTorch, a folder of files, an archive with an array of ids."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dataset_tools.errors import DataError
from dataset_tools.features.sources.contract import Block
from dataset_tools.formats.matrices.archives import Npz, Safetensors, Torch
from dataset_tools.formats.matrices.arrays import BLOCK_BYTES, only
from dataset_tools.formats.matrices.hdf5 import Hdf5
from dataset_tools.formats.names import from_system
from dataset_tools.formats.records import RecordFile, json_object
from dataset_tools.formats.tables.cells import id_text
from dataset_tools.formats.text_file import BadRows, reading

READ = 4 << 20  # characters of a JSON file in memory at once, beside the longest vector
AT_ONCE = 1024
_ENTRY = re.compile(r'\s*,?\s*("(?:[^"\\]|\\.)*")\s*:\s*(\[\s*\[[^\[\]]*\]\s*\]|\[[^\[\]]*\])')


class NpyFolder:
    """Rows with ids: one `.npy` per item, named by it (Ducho's output)."""

    rows = None

    def __init__(self, path: Path):
        self.path, self._files = path, sorted(path.glob("*.npy"))
        if not self._files:
            raise DataError(
                f"The folder {path} has no .npy files; make features of the pictures in and below it "
                f"with python -m dataset_tools encode --image ENCODER --images {path}."
            )
        self.width = len(_vector(self._files[0]))

    def blocks(self) -> Iterator[Block]:
        step = max(1, BLOCK_BYTES // (4 * self.width))
        for start in range(0, len(self._files), step):
            files = self._files[start : start + step]
            vectors = [_vector(file) for file in files]
            odd = next((i for i, vector in enumerate(vectors) if len(vector) != self.width), None)
            if odd is not None:
                raise DataError(f"{files[odd]} has {len(vectors[odd])} numbers instead of {self.width}.")
            yield [from_system(file.stem) for file in files], np.stack(vectors)


def _vector(path: Path) -> np.ndarray:
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise DataError(f"{path} holds no plain array ({error}).") from None
    if array.dtype.kind not in "fiub":
        raise DataError(f"{path} holds {array.dtype} values; features must be real numbers.")
    if array.size != max(array.shape, default=0):
        raise DataError(f"{path} has the shape {array.shape}; one vector per item was expected.")
    return array.ravel()


class JsonVectors:
    """Rows with ids: one JSON object `{id: vector}`, read without holding the whole of it."""

    rows = None

    def __init__(self, path: Path):
        self.path = path
        first = next(self._entries(), None)
        if first is None:
            raise DataError(f"{path} has no vectors.")
        self.width = len(first[1])

    def _entries(self) -> Iterator[tuple[str, np.ndarray]]:
        with reading(self.path) as file:
            text, place = file.read(READ), 0
            start = re.match(r"\s*\{", text)
            if start is None:
                raise self._wrong("it does not begin with a brace")
            place, last = start.end(), False
            while True:
                found = _ENTRY.match(text, place)
                if found:
                    place = found.end()
                    yield self._entry(*found.groups())
                    continue
                more = "" if last else file.read(READ)
                last = not more
                if last and re.fullmatch(r"\s*\}\s*", text[place:]):
                    return
                if last:
                    raise self._wrong(f"it stops making sense at {text[place : place + 30]!r}")
                text, place = text[place:] + more, 0

    def _entry(self, name: str, vector: str) -> tuple[str, np.ndarray]:
        try:
            values = np.array(json.loads(vector), dtype=np.float64).ravel()
        except (ValueError, TypeError):
            raise self._wrong(f"the vector of {name} is not one of numbers") from None
        return json.loads(name, strict=False), values

    def _wrong(self, reason: str) -> DataError:
        return DataError(f'{self.path} is no JSON object of the form {{"id": [numbers], ...}}: {reason}.')

    def blocks(self) -> Iterator[Block]:
        yield from stacked(self.path, self._entries(), self.width)


class JsonRows:
    """Rows with ids: JSON lines with the ids in `key` and the vectors in `column`."""

    rows = None

    def __init__(self, path: Path, key: str | None, column: str | None, bad: BadRows):
        self.path, self._bad = path, bad
        _, record = next(iter(RecordFile(path, json_object, bad.skip)))
        lists = [name for name, value in record.items() if isinstance(value, list)]
        single = [name for name, value in record.items() if isinstance(value, (str, int))]
        self._column = only(path, lists, column, "--column")
        self._id = only(path, single, key, "--key")
        self.width = len(record[self._column])

    def _entries(self) -> Iterator[tuple[str, np.ndarray]]:
        records = RecordFile(self.path, json_object, self._bad.skip)
        for line, record in records:
            try:
                values = np.array(record.get(self._column), dtype=np.float64)
                token = id_text(record.get(self._id))
            except (ValueError, TypeError):
                values, token = np.empty(0), ""
            if values.ndim != 1 or not token:
                self._bad(self.path, line, f"expected an id in {self._id} and a vector in {self._column}")
            else:
                yield token, values
        self._bad.skipped += records.skipped

    def blocks(self) -> Iterator[Block]:
        yield from stacked(self.path, self._entries(), self.width)


class TorchVectors:
    """Rows with ids: a dictionary of one vector for each id, in a `.pt`."""

    rows = None

    def __init__(self, path: Path, content: Mapping[Any, Any]):
        self.path, self._content = path, content
        self.width = len(_flat(path, *next(iter(content.items())))[1])

    def blocks(self) -> Iterator[Block]:
        entries = (_flat(self.path, name, value) for name, value in self._content.items())
        yield from stacked(self.path, entries, self.width)


class Identified:
    """Rows with ids: a matrix in an archive, beside an array of its ids."""

    rows = None

    def __init__(self, archive: Npz | Torch | Safetensors | Hdf5, key: str):
        self.path, self.width, self._archive = archive.path, archive.width, archive
        self._ids = archive.ids(key)

    def blocks(self) -> Iterator[Block]:
        start = 0
        for _, values in self._archive.blocks():
            yield self._ids[start : start + len(values)], values
            start += len(values)


def vectors_by_id(content: Any) -> bool:
    """Whether the content of a `.pt` is a dictionary of vectors, not of matrices."""
    if not isinstance(content, dict) or not content:
        return False
    keys = all(isinstance(name, (str, int)) for name in content)
    return keys and all(map(_is_vector, content.values()))


def _is_vector(value: Any) -> bool:
    shape = getattr(value, "shape", None)
    if shape is not None:
        return len(shape) == 1 or (len(shape) == 2 and shape[0] == 1)
    return isinstance(value, (list, tuple)) and all(type(one) in (int, float) for one in value)


def _flat(path: Path, name: Any, value: Any) -> tuple[str, np.ndarray]:
    if hasattr(value, "detach"):
        if value.is_complex() or value.is_sparse or value.is_quantized:
            raise DataError(f"{path}: the vector of {name!r} is not one of plain numbers.")
        value = value.detach().double().numpy()
    return str(name), np.asarray(value, dtype=np.float64).ravel()


def stacked(path: Path, entries: Iterator[tuple[str, np.ndarray]], width: int) -> Iterator[Block]:
    """Vectors by id as blocks; DataError where one has another width than the first."""
    ids: list[str] = []
    rows: list[np.ndarray] = []
    for token, values in entries:
        if len(values) != width or not width:
            raise DataError(
                f"{path}: the vector of {token!r} has {len(values)} numbers, the first one {width}; "
                "make them equal."
            )
        try:
            ids.append(id_text(token))
        except ValueError as error:
            raise DataError(f"{path}: {error}.") from None
        rows.append(values)
        if len(ids) == AT_ONCE:
            yield ids, np.stack(rows)
            ids, rows = [], []
    if ids:
        yield ids, np.stack(rows)
