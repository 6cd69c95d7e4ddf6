"""What are features worth to each model on Baby (reconstructed features), and MMGCN's published quirks?

    python benchmarks/baby_ablations.py           train what is not there yet, then the table
    python benchmarks/baby_ablations.py --show    the table of what is there

Prints validation Recall@20 (seed 1) of every model that reads features, at its best setting, with the items'
own features and with features exchanged among the items; and of MMGCN with plain negatives, one change at a
time.

Reads ../shared/data/baby (or --from DIR) and converts it once into --data-path; --show reads only
benchmarks/results/, where trainings are kept in baby_ablations.csv.  A training takes from two minutes (VBPR)
to twenty (MICRO) of one CPU thread, all of them about two hours; --show takes seconds.
"""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
from baby_settings import TRIALS, best_settings
from baby_training import NAME, Job, add_arguments, add_device, prepare, train_missing
from support import RESULTS, markdown, parser, text_of

ABLATIONS = RESULTS / "baby_ablations.csv"
SHUFFLED = "features of other items"  # every modality's vectors, exchanged among the items
FOLDER = "shuffled"
READ_FEATURES = ("VBPR", "MMGCN", "GRCN", "BM3", "LATTICE", "FREEDOM", "MICRO")
MMGCNS = {"learning_rate": 5e-4, "stopping_step": 7}  # batch 2048, plain negatives
CHANGES = ({}, {"train_id": False}, {"concat": False}, {"learning_rate": 1e-4}, {"latent": 0})


def jobs() -> list[Job]:
    """Each model at its best, and MMGCN one change at a time."""
    found = [Job("MMGCN, plain", "MMGCN", {**MMGCNS, **change}) for change in CHANGES]
    found += [Job(f"MMGCN, plain, {SHUFFLED}", "MMGCN", MMGCNS, folder=FOLDER)]
    return found + [
        Job(f"{model}, {SHUFFLED}", model, best_settings(model), folder=FOLDER) for model in READ_FEATURES
    ]


def shuffle(data_path: Path) -> None:
    """Copy the data set, once, and exchange the items' features, in all modalities alike."""
    import pyarrow.parquet as pq

    copy = data_path / FOLDER / NAME
    if not copy.exists():
        partial = copy.with_name("partial")
        shutil.copytree(data_path / NAME, partial, dirs_exist_ok=True)
        for path in partial.glob("*.parquet"):
            features = pq.read_table(path)
            order = np.random.default_rng(1).permutation(len(features))
            ids = features["item_id:token"].take(order)
            pq.write_table(features.set_column(0, features.schema.field(0), ids), path)
        partial.rename(copy)


def table() -> str:
    """A line per model and setting, with the items' own features and with those of others."""
    key, score = ["model", "settings"], "valid R@20"
    found = pd.read_csv(ABLATIONS)
    shuffled = found.row.str.contains(SHUFFLED)
    own = pd.concat([found[~shuffled], pd.read_csv(TRIALS)]).drop_duplicates(key).set_index(key)[score]
    others = found[shuffled].set_index(key)[score]
    best = {model: text_of(best_settings(model)) for model in READ_FEATURES}
    lines = []
    for model, settings in found[key].drop_duplicates().itertuples(index=False):
        values = (
            f"{part[model, settings]:.4f}" if (model, settings) in part else "" for part in (own, others)
        )
        lines.append((model, "as in the table above" if settings == best[model] else settings, *values))
    return markdown(("model", "settings", "own features", SHUFFLED), lines)


def main() -> None:
    arguments = parser(__doc__)
    add_arguments(arguments)
    add_device(arguments)
    given = arguments.parse_args()
    if not given.show:
        prepare(given.source, given.data_path)
        shuffle(given.data_path)
        train_missing(ABLATIONS, jobs(), given.data_path, given.gpu_id)
    print(f"Validation Recall@20, one seed.\n\n{table()}")


if __name__ == "__main__":
    main()
