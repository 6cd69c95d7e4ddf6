"""Tables in Parquet: one file, or a folder of parts in the order of their numbers."""

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dataset_tools.errors import DataError
from dataset_tools.formats import content
from dataset_tools.formats.tables.cells import Cell, OddError, cell
from dataset_tools.formats.text_file import BadRows
from dataset_tools.progress import progress

BUFFER = 1 << 20  # bytes of a column in memory at once, however large its row group
ROWS = 65536  # in one batch


def is_parquet(path: Path) -> bool:
    """Whether it is a folder, or a Parquet file by its content or name."""
    if path.is_dir():
        return True
    if not path.is_file() or not path.stat().st_size:
        return False
    return content.file_kind(path).name == "parquet" or content.plain_suffix(path) == ".parquet"


def open_parquet(path: Path) -> pq.ParquetFile:
    """The file opened; DataError where it is none."""
    with whole(path):
        return pq.ParquetFile(path, buffer_size=BUFFER, pre_buffer=False)


@contextmanager
def whole(path: Path) -> Iterator[None]:
    """What goes wrong while a damaged Parquet file is read, as one sentence."""
    try:
        yield
    except (pa.ArrowException, UnicodeDecodeError, OSError, OverflowError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the system; that of a damaged file has no number
        reason = " ".join(str(error).split())[:100]
        raise DataError(
            f"{path} is no complete Parquet file; write or download it again ({reason})."
        ) from None


def parts(folder: Path) -> list[Path]:
    """The Parquet files below a folder, `part-2` before `part-10`; DataError where there is none."""
    found = sorted(folder.rglob("*.parquet"), key=lambda path: _natural(path.relative_to(folder)))
    if not found:
        raise DataError(f"The folder {folder} has no .parquet files; name a file.")
    return found


def _natural(path: Path) -> list[tuple[bool, int, str]]:
    pieces = re.split(r"(\d+)", str(path))
    return [(piece.isdecimal(), int(piece) if piece.isdecimal() else 0, piece) for piece in pieces]


def names(path: Path) -> list[str]:
    """The names of the columns."""
    return open_parquet(path).schema_arrow.names


def rows(
    path: Path, columns: Sequence[str], ids: Collection[str], lists: Collection[str], bad: BadRows
) -> Iterator[tuple[int, list[Cell]]]:
    """(row number, cells of the named columns); a column among `lists` may hold several values a row."""
    file = open_parquet(path)
    for column in columns:
        kind = file.schema_arrow.field(column).type
        inner = kind.value_type if is_list(kind) and column in lists else kind
        if pa.types.is_nested(inner):
            raise DataError(
                f"{path}: the column {column!r} holds {str(kind)[:60]}, several values a row, where one is "
                "needed; name another column, or write a table with one row for each."
            )
    number = 0
    for batch in progress(batches(path, file, ROWS, columns), path.name):
        arrays = [moments(batch.column(column)) for column in columns]
        if all(is_whole(array.type) and not array.null_count for array in arrays):
            for texts in zip(*(array.cast(pa.string()).to_pylist() for array in arrays), strict=True):
                number += 1
                yield number, list(texts)
            continue
        for row in zip(*(array.to_pylist() for array in arrays), strict=True):
            number += 1
            try:
                cells = [
                    cell(value, column in ids, column in lists)
                    for value, column in zip(row, columns, strict=True)
                ]
            except ValueError as error:
                bad(path, number, error)
            else:
                yield number, cells


def batches(path: Path, file: pq.ParquetFile, rows: int, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """The named columns in portions; DataError where the file turns out damaged."""
    with whole(path):
        for batch in file.iter_batches(rows, columns=list(dict.fromkeys(columns))):
            batch.validate(full=True)
            yield batch


def readable(schema: pa.Schema, columns: Sequence[str], lists: Collection[str]) -> bool:
    """Whether these columns are there, once each, with one value a row or, those among `lists`, a list."""
    kinds = [
        kind.value_type if is_list(kind := schema.field(name).type) and name in lists else kind
        for name in columns
        if schema.names.count(name) == 1
    ]
    return len(kinds) == len(columns) and not any(map(pa.types.is_nested, kinds))


def one_by_one(batch: pa.RecordBatch, item: str) -> pa.RecordBatch:
    """One row for each value of the lists, where the column `item` holds some.

    Raises OddError for lists of unequal length, and where only others hold some.
    """
    lists = [field.name for field in batch.schema if is_list(field.type)]
    if not lists:
        return batch
    lengths = [pc.list_value_length(batch.column(name)) for name in lists]
    if item not in lists or any(one.null_count or not one.equals(lengths[0]) for one in lengths):
        raise OddError("lists of unequal length")
    rows = pc.list_parent_indices(batch.column(item))
    columns = {
        name: batch.column(name).flatten() if name in lists else batch.column(name).take(rows)
        for name in batch.schema.names
    }
    return pa.record_batch(columns)


def moments(column: pa.Array) -> pa.Array:
    """Moments without their zone, which is UTC then, and to the microsecond; anything else as it is."""
    if not pa.types.is_timestamp(column.type):
        return column
    return column.cast(pa.timestamp(column.type.unit)).cast(pa.timestamp("us"), safe=False)


def is_text(kind: pa.DataType) -> bool:
    """Whether a column holds texts, also by a dictionary (pandas' categories)."""
    if pa.types.is_dictionary(kind):
        return is_text(kind.value_type)
    text = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(is_kind(kind) for is_kind in (*text, pa.types.is_binary, pa.types.is_large_binary))


def is_whole(kind: pa.DataType) -> bool:
    """Whether a column holds whole numbers, also by a dictionary."""
    return pa.types.is_integer(kind.value_type if pa.types.is_dictionary(kind) else kind)


def is_number(kind: pa.DataType) -> bool:
    return pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)


def is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
