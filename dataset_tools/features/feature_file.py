"""Modality feature files: an item id and a vector per row, in Parquet row groups.

Columns `item_id:token` (string) and `<modality>:float_seq` (fixed-size list of float32, or float16).
Rows are joined to items by id, never by position.
"""

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, nullcontext, suppress
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dataset_tools.errors import DataError
from dataset_tools.files import replacing
from dataset_tools.formats.matrices.checks import check_finite
from dataset_tools.formats.tables.parquet import whole

ID_COLUMN = "item_id:token"
ROW_GROUP_BYTES = 8 << 20
PAGE_BYTES = 64 << 10  # pages that fit the processor's cache are written faster than the usual 1 MB
RESERVED = frozenset({"inter", "item", "user", "kg", "link", "net"})
HALF_MAX = float(np.finfo(np.float16).max)


def feature_column(modality: str) -> str:
    """The name of the column of vectors in a modality's file."""
    return f"{modality}:float_seq"


def feature_path(folder: str | Path, name: str, modality: str) -> Path:
    """Where the data set `name` in `folder` keeps a modality."""
    return Path(folder) / f"{name}.{modality}.parquet"


def check_modality(modality: str) -> None:
    """Raise DataError for a name that cannot be a modality's."""
    if not re.fullmatch(r"[^\s./\\:]+", modality):
        raise DataError(f"The modality {modality!r} cannot be part of a file name; use letters and digits.")
    if modality in RESERVED:
        raise DataError(f"The modality cannot be called {modality!r}, RecBole's name of other files.")


