"""Seconds of one study of six short runs: `compare` as it shares out the cores, beside the two other ways.

    python benchmarks/compare_workers.py [--epochs 3] [--data-path dataset]

BPR and MICRO with three seeds each on ml-100k (prepared where it is missing), on the CPU: with the default
number of workers, one run after the other with 2 threads, and two at a time with 1 thread each.  The last
line is the ratio of the first time to the better of the other two.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from recbole_micro.studies import pool as pool_module
from recbole_micro.studies import results
from recbole_micro.studies import runs as runs_module

WAYS = {"one after the other, 2 threads": (1, 2), "two at a time, 1 thread each": (2, 1)}
DEFAULT = "compare by itself"


def seconds(action) -> float:
    """The wall-clock time of the action, which returns a table of runs that must all be finished."""
    start = time.perf_counter()
    table = action()
    elapsed = time.perf_counter() - start
    if not (table["status"] == "finished").all():
        raise SystemExit(f"A run failed: {table['error'].max()}")
    return elapsed


def pooled(runs: Sequence[runs_module.Run], out: Path, workers: int, threads: int):
    """Run the study with a chosen number of processes and threads; the table."""
    pool = pool_module.Pool(runs, out, workers, threads, pool_module.WORKER)
    pool.finish()
    return results.write_results(runs, out)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--data-path", default="dataset", metavar="DIR")
    args = parser.parse_args()
    options = {"dataset": "ml-100k", "epochs": args.epochs, "gpu_id": "", "data_path": args.data_path}
    runs = runs_module.grid(["BPR", "MICRO"], [1, 2, 3], **runs_module.read_options([], options))
    runs_module.check_runs(runs)
    times = {}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        pooled(runs[:1], out / "warm-up", 1, 2)  # the data set's files are in memory from here on
        times[DEFAULT] = seconds(lambda: pool_module.run_all(runs, out / "default"))
        for number, (name, (workers, threads)) in enumerate(WAYS.items()):
            times[name] = seconds(lambda p=out / str(number), w=workers, t=threads: pooled(runs, p, w, t))
    workers, threads = pool_module.share_cores(None, len(runs))
    print(f"6 runs (BPR, MICRO, 3 seeds) of {args.epochs} epochs on ml-100k; wall-clock seconds")
    for name, value in times.items():
        more = f" ({workers} at a time, {threads} thread(s) each)" if name == DEFAULT else ""
        print(f"{name + more:50} {value:7.1f}")
    print(f"ratio to the best of both {times[DEFAULT] / min(times[name] for name in WAYS):.2f}")


if __name__ == "__main__":
    main()
