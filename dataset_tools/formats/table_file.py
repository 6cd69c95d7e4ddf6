"""Plain tables, CSV, TSV or Parquet, read row by row as text."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from dataset_tools.errors import DataError
from dataset_tools.formats.text_file import BadRows, csv_rows
from dataset_tools.progress import progress

BUFFER = 1 << 20  # bytes of a Parquet column in memory at once, however large its row group


def read_rows(
    path: str | Path, columns: Sequence[str], bad: BadRows, strict: bool = False
) -> Iterator[tuple[int, list[str]]]:
    """(line or row number, texts of the named columns); broken lines go to `bad`.

    Ids keep their text: `007` stays `007`.  A Parquet file's numbers become their shortest text, nulls "".
    `strict` refuses rows whose quotes are ambiguous, for tables whose every character counts.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"There is no file {path}.")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty.")
    if path.suffix == ".parquet":
        return _parquet(path, columns, bad)
    if path.suffix in (".csv", ".tsv", ".txt"):
        return _text(path, columns, "," if path.suffix == ".csv" else "\t", bad, strict)
    raise DataError(f"{path} is in no known format; use .csv, .tsv or .parquet.")


def _check(path: Path, columns: Sequence[str], header: Sequence[str]) -> None:
    there = ", ".join(header) or "none"
    for column in columns:
        if column not in header:
            raise DataError(f"{path} has no column {column!r}; its columns are {there}.")
        if header.count(column) > 1:
            raise DataError(f"{path} has two columns {column!r}; rename one.")


def _text(
    path: Path, columns: Sequence[str], delimiter: str, bad: BadRows, strict: bool
) -> Iterator[tuple[int, list[str]]]:
    table = csv_rows(path, delimiter, strict, bad)
    _, header = next(table, (1, []))
    _check(path, columns, header)
    places = [header.index(column) for column in columns]
    for line, row in progress(table, path.name, unit="row"):
        if len(row) != len(header):
            bad(path, line, "the row has a wrong number of fields")
        else:
            yield line, [row[place] for place in places]


def _parquet(path: Path, columns: Sequence[str], bad: BadRows) -> Iterator[tuple[int, list[str]]]:
    try:
        file = pq.ParquetFile(path, buffer_size=BUFFER, pre_buffer=False)
    except pa.ArrowInvalid as error:
        raise DataError(f"{path} is no complete Parquet file ({error}).") from None
    _check(path, columns, file.schema_arrow.names)
    number = 0
    for batch in progress(file.iter_batches(65536, columns=list(columns)), path.name):
        fields = [batch.column(column).to_pylist() for column in columns]
        for row in zip(*fields, strict=True):
            number += 1
            try:
                yield number, [_as_text(value) for value in row]
            except UnicodeDecodeError:
                bad(path, number, "a binary value is not UTF-8 text")


def _as_text(value: object) -> str:
    if value is None:
        return ""
    return value.decode() if isinstance(value, bytes) else str(value)