class FeatureWriter:
    """Writes `tokens` and rows [r, width] in any portions; the file appears when the context closes cleanly.

    Raises DataError for a duplicate id, a wrong width, NaN, infinity, or with `half` a value beyond float16.
    """

    def __init__(self, path: str | Path, modality: str, width: int, half: bool = False):
        check_modality(modality)
        if width < 1:
            raise DataError(f"The features for {modality!r} have no columns.")
        self.path, self.modality, self.width = Path(path), modality, width
        self._dtype = np.dtype(np.float16 if half else np.float32)
        value = pa.field("element", pa.float16() if half else pa.float32(), nullable=False)
        self._schema = pa.schema(
            [
                pa.field(ID_COLUMN, pa.string(), nullable=False),
                pa.field(feature_column(modality), pa.list_(value, width), nullable=False),
            ]
        )
        self._group = max(1, ROW_GROUP_BYTES // (width * self._dtype.itemsize))
        self._seen: set[str] = set()
        self._tokens: list[str] = []
        self._buffer, self._spare = (np.empty((self._group, width), dtype=self._dtype) for _ in range(2))
        self._thread = ThreadPoolExecutor(1)
        self._writing: Future[None] | None = None

    def __enter__(self) -> "FeatureWriter":
        with ExitStack() as stack:
            part = stack.enter_context(replacing(self.path))
            self._file = pq.ParquetWriter(
                part,
                self._schema,
                compression="none",
                use_dictionary=False,
                write_statistics=False,
                data_page_size=PAGE_BYTES,
            )
            stack.push(self._finish)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def _finish(self, kind: object, error: object, trace: object) -> None:
        """Write what is left, unless something went wrong, and close the file."""
        try:
            if kind is None:
                self._flush()
            self._thread.shutdown()
            if kind is None:
                self._wait()
        finally:
            self._thread.shutdown()
            with suppress(OSError) if kind is not None else nullcontext():
                self._file.close()

    @property
    def rows(self) -> int:
        """Rows written so far."""
        return len(self._seen)

    def write(self, tokens: Sequence[str], values: np.ndarray) -> None:
        """Append one row of `values` per token."""
        if values.ndim != 2 or values.shape != (len(tokens), self.width):
            raise DataError(
                f"The {self.modality} features of {len(tokens)} items have the shape {values.shape} "
                f"where ({len(tokens)}, {self.width}) was expected."
            )
        start = 0
        while start < len(tokens):
            filled = len(self._tokens)
            part = values[start : start + self._group - filled]
            names = tokens[start : start + len(part)]
            self._check_new(names)
            target = self._buffer[filled : filled + len(part)]
            with np.errstate(over="ignore"):
                target[...] = part
            self._check_values(names, part, target)
            self._tokens.extend(names)
            start += len(part)
            if len(self._tokens) == self._group:
                self._flush()

    def _check_new(self, tokens: Sequence[str]) -> None:
        for token in tokens:
            if token in self._seen:
                raise DataError(f"The item id {token!r} has two rows of {self.modality} features; keep one.")
            self._seen.add(token)

    def _check_values(self, tokens: Sequence[str], values: np.ndarray, stored: np.ndarray) -> None:
        """Refuse what `check_finite` does; the stored copy is examined first, being the quicker to read."""
        with np.errstate(over="ignore", invalid="ignore"):
            flat = stored.astype(np.float32, copy=False).ravel()
            if np.isfinite(np.dot(flat, flat)):  # one quick pass that NaN, infinity and huge values spoil
                return
        check_finite(tokens, values, f"the {self.modality} features")
        if self._dtype == np.float16 and np.isinf(stored).any():
            row = int(np.abs(values).max(axis=1).argmax())
            raise DataError(
                f"The {self.modality} features of item {tokens[row]!r} are beyond float16's {HALF_MAX:.0f}; "
                "leave out --half."
            )

    def _flush(self) -> None:
        """Hand the row group to the second thread, which writes it while the next one is filled."""
        if self._tokens:
            self._wait()
            self._writing = self._thread.submit(self._write_group, self._tokens, self._buffer)
            self._buffer, self._spare, self._tokens = self._spare, self._buffer, []

    def _write_group(self, tokens: list[str], buffer: np.ndarray) -> None:
        values = pa.array(buffer[: len(tokens)].ravel())
        features = pa.FixedSizeListArray.from_arrays(values, type=self._schema.field(1).type)
        table = pa.Table.from_arrays([pa.array(tokens, pa.string()), features], schema=self._schema)
        self._file.write_table(table, row_group_size=len(tokens))

    def _wait(self) -> None:
        """Wait for the group that is being written; raises what went wrong with it."""
        if self._writing is not None:
            self._writing.result()


class FeatureFile:
    """A feature file opened for reading: `rows`, `width`, `modality`, `half`; a block is a row group."""

    def __init__(self, path: str | Path, modality: str, id_columns: Sequence[str] = (ID_COLUMN,)):
        self.path, self.modality = Path(path), modality
        with whole(self.path):
            self._file = pq.ParquetFile(self.path, pre_buffer=False)
        schema = self._file.schema_arrow
        self._id = next((name for name in id_columns if name in schema.names), "")
        if not self._id:
            raise DataError(
                f"{self.path} has no column {ID_COLUMN!r}; its columns are {', '.join(schema.names)}: "
                "rename the id column."
            )
        self._values = feature_column(modality)
        if self._values not in schema.names:
            raise DataError(
                f"{self.path} has no column {self._values!r}; its columns are {', '.join(schema.names)}: "
                "rename the column or the file."
            )
        kind = schema.field(self._values).type
        if not pa.types.is_fixed_size_list(kind) or kind.value_type not in (pa.float32(), pa.float16()):
            raise DataError(
                f"The column {self._values!r} of {self.path} is {kind}, "
                "not a fixed-size list of float32 or float16; write it again: python -m dataset_tools "
                f"features --input {quote(str(self.path))} --modality {modality} "
                f"--name {quote(self.path.name.removesuffix(f'.{modality}.parquet'))} "
                f"--data-path {quote(str(self.path.parent.parent))} --force"
            )
        self.width = kind.list_size
        self.half = pa.types.is_float16(kind.value_type)
        self.rows = self._file.metadata.num_rows

    def ids(self) -> Iterator[pa.ChunkedArray]:
        """The tokens of one row group after another."""
        for group in range(self._file.num_row_groups):
            yield self._read(group, [self._id]).column(0)

    def _read(self, group: int, columns: list[str]) -> pa.Table:
        with whole(self.path):
            try:
                return self._file.read_row_group(group, columns=columns, use_threads=False)
            except pa.ArrowInvalid as error:
                if "Expected all lists to be of size" in str(error):  # how PyArrow before 26 says it
                    raise self._hole(group) from None
                raise

    def _hole(self, group: int) -> DataError:
        return DataError(
            f"{self.path} has an empty id, vector or entry in row group {group}; write it again."
        )

    def blocks(self) -> Iterator[tuple[pa.StringArray, np.ndarray]]:
        """(tokens [r], values [r, width]) for one row group after another, in the file's order."""
        for group in range(self._file.num_row_groups):
            table = self._read(group, [self._id, self._values])
            if not table.num_rows:
                continue
            table = table.combine_chunks()
            tokens, values = (column.chunk(0) for column in table.columns)
            flat = values.flatten()
            if tokens.null_count or values.null_count or flat.null_count:
                raise self._hole(group)
            yield tokens.cast(pa.string()), flat.to_numpy().reshape(-1, self.width)
