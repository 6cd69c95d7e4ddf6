"""Feature matrices in whatever file they come: one class per format, all read in blocks.

A source has `path`, `width` and `blocks()`, which yields (ids or None, values [r, width]).  Sources without
ids of their own also have `rows`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dataset_tools.errors import DataError
from dataset_tools.features.feature_text import TextFeatureFile, is_text_form
from dataset_tools.formats.archives import Npz, Safetensors, Torch
from dataset_tools.formats.arrays import BLOCK_BYTES, NpyFile, only
from dataset_tools.formats.tables.parquet import BUFFER
from dataset_tools.formats.text_file import BadRows, csv_rows

Block = tuple[list[str] | None, np.ndarray]


class Source(Protocol):
    """What every reader below offers; `rows` is None where only reading tells."""

    path: Path
    width: int

    @property
    def rows(self) -> int | None: ...

    def blocks(self) -> Iterator[Block]: ...


def open_source(path: str | Path, modality: str, key: str | None, bad: BadRows) -> Source:
    """The reader for a file or folder; `key` names the array or the id column where there are several.

    Broken lines of a table go to `bad`.
    """
    path = Path(path)
    if path.is_dir():
        return NpyFolder(path)
    if not path.is_file():
        raise DataError(f"There is no file {path}.")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty.")
    kinds: dict[str, type[Npz] | type[Torch] | type[Safetensors]] = {
        ".npz": Npz,
        ".pt": Torch,
        ".pth": Torch,
        ".safetensors": Safetensors,
    }
    if path.suffix == ".npy":
        return Rows(NpyFile(path))
    if path.suffix in kinds:
        return kinds[path.suffix](path, key)
    if path.suffix == ".parquet":
        return ParquetColumns(path, key)
    if path.suffix in (".csv", ".tsv"):
        return CsvColumns(path, key, bad)
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


class ParquetColumns:
    """Rows with ids: a string column (or `key`) beside one list column or many numeric columns."""

    rows = None

    def __init__(self, path: Path, key: str | None):
        self.path = path
        try:
            self._file = pq.ParquetFile(path, buffer_size=BUFFER, pre_buffer=False)
        except pa.ArrowInvalid as error:
            raise DataError(f"{path} is no complete Parquet file ({error}).") from None
        schema = self._file.schema_arrow
        strings = [field.name for field in schema if _is_text(field.type)]
        whole = [field.name for field in schema if pa.types.is_integer(field.type)]
        self._id = only(path, strings, key) if key not in whole else key
        lists = [field.name for field in schema if _is_list(field.type)]
        self._columns = lists or [name for name in schema.names if name not in (*strings, self._id)]
        kinds = [schema.field(name).type for name in self._columns]
        numeric = all(_is_number(kind.value_type if _is_list(kind) else kind) for kind in kinds)
        if len(lists) > 1 or not self._columns or not numeric:
            raise DataError(
                f"{path} needs one column of lists of numbers, or columns of numbers, beside the ids; it has "
                f"{', '.join(f'{field.name} ({field.type})' for field in schema)}."
            )
        if not self._file.metadata.num_rows:
            raise DataError(f"{path} has no rows.")
        self._list = bool(lists)
        self.width = len(next(self.blocks())[1][0])

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

    def __init__(self, path: Path, key: str | None, bad: BadRows):
        self.path, self._bad = path, bad
        self._delimiter = "\t" if path.suffix == ".tsv" else ","
        _, header = next(csv_rows(path, self._delimiter, True, bad), (1, []))
        if len(header) < 2:
            raise DataError(f"{path} needs a header with an id column and one column per number.")
        if key is None and not header[0].strip():
            raise DataError(
                f"{path} begins with a column without a name, as pandas writes its index: name the column of "
                f"ids with --key, one of {', '.join(header[1:8])}."
            )
        if key is not None and key not in header:
            raise DataError(f"{path} has no column {key!r}; its columns are {', '.join(header[:8])}.")
        self._place = header.index(key) if key else 0
        if _is_data(header[: self._place] + header[self._place + 1 :]):
            raise DataError(f"{path} begins with numbers; put a header line such as item,0,1,2 first.")
        self.width = len(header) - 1

    def blocks(self) -> Iterator[Block]:
        table = csv_rows(self.path, self._delimiter, True, self._bad)
        next(table)
        ids, rows = [], []
        for line, row in table:
            if len(row) != self.width + 1:
                found = len(row) - 1
                self._bad(self.path, line, f"expected an id and {self.width} numbers, got {found}")
                continue
            try:
                token = row.pop(self._place)
                rows.append(np.array(row, dtype=np.float32))
            except ValueError:
                self._bad(self.path, line, "expected an id and numbers")
                continue
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
    if array.dtype.kind not in "fiub":
        raise DataError(f"{path} holds {array.dtype} values; features must be real numbers.")
    if array.size != max(array.shape, default=0):
        raise DataError(f"{path} has the shape {array.shape}; one vector per item was expected.")
    return array.ravel()


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)


def _is_data(fields: list[str]) -> bool:
    """Whether a first line's fields are a vector; 0, 1, 2, ... are column names that pandas gave."""
    if fields in ([str(n + first) for n in range(len(fields))] for first in (0, 1)):
        return False
    try:
        return bool([float(field) for field in fields])
    except ValueError:
        return False


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
