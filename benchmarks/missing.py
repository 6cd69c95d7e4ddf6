"""What is left of Recall@20 on Baby where items lack their features?

    python benchmarks/missing.py [--only MICRO:0.4 LATTICE ...]      train what is not there yet
    python benchmarks/missing.py --gpu-id 0 --workers 8              eight trainings at a time
    python benchmarks/missing.py --show                              the tables of what is there, and the plot

Takes all features of 0, 20, 40, 60 and 80 % of the items away and trains MICRO, FREEDOM and LATTICE with what
such items get by default, `missing: mask`, or with another --missing.  Prints test Recall@20 under the
paper's mask, of all items, of those with features and of those without, each among all items.  The items are
the same for every model and seed, and those of a smaller share are among those of a larger one.

MICRO has its shipped defaults, FREEDOM and LATTICE the settings of properties/dataset/baby.yaml, the best on
Baby's validation set.  Reads ../shared/data/baby and converts it once into --data-path; finished trainings
are kept in benchmarks/results/missing_runs.csv, the plot in docs/images/missing.png.  A training is a process
with one thread and takes from ten minutes (FREEDOM) to an hour (LATTICE) of a CPU; --show takes seconds.
"""

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import product
from pathlib import Path

import pandas as pd
from baby_training import Job, add_arguments, add_device, columns_of, prepare, run_job
from support import RESULTS, ROOT, finished, keep, kept, markdown, parser, text_of

MODELS = ("MICRO", "FREEDOM", "LATTICE")
SHARES = (0.0, 0.2, 0.4, 0.6, 0.8)
CHOICES = ("mask", "zero", "mean", "neighbours")
PLOT = ROOT / "docs" / "images" / "missing.png"
ALL = "paper R@20"
MEASURED = {ALL: "all items", f"{ALL} complete": "items with features", f"{ALL} without": "items without"}


def point(text: str) -> tuple[str, tuple[float, ...]]:
    """`MODEL` or `MODEL:SHARE` as the model and its shares."""
    model, _, share = text.partition(":")
    if model not in MODELS or (share and (share not in map(str, SHARES))):
        raise argparse.ArgumentTypeError(f"{text} is none of {', '.join(MODELS)}, or such with :SHARE, :0.4")
    return model, (float(share),) if share else SHARES


def jobs(given: argparse.Namespace) -> list[tuple[dict, Job]]:
    """Every training that is asked for and not there yet, with its columns of the file."""
    from recbole_micro.options.defaults import data_defaults

    found = []
    for (model, shares), how, seed in product(given.only, given.missing, given.seeds):
        for share in shares:
            settings = {**data_defaults(model, "baby"), "missing_share": share, "missing": how}
            settings |= {"epochs": given.epochs} if given.epochs else {}
            job = Job(model, model, settings, seed)
            known = {"share": share, "missing": how}
            if not finished(given.out, {**columns_of(job), **known}):
                found.append((known, job))
    return found


def main() -> None:
    arguments = parser(__doc__)
    add_arguments(arguments)
    add_device(arguments)
    arguments.add_argument(
        "--only", nargs="+", type=point, default=[(m, SHARES) for m in MODELS], metavar="ROW"
    )
    arguments.add_argument("--missing", nargs="+", choices=CHOICES, default=["mask"], metavar="HOW")
    arguments.add_argument("--seeds", nargs="+", type=int, default=[2020], metavar="SEED")
    arguments.add_argument("--epochs", type=int, help="at most (default: each model's own)")
    arguments.add_argument("--workers", type=int, default=1, metavar="N", help="trainings at a time")
    arguments.add_argument("--out", type=Path, default=RESULTS / "missing_runs.csv", metavar="FILE")
    arguments.add_argument("--plot", type=Path, default=PLOT, metavar="FILE")
    given = arguments.parse_args()
    if not given.show:
        prepare(given.source, given.data_path)
        asked = jobs(given)
        with ThreadPoolExecutor(given.workers) as pool:
            started = {
                pool.submit(run_job, job, given.data_path, given.gpu_id, test=True): (known, job)
                for known, job in asked
            }
            for done in as_completed(started):
                known, job = started[done]
                if isinstance(done.exception(), SystemExit):
                    print(f"{job.row} {text_of(job.settings)}: {done.exception()}", file=sys.stderr)
                else:
                    scores, costs = done.result()
                    keep(given.out, known | columns_of(job) | scores | costs)
    show(given.out, given.plot)


def show(file: Path, plot: Path) -> None:
    """Print a table for all items, those with and those without features, and draw the first."""
    runs = kept(file)
    if runs.empty:
        return
    runs["row"] = runs["row"] + ", missing: " + runs["missing"]
    for column, what in MEASURED.items():
        runs[column] = pd.to_numeric(runs.get(column, default=pd.Series(dtype=float)))  # none without a share
        found = (
            runs[runs[column].notna()]
            .groupby(["row", "share"], sort=False)[column]
            .agg(["mean", "std", "size"])
        )
        table = found["mean"].unstack().sort_index(axis=1)
        lines = [
            (row, *("" if pd.isna(cell) else f"{cell:.4f}" for cell in line))
            for row, line in zip(table.index, table.to_numpy(), strict=True)
        ]
        shares = [f"{share:.0%}" for share in table.columns]
        seeds = "-".join(map(str, sorted({found["size"].min(), found["size"].max()})))
        print(
            f"\nTest Recall@20 of {what}, {seeds} seed(s)\n\n{markdown(('without features', *shares), lines)}"
        )
        if column == ALL:
            draw({row: part.droplevel("row") for row, part in found.groupby("row", sort=False)}, plot)


def draw(lines: dict[str, pd.DataFrame], path: Path) -> None:
    """A line per model over the share; prints the path of the picture."""
    from recbole_micro.studies import plots

    print(plots.sensitivity(lines, "share of items without features", "test Recall@20", path))


if __name__ == "__main__":
    main()
