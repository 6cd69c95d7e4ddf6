"""Rows of any table as interactions: which column is what, lists of items, times, conditions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dataset_tools.dataset.interactions import Builder, Interactions
from dataset_tools.errors import DataError
from dataset_tools.formats.atomic import finite
from dataset_tools.formats.tables.cells import Cell, OddError
from dataset_tools.formats.tables.table_file import TableForm, read_batches, read_cells
from dataset_tools.formats.text_file import BadRows, RowError, no_rows
from dataset_tools.operations.conditions import Condition
from dataset_tools.operations.table_batches import AT_ONCE, Plan, add_batch
from dataset_tools.operations.times import PER_SECOND, seconds


@dataclass(frozen=True)
class Roles:
    """The columns' names; `between` stands between several items of one row, "" where there is one."""

    user: str
    item: str
    rating: str | None
    time: str | None
    between: str = ""

    @property
    def columns(self) -> list[str]:
        return [column for column in (self.user, self.item, self.rating, self.time) if column]


def roles(
    columns: Sequence[str],
    user: str | None,
    item: str | None,
    rating: str | None,
    time: str | None,
    between: str = "",
) -> Roles:
    """The roles as given, or by the usual names in `columns`."""

    def usual(given: str | None, *names: str) -> str | None:
        return given or next((name for name in names if name in columns), None)

    user, item = usual(user, "user"), usual(item, "item", "items")
    for flag, found in (("--user", user), ("--item", item)):
        if not found:
            raise DataError(f"{flag} is missing; name the column of {flag[2:]} ids.")
    rating, time = usual(rating, "rating"), usual(time, "time", "timestamp")
    if not between and item == "items" and columns:
        between = " "
    return Roles(str(user), str(item), rating, time, between)


class Reader:
    """Reads tables as interactions; `left_out` counts the rows that the condition did not choose."""

    def __init__(
        self,
        roles: Roles,
        header: Sequence[str] = (),
        separator: str = "",
        time_unit: str = "s",
        order_is_time: bool = False,
        condition: Condition | None = None,
    ):
        if order_is_time and roles.time:
            raise DataError(
                f"--order-is-time is for tables without times; the column {roles.time!r} has them."
            )
        self._roles, self._order, self._condition, self.left_out = roles, order_is_time, condition, 0
        self._per_second = PER_SECOND[time_unit]
        more = condition.columns if condition else []
        self._columns = roles.columns + [column for column in more if column not in roles.columns]
        nested = [column for column in self._columns if column != roles.user]
        joined = [roles.item] if roles.between else []
        ids = [roles.user, roles.item]
        self._form = TableForm(header, separator, ids, nested, joined, roles.between or " ")

    def read(
        self, files: Sequence[Path], items: Sequence[str], bad: BadRows, split: bool = False, least: int = 1
    ) -> Interactions:
        """The interactions of files, one after another or as parts of a `split`; `items` are known before.

        DataError where a part, or all files together, have fewer than `least`.
        """
        timed = self._roles.time is not None or self._order
        builder = Builder(self._roles.rating is not None, timed, part=split)
        for token in items:
            builder.add_item(token)
        for part, path in enumerate(files):
            before = len(builder)
            try:
                self._add(path, builder, bad, part if split else 0)
            except RowError as error:
                if len(builder) == before and not any(self._good(path, builder, BadRows(True))):
                    raise no_rows(path, error.reason) from None
                raise
            last = split or path == files[-1]
            if last and len(builder) - (before if split else 0) < least:
                raise self._nothing(path, bad)
        return builder.build()

    def _add(self, path: Path, builder: Builder, bad: BadRows, part: int) -> None:
        """Add a table's interactions: by columns where it has nothing odd, else row by row."""
        mark, left_out = builder.mark(), self.left_out
        try:
            self._add_columns(path, builder, part)
        except OddError:
            builder.back(mark)
            self.left_out = left_out
            for user, item, rating, time in self._good(path, builder, bad):
                builder.add(user, item, rating, float(len(builder)) if self._order else time, part)

    def _add_columns(self, path: Path, builder: Builder, part: int) -> None:
        """Add them by columns; OddError where that cannot be."""
        roles = self._roles
        plan = Plan(roles.user, roles.item, roles.rating, roles.time, self._condition, self._per_second)
        for batch in read_batches(path, self._columns, AT_ONCE, self._form):
            self.left_out += add_batch(batch, plan, builder, self._order, part)

    def _good(self, path: Path, builder: Builder, bad: BadRows) -> Iterator[tuple[str, str, float, float]]:
        """(user, item, rating, time) of the rows that can be used."""
        for line, (user, item, rating, time) in self._events(path, bad):
            try:
                stars = finite(rating) if self._roles.rating else 0.0
                moment = seconds(time, self._per_second) if self._roles.time else 0.0
            except ValueError as error:
                bad(path, line, error)
                continue
            problem = builder.problem(user, item)
            if problem:
                bad(path, line, problem)
            else:
                yield user, item, stars, moment

    def _nothing(self, path: Path, bad: BadRows) -> DataError:
        if self._condition is not None and self.left_out and not bad.skipped:
            return DataError(f"{path} has no row with {self._condition.text}; loosen --where.")
        return bad.nothing(path)

    def _events(self, path: Path, bad: BadRows) -> Iterator[tuple[int, list[str]]]:
        """(line, [user, item, rating, time]), rows with lists of items one by one."""
        place = {column: number for number, column in enumerate(self._columns)}
        rating, time = (place.get(column or "", 0) for column in (self._roles.rating, self._roles.time))
        for line, cells in read_cells(path, self._columns, bad, strict=True, form=self._form):
            lists = [
                column for column, cell in zip(self._columns, cells, strict=True) if isinstance(cell, list)
            ]
            if lists and self._roles.item not in lists and not set(lists) <= set(self._roles.columns):
                raise DataError(
                    f"{path}: --where cannot compare {lists[0]!r}, which holds lists; name another."
                )
            try:
                events = _one_by_one(cells)
            except ValueError as error:
                bad(path, line, error)
                continue
            for event in events:
                if self._condition is None or self._condition(dict(zip(self._columns, event, strict=True))):
                    more = [event[place] if place else "" for place in (rating, time)]
                    yield line, [event[0], event[1], *more]
                else:
                    self.left_out += 1


def _one_by_one(row: list[Cell]) -> list[list[str]]:
    """The row itself, or one row for each of its lists' values; ValueError where lists differ in length."""
    if list not in map(type, row):
        return [row]  # type: ignore[list-item]
    lengths = {len(cell) for cell in row if isinstance(cell, list)}
    if len(lengths) > 1:
        raise ValueError(f"its lists differ in length ({', '.join(map(str, sorted(lengths)))})")
    (count,) = lengths
    return [[cell[n] if isinstance(cell, list) else cell for cell in row] for n in range(count)]
