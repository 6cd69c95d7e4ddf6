"""Feature matrices in whatever file they come: one class per format, all read in blocks.

A source has `path`, `width` and `blocks()`, which yields (ids or None, values [r, width]).  Sources without
ids of their own also have `rows`.
"""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol
from zipfile import BadZipFile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dataset_tools.arrays import BLOCK_BYTES, NpyFile, check_matrix
from dataset_tools.errors import DataError
from dataset_tools.feature_text import TextFeatureFile, is_text_form

Block = tuple[list[str] | None, np.ndarray]


class Source(Protocol):
    """What every reader below offers; `rows` is None where only reading tells."""

    path: Path
    width: int
    rows: int | None

    def blocks(self) -> Iterator[Block]: ...


def open_source(path: str | Path, modality: str, key: str | None = None) -> Source:
    """The reader for a file or folder; `key` names the array or the id column where there are several."""
    path = Path(path)
    if path.is_dir():
        return NpyFolder(path)
    if not path.is_file():
        raise DataError(f"There is no file {path}.")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty.")
    kinds = {".npz": _npz, ".pt": _torch, ".pth": _torch, ".safetensors": Safetensors}
    if path.suffix == ".npy":
        return Rows(NpyFile(path))
    if path.suffix in kinds:
        return kinds[path.suffix](path, key)
    if path.suffix == ".parquet":
        return ParquetColumns(path, key)
    if path.suffix in (".csv", ".tsv"):
        return CsvColumns(path, key)
    if is_text_form(path, modality):
        return TextRows(path, modality)
    raise DataError(
        f"{path} is in no known format; use .npy, .npz, .pt, .safetensors, .parquet, .csv, .tsv, a folder of "
        f".npy files named by item, or RecBole's text form with a column {modality}:float_seq."
    )


class Rows:
    """Rows without ids: a matrix in a file."""

    def __init__(self, matrix: NpyFile):
        self.path, self.rows, self.width = matrix.path, matrix.rows, matrix.width
        self._matrix = matrix

    def blocks(self) -> Iterator[Block]:
        for block in self._matrix.blocks():
            yield None, block


class Held:
    """Rows without ids: a matrix in memory, or anything that slices like one."""

    def __init__(self, path: Path, array: np.ndarray):
        check_matrix(path, array.shape, array.dtype)
        self.path, (self.rows, self.width) = path, array.shape
        self._array = array

    def blocks(self) -> Iterator[Block]:
        step = max(1, BLOCK_BYTES // (4 * self.width))
        for start in range(0, self.rows, step):
            yield None, self._array[start : start + step]


def _npz(path: Path, key: str | None) -> Held:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return Held(path, arrays[_only(path, arrays.files, key)])
    except (ValueError, BadZipFile) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path} holds no plain array; save a matrix of numbers ({error}).") from None


def _torch(path: Path, key: str | None) -> Held:
    import pickle

    import torch

    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{path} is not a file of tensors only, so it is not opened ({reason}).") from None
    if isinstance(content, dict):
        content = content[_only(path, [name for name, x in content.items() if torch.is_tensor(x)], key)]
    if not torch.is_tensor(content):
        raise DataError(f"{path} holds a {type(content).__name__}; save a tensor [items, columns].")
    return Held(path, content.detach().float().numpy())


