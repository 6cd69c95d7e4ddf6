"""Lists of ids: one per line, or an original id beside the number that a source layout uses for it."""

from pathlib import Path

from dataset_tools.errors import DataError
from dataset_tools.formats.text_file import csv_rows, reading

MOST = 20_000_000  # a number beyond this is a mistake that would fill the memory with ids in between


def read_list(path: Path) -> list[str]:
    """One id per line, as it stands there; empty lines at the end of the file are none."""
    with reading(path) as file:
        ids = [line.rstrip("\r\n") for line in file]
    while ids and not ids[-1]:
        ids.pop()
    blank = next((line for line, token in enumerate(ids, 1) if not token), None)
    if not ids or blank:
        raise DataError(f"{path}, line {blank or 1}: an id was expected, one on every line.")
    return ids


def read_numbered(path: Path, number_column: str = "") -> dict[int, str]:
    """Number -> original id, from two columns separated by tabs or commas, with or without a header.

    The number is in `number_column` where the header has it, else in the last column.
    """
    with reading(path) as file:
        first = file.readline()
        delimiter = "\t" if "\t" in first else ","
    numbers: dict[int, str] = {}
    place = -1
    for line, row in csv_rows(path, delimiter, True, _refuse):
        if line == 1 and len(row) >= 2 and not row[-1].isdecimal():
            place = row.index(number_column) if number_column in row else -1
            continue
        if len(row) < max(2, place + 1) or not row[place].isdecimal():
            raise DataError(f"{path}, line {line}: expected an original id and a number, got {row}.")
        if int(row[place]) in numbers:
            raise DataError(f"{path}, line {line}: the number {row[place]} stands for two ids.")
        numbers[int(row[place])] = row[0] if place else row[1]
    return numbers


def _refuse(path: Path, line: int, reason: object) -> None:
    raise DataError(f"{path}, line {line}: {reason}; repair it.")


def original_ids(path: Path | None, count: int, number_column: str = "") -> list[str]:
    """Original ids by number, at least `count`; the numbers themselves where there is no list."""
    if count > MOST:
        raise DataError(
            f"The number {count - 1} is too large; items and users are numbered from 0 without gaps."
        )
    if path is None:
        return [str(number) for number in range(count)]
    numbers = read_numbered(path, number_column)
    size = max(count, len(numbers))
    absent = next((number for number in range(size) if number not in numbers), None)
    if absent is not None:
        raise DataError(f"{path} has no id for number {absent}; 0 to {size - 1} each need one.")
    if len(set(numbers.values())) < size:
        raise DataError(f"{path} gives one id to two numbers; every number needs an id of its own.")
    return [numbers[number] for number in range(size)]
