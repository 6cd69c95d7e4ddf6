"""Text files as users have them: UTF-8, rows with the line they begin in, broken ones refused or counted."""

import csv
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import TextIO

from dataset_tools.errors import DataError
from dataset_tools.formats.content import open_text

NOT_TEXT = re.compile("[\udc80-\udcff]")  # what a byte that is not UTF-8 is read as ("surrogateescape")


class RowError(DataError):
    """A row that cannot be used; `reason` says which and why, without advice."""

    def __init__(self, reason: str):
        super().__init__(f"{reason}; repair it or pass --skip-bad.")
        self.reason = reason


def no_rows(path: str | Path, first: str) -> DataError:
    """The sentence on a file none of whose rows can be used: skipping them would not help."""
    return DataError(f"{path} has no row that can be used; the first: {first}.")


class BadRows:
    """What becomes of a row that cannot be used: an error with its file and line, or with `skip` a count.

    `first` says of the first row that was skipped where it is and why.
    """

    def __init__(self, skip: bool):
        self.skip, self.skipped, self.first = skip, 0, ""

    def __call__(self, path: Path, line: int, reason: object) -> None:
        where = f"{path}, {'row' if path.suffix.lower() == '.parquet' else 'line'} {line}: {reason}"
        if not self.skip:
            raise RowError(where)
        self.skipped += 1
        self.first = self.first or where

    def nothing(self, path: str | Path) -> DataError:
        """The sentence on a file that has no row, or none that could be used."""
        if self.skipped:
            return no_rows(path, self.first)
        return DataError(f"{path} has no interactions.")


@contextmanager
def reading(path: Path, errors: str = "strict") -> Iterator[TextIO]:
    """The file opened as UTF-8, a byte order mark passed over, a compressed one as what is inside.

    DataError where it is absent, other text, or no text at all.
    """
    if not path.is_file():
        raise DataError(f"There is no file {path}.")
    try:
        with open_text(path, errors) as file:
            yield file
    except UnicodeDecodeError:
        raise not_utf8(path) from None


def not_utf8(path: Path) -> DataError:
    """The sentence on a file of another encoding, with what converts it."""
    return DataError(
        f"{path} is not UTF-8 text; convert it first, if it is GBK for example: "
        f"iconv -f GBK -t UTF-8 {quote(str(path))} > {quote(path.stem + '.utf8' + path.suffix)}"
    )


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
        if len(delimiter) > 1:
            lines.between, delimiter = delimiter, "\x1f"
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
                    raise not_utf8(path)
                bad(path, line, "the row is not UTF-8 text")
            elif row:
                yield line, row


class _Lines:
    """The lines of a file; `text` turns False at one that is not UTF-8.

    A separator of several characters, `between`, is replaced by the one character that csv can take.
    """

    def __init__(self, file: TextIO):
        self._file, self.text, self.between = file, True, ""

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = next(self._file)
        if not line.isascii() and NOT_TEXT.search(line):
            self.text = False
        return line.replace(self.between, "\x1f") if self.between else line
