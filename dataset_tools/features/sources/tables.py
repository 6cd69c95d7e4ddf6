"""Tables of features: rows with ids of their own."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from dataset_tools.errors import DataError
from dataset_tools.features.feature_text import TextFeatureFile
from dataset_tools.features.sources.contract import Block
from dataset_tools.formats.content import plain_suffix
from dataset_tools.formats.matrices.arrays import only
from dataset_tools.formats.tables.cells import id_text
from dataset_tools.formats.tables.parquet import batches, is_list, is_number, is_text, is_whole, open_parquet
from dataset_tools.formats.text_file import BadRows, csv_rows


class ParquetColumns:
    """Rows with ids: the column `key` beside the list column `column`, or beside many numeric columns.

    Without `key` the ids are the only column of texts, or beside lists the only one of whole numbers.
    """

    rows = None

    def __init__(self, path: Path, key: str | None, column: str | None, bad: BadRows):
        self.path, self._bad, self._file = path, bad, open_parquet(path)
        if not self._file.metadata.num_rows:  # before its columns: without values they may lack a type
            raise DataError(f"{path} has no rows.")
        schema = self._file.schema_arrow
        strings = [field.name for field in schema if is_text(field.type)]
        whole = [field.name for field in schema if is_whole(field.type)]
        lists = [field.name for field in schema if is_list(field.type)]
        found = strings or (whole if lists else [])
        self._id = self._key(key) if key else only(path, found or self._single(), None)
        numeric = [field.name for field in schema if is_number(field.type) and field.name != self._id]
        fitting = [name for name in lists if is_number(schema.field(name).type.value_type)]
        if column is not None or fitting:
            self._columns = [only(path, fitting, column, "--column")]
        else:
            self._columns = [] if lists else numeric
        if not self._columns:
            raise DataError(
                f"{path} needs one column of lists of numbers, or columns of numbers, beside the ids; it has "
                f"{self._there()}."
            )
        self._list = is_list(schema.field(self._columns[0]).type)
        self.width = next((values.shape[1] for _, values in self.blocks()), 0)

    def _there(self) -> str:
        fields = self._file.schema_arrow
        shown = ", ".join(f"{field.name} ({str(field.type)[:30]})" for field in [*fields][:6])
        return shown + (f" and {len(fields) - 6:,} more" if len(fields) > 6 else "")

    def _single(self) -> list[str]:
        """The names of all columns that may hold ids, for a message."""
        return [field.name for field in self._file.schema_arrow if not pa.types.is_nested(field.type)]

    def _key(self, key: str) -> str:
        if key not in self._file.schema_arrow.names:
            raise DataError(f"{self.path} has no column {key!r}; it has {self._there()}.")
        kind = self._file.schema_arrow.field(key).type
        if pa.types.is_nested(kind):
            raise DataError(
                f"{self.path}: the column {key!r} holds {str(kind)[:40]}, no single values, so no ids."
            )
        return key

    def blocks(self) -> Iterator[Block]:
        number = 0
        for batch in batches(self.path, self._file, 1024, [self._id, *self._columns]):
            ids, kept = [], []
            for row, value in enumerate(batch.column(self._id).to_pylist()):
                number += 1
                if value is None:
                    raise DataError(f"{self.path} has a row without an id in column {self._id!r}.")
                try:
                    ids.append(id_text(value))
                    kept.append(row)
                except ValueError as error:
                    self._bad(self.path, number, error)
            values = self._values(batch)
            if ids:
                yield ids, values if len(kept) == len(values) else values[kept]

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
        self._delimiter = "\t" if plain_suffix(path) == ".tsv" else ","
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
                values = [float(number) for number in row[: self._place] + row[self._place + 1 :]]
            except ValueError:
                self._bad(self.path, line, "expected an id and numbers")
                continue
            try:
                token = id_text(row[self._place])
            except ValueError as error:
                self._bad(self.path, line, error)
                continue
            rows.append(np.array(values))
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


def _is_data(fields: list[str]) -> bool:
    """Whether a first line's fields are a vector; 0, 1, 2, ... are column names that pandas gave."""
    if fields in ([str(n + first) for n in range(len(fields))] for first in (0, 1)):
        return False
    try:
        return bool([float(field) for field in fields])
    except ValueError:
        return False
