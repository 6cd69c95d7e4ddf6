"""Top-k lists in files, written some users at a time: CSV, JSON, JSON lines, Parquet."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from dataset_tools.files import replacing
from recbole_micro.errors import UserError

KINDS = (".csv", ".json", ".jsonl", ".parquet")
NUMBERS = {"rank": pa.int32(), "score": pa.float32(), "cosine": pa.float32()}  # columns that are no texts


class CSV:
    """One row per item of a list, under a header."""

    def __init__(self, file: IO[str]):
        self.file, self.header = file, True

    def add(self, lists: pd.DataFrame) -> None:
        """Write the lists of some users."""
        lists.to_csv(self.file, index=False, header=self.header, lineterminator="\n")
        self.header = False

    def end(self) -> None:
        """Write what comes last."""


class JSONLines:
    """One line per user: `{"user_id": .., "items": [{"item_id": .., "score": ..}]}`."""

    start, between, after = "", "\n", "\n"

    def __init__(self, file: IO[str]):
        self.file, self.any = file, False
        self.file.write(self.start)

    def add(self, lists: pd.DataFrame) -> None:
        """Write the lists of some users."""
        items = lists.drop(columns=["user_id", "rank"]).to_dict("records")
        begins = np.flatnonzero(lists["rank"] == 1)  # a user may come twice
        ends = [*begins[1:], len(items)]
        for user, begin, end in zip(lists["user_id"].iloc[begins], begins, ends, strict=True):
            entry = {"user_id": user, "items": items[begin:end]}
            self.file.write((self.between if self.any else "") + json.dumps(entry, ensure_ascii=False))
            self.any = True

    def end(self) -> None:
        """Write what comes last."""
        self.file.write(self.after if self.any or self.start else "")


class JSON(JSONLines):
    """The same entries as one list."""

    start, between, after = "[\n", ",\n", "\n]\n"


TEXT: dict[str, type[CSV] | type[JSONLines]] = {".csv": CSV, ".json": JSON, ".jsonl": JSONLines}


class Parquet:
    """One row per item of a list, a row group for each portion of users."""

    def __init__(self, path: Path):
        self.path = path
        self.writer: pq.ParquetWriter | None = None

    def add(self, lists: pd.DataFrame) -> None:
        """Write the lists of some users."""
        schema = pa.schema([(name, NUMBERS.get(name, pa.string())) for name in lists])
        if self.writer is None:
            self.writer = pq.ParquetWriter(self.path, schema)
        self.writer.write_table(pa.Table.from_pandas(lists, schema, preserve_index=False))

    def end(self) -> None:
        """Write what comes last."""
        if self.writer is not None:
            self.writer.close()


@contextmanager
def list_file(path: Path) -> Iterator[CSV | JSONLines | Parquet]:
    """What takes the portions of lists for the file `path`, of a kind in `KINDS`; whole or not at all."""
    with replacing(path) as part:
        if path.suffix == ".parquet":
            table = Parquet(part)
            try:
                yield table
            finally:
                table.end()
            return
        with open(part, "w", encoding="utf-8", newline="") as file:
            lines = TEXT[path.suffix](file)
            yield lines
            lines.end()


def with_titles(lists: pd.DataFrame, titles: Mapping[str, str]) -> pd.DataFrame:
    """The lists with a column `title`, where any titles are known."""
    if not titles:
        return lists
    return lists.assign(title=[titles.get(item, "") for item in lists["item_id"]])


def read_lists(path: Path) -> pd.DataFrame:
    """Rows of a file of lists or scores: columns user_id, item_id, and rank and score where it has them.

    CSV (or tabs in a `.tsv`), JSON, JSON lines, Parquet, as `list_file` writes them; `user` and `item` are
    names that go as well, and an entry of JSON may list plain ids.  Raises UserError for a file that cannot
    be read so.
    """
    if not path.is_file():
        raise UserError(f"There is no file {path}: name one with lists or scores.")
    try:
        table = READERS[path.suffix](path)
    except KeyError as error:
        if path.suffix in READERS:
            raise UserError(f"{path}: an entry has no {error}: write user_id and items.") from error
        kinds = ", ".join(READERS)
        raise UserError(f"{path} is none of {kinds}: write it as one of these.") from error
    except (ValueError, TypeError, pa.ArrowException) as error:  # pandas' parser errors are ValueErrors
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path} cannot be read as {path.suffix} ({reason}): write it anew.") from error
    table = table.rename(columns={"user": "user_id", "item": "item_id"})
    absent = [name for name in ("user_id", "item_id") if name not in table]
    if absent or table.columns.duplicated().any():
        known = ", ".join(map(str, table.columns)) or "none"
        raise UserError(f"{path} needs the columns user_id and item_id, once each; it has {known}.")
    table[["user_id", "item_id"]] = table[["user_id", "item_id"]].astype(str)
    for name in {"rank", "score"} & set(table):
        numbers = pd.to_numeric(table[name], errors="coerce")
        if not np.isfinite(numbers).all():
            row = int(np.argmin(np.isfinite(numbers.to_numpy())))
            raise UserError(
                f"{path}: the {name} of row {row + 1} is {table[name].iloc[row]!r}: write a number."
            )
        table[name] = numbers
    return table


def _text_table(separator: str) -> Callable[[Path], pd.DataFrame]:
    def read(path: Path) -> pd.DataFrame:
        return pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig")

    return read


def _entries(entries: Iterable[Mapping]) -> pd.DataFrame:
    rows: list[dict] = []
    for entry in entries:
        for item in entry["items"]:
            about = item if isinstance(item, dict) else {"item_id": item}
            rows.append({"user_id": entry["user_id"], **about})
    return pd.DataFrame(rows, columns=None if rows else ["user_id", "item_id"])


def _json_lines(path: Path) -> pd.DataFrame:
    with open(path, encoding="utf-8-sig") as file:
        return _entries(json.loads(line) for line in file if line.strip())


READERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    ".csv": _text_table(","),
    ".tsv": _text_table("\t"),
    ".json": lambda path: _entries(json.loads(path.read_text(encoding="utf-8-sig"))),
    ".jsonl": _json_lines,
    ".parquet": pd.read_parquet,
}
