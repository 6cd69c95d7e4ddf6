"""RecBole's atomic text files: tokens that survive the way in and out, tables written and read row by row."""

import csv
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataset_tools.errors import DataError
from dataset_tools.files import replacing
from dataset_tools.formats.text_file import reading

# pandas' default missing values: RecBole reads these as "no token", quoted or not
MISSING = frozenset(
    ["", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>"]
    + ["N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"]
)
PADDING = "[PAD]"
EXACT = 1 << 53  # whole numbers beyond it have lost digits as floats
PLAIN = 1e-3, 1e10  # between these Arrow writes a number as Python does
LONGEST = 100_000  # characters of a text; Python's csv, and so RecBole's reader, stops at 131,072

csv.field_size_limit(1 << 30)  # feature files in text form have longer fields
_UNWRITABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]")
_NEEDS_QUOTES = re.compile('["\t\n]')


def token_problem(token: str, kind: str) -> str | None:
    """Why RecBole would not read an id back as it is, or None; `kind` names it in the sentence."""
    if not token.strip():
        reason = "it is blank"
    elif token in MISSING:
        reason = "RecBole reads it as a missing value"
    elif token == PADDING:
        reason = "RecBole keeps this name for its padding row"
    elif _UNWRITABLE.search(token):
        reason = "it holds a control character"
    else:
        return None
    return f"the {kind} id {token!r} cannot be used because {reason}"


def check_tokens(tokens: Iterable[str], kind: str) -> None:
    """Refuse ids that RecBole would not read back as they are."""
    problem = next(filter(None, (token_problem(token, kind) for token in tokens)), None)
    if problem:
        raise DataError(f"{problem[0].upper()}{problem[1:]}; rename it in the source.")


def quote(token: str) -> str:
    """A token as a field of an atomic file: quoted where it holds a tab, a line break or a quote."""
    if _NEEDS_QUOTES.search(token):
        return '"' + token.replace('"', '""') + '"'
    return token


def clean(text: str) -> str:
    """Free text as one line of at most LONGEST characters, for token_seq columns."""
    return " ".join(_UNWRITABLE.sub(" ", text).split())[:LONGEST]


def number(value: float) -> str:
    """The shortest text that reads back as the same float64; whole numbers without a point."""
    text = repr(float(value))
    return text[:-2] if text.endswith(".0") else text


def numbers(values: np.ndarray) -> pa.Array:
    """What `number` makes of each of the float64 `values` [n]."""
    size = np.abs(values)
    whole = (np.trunc(values) == values) & (size <= EXACT) & ~(np.signbit(values) & (values == 0))
    if whole.all():
        return pa.array(values.astype(np.int64)).cast(pa.large_string())
    rest = ~whole
    if (size[rest] >= PLAIN[0]).all() and (size[rest] < PLAIN[1]).all():
        texts = pa.array(values[rest]).cast(pa.large_string())
    else:
        texts = pa.array(map(number, values[rest].tolist()), pa.large_string())
    if whole.any():
        texts = pa.concat_arrays([pa.array(values[whole].astype(np.int64)).cast(pa.large_string()), texts])
        place = np.empty(len(values), dtype=np.int64)
        place[whole], place[rest] = np.arange(whole.sum()), np.arange(whole.sum(), len(values))
        texts = texts.take(pa.array(place))
    return texts


def finite(value: Any) -> float:
    """A number as float64; ValueError for NaN and infinity, which no rating or time may be."""
    try:
        found = float(value)
    except ValueError:
        raise ValueError(f"{value[:40]!r} is not a number") from None
    except OverflowError:  # a whole number of hundreds of digits
        found = math.inf
    if not math.isfinite(found):
        raise ValueError(f"{value} is not a finite number")
    return found


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a header of `name:type` fields and rows of fields that `quote` or `number` made."""
    with replacing(path) as part, open(part, "w", encoding="utf-8", newline="") as file:
        file.write("\t".join(header) + "\n")
        for row in rows:
            file.write("\t".join(row) + "\n")


def write_columns(path: Path, header: Sequence[str], portions: Iterable[Sequence[pa.Array]]) -> None:
    """The same of columns of large_string, which `quote` or `numbers` made."""
    with replacing(path) as part, open(part, "wb") as file:
        file.write(("\t".join(header) + "\n").encode())
        for columns in portions:
            lines = pc.binary_join_element_wise(*columns, pa.scalar("\t", pa.large_string()))
            one = pa.LargeListArray.from_arrays(pa.array([0, len(lines)], pa.int64()), lines)
            file.write(pc.binary_join(one, pa.scalar("\n", pa.large_string()))[0].as_buffer())
            file.write(b"\n")


def read_header(path: Path) -> list[tuple[str, str]]:
    """The (name, type) pairs of an atomic file's first line."""
    with reading(path) as file:
        line = file.readline().rstrip("\r\n")
    fields = [field.rpartition(":") for field in line.split("\t")]
    if not line or not all(colon for _, colon, _ in fields):
        raise DataError(f"{path} does not begin with a header of name:type fields separated by tabs.")
    return [(name, kind) for name, _, kind in fields]


def read_table(path: Path, columns: Sequence[str]) -> Iterator[list[str]]:
    """Rows of the named columns as text, in the file's order."""
    names = [name for name, _ in read_header(path)]
    absent = [name for name in columns if name not in names]
    if absent:
        raise DataError(f"{path} has no column {absent[0]!r}; its columns are {', '.join(names)}.")
    places = [names.index(name) for name in columns]
    with reading(path) as file:
        file.readline()
        for line, row in enumerate(csv.reader(file, delimiter="\t"), 2):
            if len(row) != len(names):
                raise DataError(f"{path}, line {line}: {len(row)} fields where the header has {len(names)}.")
            yield [row[place] for place in places]
