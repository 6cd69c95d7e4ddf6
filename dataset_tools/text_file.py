"""Text files as users have them: UTF-8, rows with the line they begin in, bad rows refused or counted."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from dataset_tools.errors import DataError


class Bad:
    """Refuses a row, or counts it."""

    def __init__(self, skip: bool):
        self._skip, self.skipped = skip, 0

    def __call__(self, path: Path, line: int, reason: object) -> None:
        if not self._skip:
            where = "row" if path.suffix == ".parquet" else "line"
            raise DataError(f"{path}, {where} {line}: {reason}; repair it or pass --skip-bad.")
        self.skipped += 1


@contextmanager
def reading(path: Path) -> Iterator[TextIO]:
    """The file opened as UTF-8, a byte order mark passed over; DataError where it is absent or other text."""
    if not path.is_file():
        raise DataError(f"There is no file {path}.")
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            yield file
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text ({error.reason}); convert it first.") from None


def csv_rows(
    path: Path, file: TextIO, delimiter: str, strict: bool
) -> Iterator[tuple[int, list[str] | None]]:
    """(line a row begins in, its fields) of an open file; blank lines are passed over.

    With `strict`, a row with text beside a quoted field is None instead of silently losing its quotes, and a
    quote that is never closed, which swallows the rest of the file, raises DataError with its line.
    """
    table = csv.reader(file, delimiter=delimiter, strict=strict)
    while True:
        line = table.line_num + 1
        try:
            row = next(table, None)
        except csv.Error as error:
            if "unexpected end" in str(error):
                raise DataError(f"{path}, line {line}: a quote opens in this row and never closes.") from None
            yield line, None
            continue
        if row is None:
            return
        if row:
            yield line, row
