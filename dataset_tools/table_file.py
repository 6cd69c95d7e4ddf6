"""Plain tables, CSV, TSV or Parquet, read row by row as text."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from dataset_tools.errors import DataError
from dataset_tools.progress import progress


def read_rows(path: str | Path, columns: Sequence[str]) -> Iterator[tuple[int, list[str] | None]]:
    """(line or row number, texts of the named columns); None for a line with a wrong number of fields.

    Ids keep their text: `007` stays `007`.  A Parquet file's numbers become their shortest text, nulls "".
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"There is no file {path}.")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty.")
    if path.suffix == ".parquet":
        return _parquet(path, columns)
    if path.suffix in (".csv", ".tsv", ".txt"):
        return _text(path, columns, "," if path.suffix == ".csv" else "\t")
    raise DataError(f"{path} is in no known format; use .csv, .tsv or .parquet.")


def _check(path: Path, columns: Sequence[str], header: Sequence[str]) -> None:
    absent = [column for column in columns if column not in header]
    if absent:
        raise DataError(f"{path} has no column {absent[0]!r}; its columns are {', '.join(header)}.")


def _text(path: Path, columns: Sequence[str], delimiter: str) -> Iterator[tuple[int, list[str] | None]]:
    with open(path, encoding="utf-8-sig", newline="") as file:
        table = csv.reader(file, delimiter=delimiter)
        try:
            header = next(table)
            _check(path, columns, header)
            places = [header.index(column) for column in columns]
            for row in progress(table, path.name, unit="row"):
                if row:
                    fits = len(row) == len(header)
                    yield table.line_num, [row[place] for place in places] if fits else None
        except UnicodeDecodeError as error:
            raise DataError(f"{path} is not UTF-8 text ({error.reason}); convert it first.") from None
        except csv.Error as error:
            raise DataError(f"{path}, line {table.line_num}: {error}.") from None


def _parquet(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, list[str] | None]]:
    try:
        file = pq.ParquetFile(path)
    except pa.ArrowInvalid as error:
        raise DataError(f"{path} is no complete Parquet file ({error}).") from None
    _check(path, columns, file.schema_arrow.names)
    number = 0
    for batch in progress(file.iter_batches(65536, columns=list(columns)), path.name):
        fields = [batch.column(column).to_pylist() for column in columns]
        for row in zip(*fields, strict=True):
            number += 1
            yield number, ["" if value is None else str(value) for value in row]
