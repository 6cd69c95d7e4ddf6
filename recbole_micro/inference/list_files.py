"""Top-k lists in files, written some users at a time: CSV, JSON, JSON lines, Parquet."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from recbole_micro.files import replacing

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
        for _, rows in lists.groupby((lists["rank"] == 1).cumsum(), sort=False):  # a user may come twice
            items = rows.drop(columns=["user_id", "rank"]).to_dict("records")
            entry = {"user_id": rows["user_id"].iloc[0], "items": items}
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
