"""Which engine reads and filters a large table and cuts it to its 5-core fastest, and in how much memory?

    python benchmarks/read_tables.py [--rows 10000000] [--engines ours polars duckdb]

Prints, per engine, seconds, seconds of CPU, the peak of memory, and what is left: all engines must agree.

Reads nothing: writes a folder of Parquet like Yambda's listens (user, item, time, share of the track; a
user's number of rows and an item's are skewed) to a temporary folder, 12 bytes a row.  Each engine has a
process of its own and one thread; of the others those run that are installed (pip install polars duckdb).
Takes under a minute for 10 million rows; memory grows with the rows.
"""

import os
import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from support import call, clocked, parser, peak_memory

PART, CORE = 5_000_000, 5
ENGINES = ("ours", "polars", "duckdb")


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--rows", type=int, default=10_000_000)
    arguments.add_argument("--engines", nargs="+", choices=ENGINES, default=ENGINES)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), given.rows)
        for engine in given.engines:
            if engine != "ours" and find_spec(engine) is None:
                print(f"{engine}: not installed")
                continue
            found = call(measure, engine, folder, threads=1)
            print(
                f"{engine}: {found['seconds']:.1f} s ({found['cpu']:.1f} s of CPU), peak memory grows by "
                f"{found['growth'] / 1e6:,.0f} MB; left "
                "{:,} users, {:,} items, {:,} interactions".format(*found["left"]),
                flush=True,
            )


def write(folder: Path, rows: int) -> None:
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
        pq.write_table(pa.table(table), folder / f"part-{start // PART}.parquet")


def measure(engine: str, folder: str) -> dict:
    """Time, growth of the peak in bytes, and (users, items, interactions) of one engine."""
    work = {"ours": ours, "polars": by_polars, "duckdb": by_duckdb}[engine]
    before = peak_memory()
    done = clocked(lambda: work(Path(folder)))
    growth = peak_memory() - before
    return {"seconds": done.seconds, "cpu": done.cpu, "growth": growth, "left": done.value}


def ours(folder: Path) -> tuple[int, int, int]:
    from dataset_tools.formats.text_file import BadRows
    from dataset_tools.operations import table_rows
    from dataset_tools.operations.conditions import Condition
    from dataset_tools.operations.filtering import k_core, merge

    roles = table_rows.roles((), "uid", "item_id", None, "timestamp")
    reader = table_rows.Reader(roles, condition=Condition("played_ratio_pct >= 50"))
    found = k_core(merge(reader.read([folder], [], BadRows(False)))[0], CORE)
    return len(found.users), len(found.items), len(found)


def by_polars(folder: Path) -> tuple[int, int, int]:
    os.environ["POLARS_MAX_THREADS"] = "1"
    import polars as pl

    rows = pl.scan_parquet(folder / "*.parquet").filter(pl.col("played_ratio_pct") >= 50)
    found = rows.group_by("uid", "item_id").agg(pl.col("timestamp").min()).collect(engine="streaming")
    while True:
        size = len(found)
        for column in ("uid", "item_id"):
            found = found.filter(pl.len().over(column) >= CORE)
        if len(found) == size:
            return found["uid"].n_unique(), found["item_id"].n_unique(), size


def by_duckdb(folder: Path) -> tuple[int, int, int]:
    import duckdb

    db = duckdb.connect()
    db.execute("SET threads = 1")
    db.execute(
        f"CREATE TABLE found AS SELECT uid, item_id, min(timestamp) AS timestamp "  # nosec B608 # our own folder
        f"FROM '{folder}/*.parquet' WHERE played_ratio_pct >= 50 GROUP BY uid, item_id"
    )
    size = -1
    while size != (size := db.execute("SELECT count(*) FROM found").fetchall()[0][0]):
        for column in ("uid", "item_id"):
            db.execute(
                f"CREATE OR REPLACE TABLE found AS SELECT * FROM found WHERE {column} IN "  # nosec B608 # as above
                f"(SELECT {column} FROM found GROUP BY {column} HAVING count(*) >= {CORE})"
            )
    users, items = db.execute("SELECT count(DISTINCT uid), count(DISTINCT item_id) FROM found").fetchall()[0]
    return users, items, size


if __name__ == "__main__":
    main()
