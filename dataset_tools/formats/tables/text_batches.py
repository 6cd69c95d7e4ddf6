"""Text tables by columns: Arrow reads what is plain, and anything else is left to the way row by row.

Plain is a file in UTF-8, without quotes below its header, with a separator of one byte and as many fields in
every row.
"""

import codecs
import lzma
import re
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import pyarrow as pa
from pyarrow import csv

from dataset_tools.formats import content
from dataset_tools.formats.tables.cells import OddError

BLOCK = 64 << 20  # bytes of a portion


def batches(
    path: Path, places: Sequence[int], fields: int, separator: str, header: bool
) -> Iterator[pa.RecordBatch]:
    """The columns at these places, of `fields` in a row, as texts; `header`: the first line names them.

    Raises OddError, perhaps after some portions, where a file is not plain.
    """
    if len(separator) > 1 or not separator.isascii():
        raise OddError("a separator of several bytes")
    names = [str(place) for place in range(fields)]
    chosen = [names[place] for place in places]
    try:
        with content.opened(path) as file, pa.PythonFile(_Plain(file, header), mode="r") as plain:
            reader = csv.open_csv(
                plain,
                csv.ReadOptions(
                    use_threads=False, block_size=BLOCK, skip_rows=int(header), column_names=names
                ),
                csv.ParseOptions(delimiter=separator, quote_char=False, double_quote=False),
                csv.ConvertOptions(
                    column_types=dict.fromkeys(chosen, pa.string()),
                    include_columns=list(dict.fromkeys(chosen)),
                ),
            )
            yield from reader
    except (pa.ArrowException, UnicodeDecodeError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise OddError(error) from None
    except OSError as error:
        if error.errno is not None:
            raise  # of the system; that of a damaged file has no number
        raise OddError(error) from None


class _Plain:
    """A file's bytes without its byte order mark, for Arrow.

    Raises OddError at a quote below the header, UnicodeDecodeError where they are no UTF-8.
    """

    closed = False

    def __init__(self, file: IO[bytes], header: bool):
        self._file, self._header, self._start = file, header, True
        self._text = codecs.getincrementaldecoder("utf-8")()

    def read(self, size: int = -1) -> bytes:
        found = self._file.read(size)
        self._text.decode(found, final=not found)
        if self._start:
            found = found.removeprefix(codecs.BOM_UTF8) or self._file.read(size)
        end = re.search(rb"[\r\n]", found) if self._header and self._start else None
        self._start = False
        if found.find(b'"', end.end() if end else 0) >= 0 or b"\0" in found:
            raise OddError("a quote or a zero byte")
        return found

    def close(self) -> None:
        """Nothing: who opened the file closes it."""
