"""Tables as JSON lines: one object a row, its keys the columns."""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from dataset_tools.errors import DataError
from dataset_tools.formats.records import RecordFile, json_object
from dataset_tools.formats.tables.cells import Cell, cell
from dataset_tools.formats.text_file import BadRows


def rows(
    path: Path, columns: Sequence[str], ids: Collection[str], lists: Collection[str], bad: BadRows
) -> Iterator[tuple[int, list[Cell]]]:
    """(line, cells of the named columns), "" for a key that a row lacks; DataError where all rows lack it."""
    records = RecordFile(path, json_object, bad.skip)
    absent, first = dict.fromkeys(columns), ""
    for line, record in records:
        first = first or ", ".join(map(str, record))
        for column in [column for column in absent if column in record]:
            del absent[column]
        try:
            cells = [cell(record.get(column), column in ids, column in lists) for column in columns]
        except ValueError as error:
            bad(path, line, error)
        else:
            yield line, cells
    bad.skipped += records.skipped
    if absent:
        raise DataError(f"{path} has no column {next(iter(absent))!r}; its first row has {first[:200]}.")
