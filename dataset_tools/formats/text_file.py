"""Text files as users have them: UTF-8, rows with the line they begin in, broken ones refused or counted."""

import csv
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from dataset_tools.errors import DataError

NOT_TEXT = re.compile("[\udc80-\udcff]")  # what a byte that is not UTF-8 is read as ("surrogateescape")


class BadRows:
    """What becomes of a row that cannot be used: an error with its file and line, or with `skip` a count."""

    def __init__(self, skip: bool):
        self._skip, self.skipped = skip, 0

    def __call__(self, path: Path, line: int, reason: object) -> None:
        if not self._skip:
            where = "row" if path.suffix == ".parquet" else "line"
            raise DataError(f"{path}, {where} {line}: {reason}; repair it or pass --skip-bad.")
        self.skipped += 1


@contextmanager
def reading(path: Path, errors: str = "strict") -> Iterator[TextIO]:
    """The file opened as UTF-8, a byte order mark passed over; DataError where it is absent or other text."""
    if not path.is_file():
        raise DataError(f"There is no file {path}.")
    try:
        with open(path, encoding="utf-8-sig", errors=errors, newline="") as file:
            yield file
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text ({error.reason}); convert it first.") from None


def csv_rows(
    path: Path, delimiter: str, strict: bool, bad: Callable[[Path, int, object], None]
) -> Iterator[tuple[int, list[str]]]:
    """(line a row begins in, its fields), the header among them; blank lines are passed over.

    A row that is not UTF-8 goes to `bad`, and with `strict` one with text beside a quoted field, instead of
    silently losing its quotes.  DataError where the first line is not UTF-8, as the whole file will be, and
    with `strict` for a quote that is never closed, which swallows the rest of the file.
    """
    with reading(path, errors="surrogateescape") as file:
        lines = _Lines(file)
        table = csv.reader(lines, delimiter=delimiter, strict=strict)
        while True:
            line, lines.text = table.line_num + 1, True
            try:
                row = next(table, None)
            except csv.Error as error:
                if "unexpected end" in str(error):
                    raise DataError(
                        f"{path}, line {line}: a quote opens in this row and never closes."
                    ) from None
                bad(path, line, "text stands beside a quoted field")
                continue
            if row is None:
                return
            if not lines.text:
                if line == 1:
                    raise DataError(f"{path} is not UTF-8 text; convert it first.")
                bad(path, line, "the row is not UTF-8 text")
            elif row:
                yield line, row


class _Lines:
    """The lines of a file; `text` turns False at one that is not UTF-8."""

    def __init__(self, file: TextIO):
        self._file, self.text = file, True

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = next(self._file)
        if not line.isascii() and NOT_TEXT.search(line):
            self.text = False
        return line
