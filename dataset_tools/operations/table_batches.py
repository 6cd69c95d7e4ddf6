"""Rows of a table as columns: what is asked of a value is asked once of all that are equal.

The answers are those of the way row by row (`table_rows`), which takes over where a batch has anything odd.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataset_tools.dataset.interactions import Builder
from dataset_tools.formats.atomic import finite, token_problem
from dataset_tools.formats.tables.cells import OddError, cell
from dataset_tools.formats.tables.parquet import is_number, is_whole, moments, one_by_one
from dataset_tools.operations.conditions import Condition
from dataset_tools.operations.times import seconds

AT_ONCE = 1 << 21  # rows


@dataclass(frozen=True)
class Plan:
    """The columns' names, which of them are ids, and what is asked of the rows."""

    user: str
    item: str
    rating: str | None
    time: str | None
    condition: Condition | None
    per_second: float


def add_batch(batch: pa.RecordBatch, plan: Plan, builder: Builder, order: bool, part: int) -> int:
    """Add a batch's interactions; the number of rows that the condition left out.

    `order`: rows are in the order of time.  Raises OddError, with nothing added, where rows need a closer
    look.
    """
    batch = one_by_one(batch, plan.item)
    kept = _chosen(batch, plan)
    left_out = len(batch) - int(kept.sum())
    if left_out:
        batch = batch.filter(pa.array(kept))
    users, user = _ids(batch.column(plan.user), "user")
    items, item = _ids(batch.column(plan.item), "item")
    rating = _ratings(batch.column(plan.rating)) if plan.rating else None
    time = _times(batch.column(plan.time), plan.per_second) if plan.time else None
    if order:
        time = np.arange(len(builder), len(builder) + len(batch), dtype=np.float64)
    builder.extend(users, user, items, item, rating, time, part)
    return left_out


def _chosen(batch: pa.RecordBatch, plan: Plan) -> np.ndarray:
    """Which rows fulfil the condition, bool [n]."""
    condition = plan.condition
    if condition is None:
        return np.ones(len(batch), dtype=bool)
    names = condition.columns
    for name in (plan.user, plan.item):
        if not is_whole(batch.schema.field(name).type):
            _coded(batch.column(name), True)  # a changed id is a mistake in rows left out as well
    coded = [_coded(batch.column(name), name in (plan.user, plan.item)) for name in names]
    whole, size = np.zeros(len(batch), dtype=np.int64), 1
    for texts, codes in coded:
        whole, size = whole * max(1, len(texts)) + codes, size * max(1, len(texts))
    few = size <= 4 * len(batch)
    different = np.flatnonzero(np.bincount(whole, minlength=size)) if few else np.unique(whole)
    answers = np.zeros(len(different), dtype=bool)
    for place, code in enumerate(different.tolist()):
        row = {}
        for name, (texts, _) in zip(reversed(names), reversed(coded), strict=True):
            code, number = divmod(code, max(1, len(texts)))
            row[name] = texts[number]
        answers[place] = condition(row)
    if few:
        chosen = np.zeros(size, dtype=bool)
        chosen[different] = answers
        return chosen[whole]
    return answers[np.searchsorted(different, whole)]


def _ids(column: pa.Array, kind: str) -> tuple[list[str], np.ndarray]:
    if column.null_count:
        raise OddError("an id is missing")
    texts, codes = _coded(column, True)
    if not is_whole(column.type) and any(token_problem(text, kind) for text in texts):
        raise OddError("an id cannot be used")
    return texts, codes


def _coded(column: pa.Array, is_id: bool) -> tuple[list[str], np.ndarray]:
    """The different values as texts, those that occur, and the place [n] of each row's."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_nested(column.type) or pa.types.is_timestamp(column.type):
        raise OddError("a column of lists or moments")
    coded = column.dictionary_encode(null_encoding="encode")
    try:
        if is_whole(column.type):
            texts = [text or "" for text in coded.dictionary.cast(pa.string()).to_pylist()]
        else:
            texts = [str(cell(value, is_id, False)) for value in coded.dictionary.to_pylist()]
    except ValueError as error:
        raise OddError(error) from None
    return texts, coded.indices.to_numpy(zero_copy_only=False).astype(np.int64)


def _ratings(column: pa.Array) -> np.ndarray:
    """A column of numbers as float64 [n]."""
    if column.null_count:
        raise OddError("a number is missing")
    if is_number(column.type) and not pa.types.is_boolean(column.type):
        values = column.to_numpy(zero_copy_only=False).astype(np.float64)
        if not np.isfinite(values).all():
            raise OddError("a number is not finite")
        return values
    values = _numbers(column)
    return _each(column, finite) if values is None else values


def _numbers(column: pa.Array) -> np.ndarray | None:
    """Texts that are plain finite numbers as float64 [n], None where there is another."""
    if not pa.types.is_string(column.type):
        return None
    try:
        values = pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        return None
    return values if np.isfinite(values).all() else None


def _times(column: pa.Array, per_second: float) -> np.ndarray:
    """A column of numbers or of moments as seconds, float64 [n]."""
    if pa.types.is_timestamp(column.type) and not column.null_count:
        return moments(column).cast(pa.int64()).to_numpy(zero_copy_only=False) / 1e6
    if is_number(column.type) and not pa.types.is_boolean(column.type):
        return _ratings(column) / per_second
    values = None if column.null_count else _numbers(column)
    if values is not None:
        return values / per_second
    return _each(column, lambda text: seconds(text, per_second))


def _each(column: pa.Array, read: Callable[[str], float]) -> np.ndarray:
    """What a function makes of every different value, float64 [n]."""
    texts, codes = _coded(column, False)
    try:
        return np.array([read(text) for text in texts], dtype=np.float64)[codes]
    except ValueError as error:
        raise OddError(error) from None
