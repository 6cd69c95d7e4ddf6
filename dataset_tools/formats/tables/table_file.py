"""Tables in CSV, TSV, Parquet or JSON lines, read row by row as text, or by columns where they are plain."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from dataset_tools.errors import DataError
from dataset_tools.formats import content
from dataset_tools.formats.tables import json_lines, parquet, text_batches
from dataset_tools.formats.tables.cells import Cell, OddError, check_id
from dataset_tools.formats.text_file import BadRows, csv_rows, reading
from dataset_tools.progress import progress

COMMA, TAB = ",", "\t"
HEADERLESS = "; `convert table --columns` names those of a file without a header"
JSON = (".jsonl", ".ndjson", ".json")


@dataclass(frozen=True)
class TableForm:
    """How a table is to be read where its name and first line do not say so.

    `header` names the columns of a text file that has none; `separator` stands between its fields; `ids` are
    columns of ids, whose every character counts; `lists` are columns that may hold lists in Parquet and JSON,
    `joined` those that hold several values in a text file, with `between` between them.
    """

    header: Sequence[str] = ()
    separator: str = ""
    ids: Collection[str] = ()
    lists: Collection[str] = ()
    joined: Collection[str] = ()
    between: str = " "


PLAIN = TableForm()


def read_rows(
    path: str | Path, columns: Sequence[str], bad: BadRows, strict: bool = False, form: TableForm = PLAIN
) -> Iterator[tuple[int, list[str]]]:
    """(line or row number, texts of the named columns); broken lines go to `bad`.

    Ids keep their text: `007` stays `007`.  A Parquet file's numbers become their shortest text, nulls "".
    `strict` refuses rows whose quotes are ambiguous, for tables whose every character counts.
    """
    for line, cells in read_cells(path, columns, bad, strict, form):
        yield line, [one if isinstance(one, str) else " ".join(one) for one in cells]


def read_cells(
    path: str | Path, columns: Sequence[str], bad: BadRows, strict: bool = False, form: TableForm = PLAIN
) -> Iterator[tuple[int, list[Cell]]]:
    """The same, with lists for cells of the columns `form.lists` and `form.joined`."""
    path = Path(path)
    if path.is_dir():
        for part in parquet.parts(path):
            yield from read_cells(part, columns, bad, strict, form)
        return
    if not path.is_file():
        raise DataError(f"There is no file {path}.")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty.")
    suffix = content.plain_suffix(path)
    if parquet.is_parquet(path):
        _refuse_header(path, form)
        _check(path, columns, parquet.names(path))
        yield from parquet.rows(path, columns, form.ids, form.lists, bad)
    elif suffix in JSON:
        _refuse_header(path, form)
        yield from progress(json_lines.rows(path, columns, form.ids, form.lists, bad), path.name, unit="row")
    else:
        yield from _text(path, columns, form.separator or _separator(path, suffix), bad, strict, form)


def read_batches(
    path: Path, columns: Sequence[str], rows: int, form: TableForm = PLAIN
) -> Iterator[pa.RecordBatch]:
    """The named columns in portions, of Parquet of `rows`; those of text files hold texts.

    Raises OddError, perhaps after some portions, where the table has to be read row by row: JSON, text that
    is not plain, and whatever `read_cells` refuses.
    """
    if form.joined or not path.exists() or not (path.is_dir() or path.stat().st_size):
        raise OddError("several values in a field, or no table")
    if parquet.is_parquet(path):
        if form.header:
            raise OddError("--columns beside names")
        for part in parquet.parts(path) if path.is_dir() else [path]:
            file = parquet.open_parquet(part)
            if not parquet.readable(file.schema_arrow, columns, form.lists):
                raise OddError("a column of several values, or none")
            yield from progress(parquet.batches(part, file, rows, columns), part.name)
        return
    suffix = content.plain_suffix(path)
    if suffix in JSON:
        raise OddError("JSON")
    separator = form.separator or _separator(path, suffix)
    line, first = next(csv_rows(path, separator, True, _odd), (1, []))
    header = list(form.header) or first
    several_lines = any("\n" in name or "\r" in name for name in first)
    if line > 1 or several_lines or any(header.count(column) != 1 for column in columns):
        raise OddError("a header to be looked at")
    places = [header.index(column) for column in columns]
    for batch in progress(
        text_batches.batches(path, places, len(header), separator, first == header), path.name
    ):
        yield batch.rename_columns(columns)


def _odd(path: Path, line: int, reason: object) -> None:
    raise OddError(reason)


def _refuse_header(path: Path, form: TableForm) -> None:
    if form.header:
        raise DataError(f"{path} names its columns itself; leave out --columns.")


def _separator(path: Path, suffix: str) -> str:
    """What stands between the fields, by the file's name, or where that tells nothing by its first line."""
    usual = COMMA if suffix == ".csv" else TAB
    with reading(path, errors="replace") as file:
        first = file.readline(100_000)
    if usual in first:
        return usual
    found = [mark for mark in (TAB, COMMA, ";", "|") if mark in first]
    if len(found) == 1:
        return found[0]
    if suffix in (".csv", ".tsv", ".txt"):
        return usual
    raise DataError(
        f"{path} is in no known format; use .csv, .tsv, .jsonl or .parquet, or say with --separator what "
        "stands between the fields."
    )


def _check(path: Path, columns: Sequence[str], header: Sequence[str], remedy: str = "") -> None:
    there = ", ".join(header)[:300] or "none"
    for column in columns:
        if column not in header:
            raise DataError(f"{path} has no column {column!r}; its columns are {there}{remedy}.")
        if header.count(column) > 1:
            raise DataError(f"{path} has two columns {column!r}; rename one.")


def _text(
    path: Path, columns: Sequence[str], separator: str, bad: BadRows, strict: bool, form: TableForm
) -> Iterator[tuple[int, list[Cell]]]:
    table = csv_rows(path, separator, strict, bad)
    if form.header:
        header = list(form.header)
    else:
        _, header = next(table, (1, []))
    _check(path, columns, header, "" if form.header else HEADERLESS)
    places = [header.index(column) for column in columns]
    ids = [number for number, column in enumerate(columns) if column in form.ids]
    joined = [number for number, column in enumerate(columns) if column in form.joined]
    last = len(header) - 1
    spread = form.between == separator and header[last] in form.joined  # over the rest of the row
    for line, row in progress(table, path.name, unit="row"):
        if line == 1 and row == header:
            continue  # there is a header after all
        if spread and len(row) >= last:
            row[last:] = [separator.join(row[last:])]
        if len(row) != len(header):
            bad(path, line, f"the row has {len(row)} fields instead of {len(header)}")
            continue
        cells: list[Cell] = [row[place] for place in places]
        for number in joined:
            cells[number] = _split(row[places[number]], form.between)
        try:
            for number in ids:
                check_id(cells[number])
        except ValueError as error:
            bad(path, line, error)
        else:
            yield line, cells


def _split(text: str, between: str) -> list[str]:
    return [part for part in text.split(between) if part.strip()]
