"""The cells of a table as text: ids that stay what they are, numbers by their shortest text."""

import math
import re
from typing import Any

from dataset_tools.formats.atomic import EXACT, number

# what pandas makes of a column of whole numbers with gaps, and Excel of a long number
_DECIMAL = re.compile(r"-?\d+\.0+")
_SHORTENED = re.compile(r"-?\d(\.\d+)?[eE]\+\d+")

Cell = str | list[str]


class OddError(ValueError):
    """What is read by columns has something that only the way row by row can tell about."""


def id_text(value: Any) -> str:
    """An id as it stands; ValueError for one that a program on the way has changed."""
    if isinstance(value, float):
        if math.isnan(value):
            return ""
        if not value.is_integer():
            raise ValueError(f"the id {value} is no whole number")
        if abs(value) > EXACT:
            raise ValueError(f"the id {value:.0f} has lost digits as a floating-point number")
        return str(int(value))
    text = cell_text(value)
    check_id(text)
    return text


def check_id(text: Cell) -> None:
    """Raise ValueError for an id, or one of a list, that a program on the way has changed."""
    if isinstance(text, list):
        for one in text:
            check_id(one)
        return
    if "." not in text and "+" not in text:  # as nearly always
        return
    if _DECIMAL.fullmatch(text):
        raise ValueError(
            f"the id {text!r} is a whole number with a decimal point, as pandas writes a column with gaps; "
            'write it with .astype("Int64")'
        )
    if _SHORTENED.fullmatch(text):
        raise ValueError(f"the id {text!r} has lost digits, as spreadsheets shorten long numbers")


def cell_text(value: Any) -> str:
    """Any single value as text, "" for none; ValueError for what is no single value or no text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, float):
        return "" if math.isnan(value) else number(value)
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise ValueError("a binary value is not UTF-8 text") from None
    if isinstance(value, (list, tuple, dict)):
        raise ValueError(f"a {type(value).__name__} stands where one value was expected")
    return str(value)


def cell(value: Any, is_id: bool, many: bool) -> Cell:
    """A cell by its column's role; of a column with `many` values a list."""
    text = id_text if is_id else cell_text
    if many and isinstance(value, (list, tuple)):
        return [text(one) for one in value]
    return text(value)
