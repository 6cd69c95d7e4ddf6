"""Does `compare` share out the cores as well as the better of two fixed ways?

    python benchmarks/compare_workers.py [--epochs 3] [--data-path dataset]

Prints the wall-clock seconds of six short runs, BPR and MICRO with three seeds each on ml-100k on the CPU:
with the default number of workers, one run after the other with 2 threads, and two at a time with 1 thread
each.  The last line is the ratio of the first time to the better of the other two.

Reads ml-100k below --data-path, prepared where it is missing.  Takes three minutes on two cores, on which
nothing else should run.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from support import clocked, parser

from recbole_micro.studies import runs as studied
from recbole_micro.studies.pool import WORKER, Pool, run_all, share_cores
from recbole_micro.studies.results import write_results

WAYS = {"one after the other, 2 threads": (1, 2), "two at a time, 1 thread each": (2, 1)}
DEFAULT = "compare by itself"


def seconds(action) -> float:
    """The wall-clock time of the action, which returns a table of runs that must all be finished."""
    done = clocked(action)
    if not (done.value["status"] == "finished").all():
        raise SystemExit(f"A run failed: {done.value['error'].max()}")
    return done.seconds


def pooled(runs: Sequence[studied.Run], out: Path, workers: int, threads: int):
    """Run the study with a chosen number of processes and threads; the table."""
    Pool(runs, out, workers, threads, WORKER).finish()
    return write_results(runs, out)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--epochs", type=int, default=3)
    arguments.add_argument("--data-path", default="dataset", metavar="DIR")
    given = arguments.parse_args()
    options = {"dataset": "ml-100k", "epochs": given.epochs, "gpu_id": "", "data_path": given.data_path}
    runs = studied.grid(["BPR", "MICRO"], [1, 2, 3], **studied.read_options([], options))
    studied.check_runs(runs)
    times = {}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        pooled(runs[:1], out / "warm-up", 1, 2)  # the data set's files are in memory from here on
        times[DEFAULT] = seconds(lambda: run_all(runs, out / "default"))
        for number, (name, (workers, threads)) in enumerate(WAYS.items()):
            times[name] = seconds(lambda p=out / str(number), w=workers, t=threads: pooled(runs, p, w, t))
    workers, threads = share_cores(None, len(runs))
    print(f"6 runs (BPR, MICRO, 3 seeds) of {given.epochs} epochs on ml-100k; wall-clock seconds")
    for name, value in times.items():
        more = f" ({workers} at a time, {threads} thread(s) each)" if name == DEFAULT else ""
        print(f"{name + more:50} {value:7.1f}")
    print(f"ratio to the best of both {times[DEFAULT] / min(times[name] for name in WAYS):.2f}")


if __name__ == "__main__":
    main()
