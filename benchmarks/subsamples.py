"""Does the unit of the weight decay mean the same on half of the users, and on half of the items?

    python benchmarks/subsamples.py [--sets baby ...] [--epochs 12]    train what is not there yet
    python benchmarks/subsamples.py --show                             the table of what is there

Trains MICRO with its shipped defaults but for `relative_weight_decay` (weight decay times the training
interactions: docs/models.md) at 0.3, 1 and 3, on each data set, on a random half of its users and on a random
half of its items, and prints the best validation Recall@20 of each.  A unit that travels has its best value
at the same place in a column.  The test sets are not read.

Reads ../shared/data and converts it once into --data-path, where the halves are written as well; rows are
kept in benchmarks/results/subsamples.csv.  Takes half an hour of one CPU thread, most of it for MicroLens.
"""

import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
from baby_training import Job, run_job
from support import RESULTS, finished, keep, kept, markdown, parser
from travel import SETS, add_arguments, prepare

RUNS = RESULTS / "subsamples.csv"
SPLIT = [name for name in SETS if SETS[name]]  # ml-100k is split anew by every run
PARTS = {"whole": "", "half of the users": "user_id:token", "half of the items": "item_id:token"}
DECAYS = (0.3, 1.0, 3.0)
SEED = 2020


def halved(name: str, column: str, data_path: Path) -> str:
    """The name of a data set with a random half of the ids of a column, in training, validation and test."""
    half = f"{name}-half-{column.partition('_')[0]}s"
    source, folder = data_path / name, data_path / half
    if folder.exists():
        return half
    part = data_path / f"{half}.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    files = {kind: source / f"{name}.{kind}.inter" for kind in ("train", "valid", "test")}
    tables = {kind: pd.read_csv(file, sep="\t", dtype=str) for kind, file in files.items()}
    ids = np.sort(tables["train"][column].unique())
    chosen = set(np.random.default_rng(SEED).permutation(ids)[: len(ids) // 2])
    left = {kind: table[table[column].isin(chosen)] for kind, table in tables.items()}
    users, items = (set(left["train"][side]) for side in ("user_id:token", "item_id:token"))
    for kind, table in left.items():
        known = table["user_id:token"].isin(users) & table["item_id:token"].isin(items)
        table[known].to_csv(part / f"{half}.{kind}.inter", sep="\t", index=False)
    for file in source.glob("*.parquet"):
        os.link(file, part / file.name.replace(name, half, 1))
    part.rename(folder)
    return half


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--epochs", type=int, default=12, help="of each training (default: %(default)s)")
    add_arguments(arguments, SPLIT)
    given = arguments.parse_args()
    for name in [] if given.show else given.sets:
        whole = prepare(name, given.data_path)
        for part, column in PARTS.items():
            folder = halved(whole, column, given.data_path) if column else whole
            for decay in DECAYS:
                known = {"set": name, "part": part, "relative_weight_decay": decay, "epochs": given.epochs}
                if finished(RUNS, known):
                    continue
                settings = {"relative_weight_decay": decay, "epochs": given.epochs}
                job = Job(f"{name}, {part}", "MICRO", settings, SEED, dataset=folder)
                scores, _ = run_job(job, given.data_path, given.gpu_id)
                keep(RUNS, known | scores)
    show()


def show() -> None:
    """Print a row for each part of each data set, a column for each weight decay."""
    runs = kept(RUNS)
    lines = []
    for (name, part), here in runs.groupby(["set", "part"], sort=False) if len(runs) else ():
        found = dict(zip(here["relative_weight_decay"].astype(float), here["valid R@20"], strict=True))
        cells = [f"{float(found[decay]):.4f}" if decay in found else "" for decay in DECAYS]
        lines.append((name, part, *cells))
    print(markdown(("data set", "part", *(f"relative_weight_decay {decay:g}" for decay in DECAYS)), lines))


if __name__ == "__main__":
    main()