class Safetensors:
    """Rows without ids: one tensor of a `.safetensors` file."""

    def __init__(self, path: Path, key: str | None):
        try:
            from safetensors import SafetensorError, safe_open
        except ImportError:
            raise DataError(f"{path} needs the package safetensors; run pip install safetensors.") from None
        try:
            self._file = safe_open(path, framework="numpy")
            self._slice = self._file.get_slice(_only(path, list(self._file.keys()), key))
            shape = tuple(self._slice.get_shape())
            kind = self._slice[:1].dtype if len(shape) == 2 and shape[0] else np.dtype(np.float32)
        except (SafetensorError, TypeError) as error:
            raise DataError(f"{path} cannot be read as float32 or float16 tensors ({error}).") from None
        check_matrix(path, shape, kind)
        self.path, (self.rows, self.width) = path, shape

    def blocks(self) -> Iterator[Block]:
        step = max(1, BLOCK_BYTES // (4 * self.width))
        for start in range(0, self.rows, step):
            yield None, self._slice[start : min(start + step, self.rows)]


class ParquetColumns:
    """Rows with ids: a string column beside one list column or many numeric columns."""

    rows = None

    def __init__(self, path: Path, key: str | None):
        self.path = path
        try:
            self._file = pq.ParquetFile(path)
        except pa.ArrowInvalid as error:
            raise DataError(f"{path} is no complete Parquet file ({error}).") from None
        schema = self._file.schema_arrow
        strings = [field.name for field in schema if _is_text(field.type)]
        self._id = _only(path, strings, key)
        lists = [field.name for field in schema if _is_list(field.type)]
        self._columns = lists or [name for name in schema.names if name not in strings]
        if len(lists) > 1 or not self._columns:
            raise DataError(f"{path} needs one list column or numeric columns; it has {schema.names}.")
        self._list = bool(lists)
        self.width = len(next(self.blocks())[1][0]) if self._file.metadata.num_rows else 0

    def blocks(self) -> Iterator[Block]:
        for batch in self._file.iter_batches(1024, columns=[self._id, *self._columns]):
            ids = batch.column(self._id).cast(pa.string())
            if ids.null_count:
                raise DataError(f"{self.path} has a row without an id in column {self._id!r}.")
            yield ids.to_pylist(), self._values(batch)

    def _values(self, batch: pa.RecordBatch) -> np.ndarray:
        if not self._list:
            return np.column_stack([batch.column(name).to_numpy(False) for name in self._columns])
        column = batch.column(self._columns[0])
        widths = set(column.value_lengths().to_pylist())
        if len(widths) != 1 or None in widths:
            raise DataError(f"{self.path}: the vectors of column {self._columns[0]!r} differ in width.")
        return column.flatten().to_numpy(False).reshape(len(column), -1)


class CsvColumns:
    """Rows with ids: a header, an id column (the first, or `key`), and one column per number."""

    rows = None

    def __init__(self, path: Path, key: str | None):
        self.path = path
        self._delimiter = "\t" if path.suffix == ".tsv" else ","
        with open(path, encoding="utf-8", newline="") as file:
            header = next(csv.reader(file, delimiter=self._delimiter))
        if key is not None and key not in header:
            raise DataError(f"{path} has no column {key!r}; its columns are {', '.join(header[:8])}.")
        self._place = header.index(key) if key else 0
        self.width = len(header) - 1

    def blocks(self) -> Iterator[Block]:
        with open(self.path, encoding="utf-8", newline="") as file:
            table = csv.reader(file, delimiter=self._delimiter)
            next(table)
            ids, rows = [], []
            for line, row in enumerate(table, 2):
                try:
                    token = row.pop(self._place)
                    rows.append(np.array(row, dtype=np.float32))
                except (ValueError, IndexError):
                    raise DataError(f"{self.path}, line {line}: expected an id and numbers.") from None
                if len(row) != self.width:
                    raise DataError(f"{self.path}, line {line}: {len(row)} numbers instead of {self.width}.")
                ids.append(token)
                if len(ids) == 1024:
                    yield ids, np.stack(rows)
                    ids, rows = [], []
            if ids:
                yield ids, np.stack(rows)


class TextRows:
    """Rows with ids: RecBole's text form."""

    rows = None

    def __init__(self, path: Path, modality: str):
        self._file = TextFeatureFile(path, modality)
        self.path, self.width = path, self._file.width

    def blocks(self) -> Iterator[Block]:
        for tokens, values in self._file.blocks():
            yield tokens.to_pylist(), values


class NpyFolder:
    """Rows with ids: one `.npy` per item, named by it (Ducho's output)."""

    rows = None

    def __init__(self, path: Path):
        self.path, self._files = path, sorted(path.glob("*.npy"))
        if not self._files:
            raise DataError(f"The folder {path} has no .npy files.")
        self.width = len(_vector(self._files[0]))

    def blocks(self) -> Iterator[Block]:
        step = max(1, BLOCK_BYTES // (4 * self.width))
        for start in range(0, len(self._files), step):
            files = self._files[start : start + step]
            vectors = [_vector(file) for file in files]
            odd = next((i for i, vector in enumerate(vectors) if len(vector) != self.width), None)
            if odd is not None:
                raise DataError(f"{files[odd]} has {len(vectors[odd])} numbers instead of {self.width}.")
            yield [file.stem for file in files], np.stack(vectors)


def _vector(path: Path) -> np.ndarray:
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise DataError(f"{path} holds no plain array ({error}).") from None
    if array.size != max(array.shape, default=0):
        raise DataError(f"{path} has the shape {array.shape}; one vector per item was expected.")
    return array.ravel()


def _only(path: Path, names: list[str], key: str | None) -> str:
    if key is None and len(names) == 1:
        return names[0]
    if key in names:
        return key
    raise DataError(f"{path} has {', '.join(names) or 'nothing that fits'}; choose one with --key.")


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
