"""Which engine reads, filters, cuts to its 5-core and writes a large table fastest, and in how much memory?

    python benchmarks/read_tables.py [--rows 10000000] [--form parquet] [--engines ours polars duckdb]

Prints, per engine, seconds, seconds of CPU, the peak of memory, and what is left: all engines must agree.

Reads nothing: writes a folder of Parquet like Yambda's listens (user, item, time, share of the track; a
user's number of rows and an item's are skewed), or one CSV file, to a temporary folder, 12 or 22 bytes a row.
Each engine has a process of its own and one thread, and writes an atomic file; of the others those run that
are installed (pip install polars duckdb).  Takes a minute for 10 million rows; memory grows with the rows.
"""

import os
import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv
from support import call, clocked, parser, peak_memory

PART, CORE = 5_000_000, 5
HEADER = ("user_id:token", "item_id:token", "timestamp:float")
ENGINES = ("ours", "polars", "duckdb")


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--rows", type=int, default=10_000_000)
    arguments.add_argument("--form", choices=("parquet", "csv"), default="parquet")
    arguments.add_argument("--engines", nargs="+", choices=ENGINES, default=ENGINES)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), given.rows, given.form)
        for engine in given.engines:
            if engine != "ours" and find_spec(engine) is None:
                print(f"{engine}: not installed")
                continue
            found = call(measure, engine, folder, given.form, threads=1)
            print(
                f"{engine}: {found['seconds']:.1f} s ({found['cpu']:.1f} s of CPU), peak memory grows by "
                f"{found['growth'] / 1e6:,.0f} MB; left "
                "{:,} users, {:,} items, {:,} interactions".format(*found["left"]),
                flush=True,
            )


def write(folder: Path, rows: int, form: str) -> None:
    generator = np.random.default_rng(0)
    users, items = max(10, rows // 50), max(10, rows // 200)
    for start in range(0, rows, PART):
        count = min(PART, rows - start)
        table = {
            "uid": (users * generator.random(count) ** 2).astype(np.uint32),
            "item_id": (items * generator.random(count) ** 3).astype(np.uint32),
            "timestamp": np.arange(start, start + count, dtype=np.uint32),
            "played_ratio_pct": generator.integers(0, 110, count).astype(np.uint16),
        }
        if form == "parquet":
            pq.write_table(pa.table(table), folder / f"part-{start // PART}.parquet")
        else:
            with open(folder / "table.csv", "ab") as file:
                csv.write_csv(pa.table(table), file, csv.WriteOptions(include_header=not start))


def measure(engine: str, folder: str, form: str) -> dict:
    """Time, growth of the peak in bytes, and (users, items, interactions) of one engine."""
    work = {"ours": ours, "polars": by_polars, "duckdb": by_duckdb}[engine]
    before = peak_memory()
    source = Path(folder) if form == "parquet" else Path(folder) / "table.csv"
    done = clocked(lambda: work(source, Path(folder) / f"{engine}.inter"))
    growth = peak_memory() - before
    return {"seconds": done.seconds, "cpu": done.cpu, "growth": growth, "left": done.value}


def ours(source: Path, target: Path) -> tuple[int, int, int]:
    from dataset_tools.formats.atomic import write_columns
    from dataset_tools.formats.text_file import BadRows
    from dataset_tools.operations import table_rows
    from dataset_tools.operations.conditions import Condition
    from dataset_tools.operations.filtering import k_core, merge

    roles = table_rows.roles((), "uid", "item_id", None, "timestamp")
    reader = table_rows.Reader(roles, condition=Condition("played_ratio_pct >= 50"))
    found = k_core(merge(reader.read([source], [], BadRows(False)))[0], CORE)
    write_columns(target, found.header(), found.columns_of_text())
    return len(found.users), len(found.items), len(found)


def by_polars(source: Path, target: Path) -> tuple[int, int, int]:
    os.environ["POLARS_MAX_THREADS"] = "1"
    import polars as pl

    rows = pl.scan_parquet(source / "*.parquet") if source.is_dir() else pl.scan_csv(source)
    rows = rows.filter(pl.col("played_ratio_pct") >= 50)
    found = rows.group_by("uid", "item_id").agg(pl.col("timestamp").min()).collect(engine="streaming")
    while True:
        size = len(found)
        for column in ("uid", "item_id"):
            found = found.filter(pl.len().over(column) >= CORE)
        if len(found) == size:
            break
    found.columns = HEADER
    found.write_csv(target, separator="\t")
    return found[HEADER[0]].n_unique(), found[HEADER[1]].n_unique(), size


def by_duckdb(source: Path, target: Path) -> tuple[int, int, int]:
    import duckdb

    db = duckdb.connect()
    db.execute("SET threads = 1")
    files = source / "*.parquet" if source.is_dir() else source
    db.execute(
        f"CREATE TABLE found AS SELECT uid, item_id, min(timestamp) AS timestamp "  # nosec B608 # our own folder
        f"FROM '{files}' WHERE played_ratio_pct >= 50 GROUP BY uid, item_id"
    )
    size = -1
    while size != (size := db.execute("SELECT count(*) FROM found").fetchall()[0][0]):
        for column in ("uid", "item_id"):
            db.execute(
                f"CREATE OR REPLACE TABLE found AS SELECT * FROM found WHERE {column} IN "  # nosec B608 # as above
                f"(SELECT {column} FROM found GROUP BY {column} HAVING count(*) >= {CORE})"
            )
    db.execute(f"COPY found TO '{target}' (DELIMITER '\t')")
    users, items = db.execute("SELECT count(DISTINCT uid), count(DISTINCT item_id) FROM found").fetchall()[0]
    return users, items, size


if __name__ == "__main__":
    main()
