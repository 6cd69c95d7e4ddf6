"""Do one model's shipped settings travel to data that they were not chosen on alone?

    python benchmarks/travel.py [--rows MICRO ...] [--sets microlens ...]    train what is not there yet
    python benchmarks/travel.py --show                                      the table of what is there

Every row trains with one set of settings on every data set: Baby (reconstructed features, random split), the
artists of Last.fm (lfm2k, real vectors, random split), MicroLens (reconstructed features and titles, the last
item of each user is tested) and MovieLens 100K (titles and genres, random split).  Prints validation
Recall@20, by which settings are chosen, the test metrics under the paper's mask, and the epoch.

Reads ../shared/data and converts it once into --data-path; trainings are kept in
benchmarks/results/travel_runs.csv.  A training takes 10 seconds (EASEKNN) to an hour (FREEDOM on MicroLens)
of one CPU thread.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from baby_training import Job, add_device, columns_of, run_job
from support import RESULTS, SHARED, finished, keep, kept, markdown, parser, text_of

RUNS = RESULTS / "travel_runs.csv"
# And the layout that each comes in; RecBole brings ml-100k.
SETS = {"baby": "micro", "lfm2k": "mmrec", "microlens": "micro", "ml-100k": ""}
MMREC = {"learning_rate": 1e-3, "train_batch_size": 2048, "edge_dropout": 0.8, "reg_weight": 1e-3}
ROWS = {
    "MICRO": ("MICRO", {}),
    "MICRO, text alone": ("MICRO", {"modalities": ["textual"]}),
    "MICRO, text alone (MiniLM)": ("MICRO", {"modalities": ["all-MiniLM-L6-v2"]}),
    "MICRO, text alone (wordllama)": ("MICRO", {"modalities": ["textual_wordllama256"]}),
    "MICRO, vectors alone": ("MICRO", {"walk_weight": 0.0}),
    "vectors alone, own items left out": ("MICRO", {"walk_weight": 0.0, "history_weight": 0.0}),
    "vectors alone, no bias of the items": ("MICRO", {"walk_weight": 0.0, "item_bias": False}),
    "vectors alone, the paper's attention": ("MICRO", {"walk_weight": 0.0, "support_power": 0.0}),
    "vectors alone, text alone": ("MICRO", {"walk_weight": 0.0, "modalities": ["textual"]}),
    "MICRO by BPR, tuned on Baby": ("MICRO", {"preset": "bpr"}),
    "EASEKNN": ("EASEKNN", {}),
    "EASE": ("EASEKNN", {"knn_weight": 0.0, "modality_weights": {}}),
    "FREEDOM as in MMRec": ("FREEDOM", MMREC),
    "LightGCN tuned on Baby": (
        "LightGCN",
        {
            "learning_rate": 4e-3,
            "relative_weight_decay": 1.186,
            "train_batch_size": 4096,
            "train_neg_sample_args": {"distribution": "uniform", "dynamic": True, "candidate_num": 4},
        },
    ),
}
METRICS = ("valid R@20", "paper R@20", "paper N@20")


def add_arguments(arguments: argparse.ArgumentParser, sets: list[str]) -> None:
    """Which of these data sets, where they are, on which device, and that nothing is to be trained."""
    arguments.add_argument("--sets", nargs="+", choices=sets, default=sets, metavar="SET")
    arguments.add_argument("--data-path", type=Path, default=Path("dataset"), metavar="DIR")
    arguments.add_argument("--show", action="store_true", help="train nothing")
    add_device(arguments)


def prepare(name: str, data_path: Path) -> str:
    """The name of a converted data set, for which no model has defaults of its own."""
    if not SETS[name]:
        return name
    untuned = f"{name}-untuned"
    if not (data_path / untuned / f"{untuned}.train.inter").exists():
        command = ["convert", SETS[name], "--from", str(SHARED / name), "--name", untuned]
        whole = [sys.executable, "-m", "dataset_tools", *command, "--data-path", str(data_path)]
        subprocess.run(whole, check=True)  # nosec B603 # this Python and a module of ours, without a shell
    return untuned


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW")
    arguments.add_argument("--seeds", nargs="+", type=int, default=[2020], metavar="SEED")
    add_arguments(arguments, list(SETS))
    given = arguments.parse_args()
    for name in [] if given.show else given.sets:
        folder = prepare(name, given.data_path)
        for seed in given.seeds:
            for row in given.rows:
                model, settings = ROWS[row]
                job = Job(row, model, settings, seed, dataset=folder)
                known = {"set": name, "row": row, "settings": text_of(settings), "seed": seed}
                if not finished(RUNS, known):
                    scores, costs = run_job(job, given.data_path, given.gpu_id, test=True)
                    keep(RUNS, {"set": name} | columns_of(job) | scores | costs)
    show()


def show() -> None:
    """Print a table for each data set, the best on validation first."""
    runs = kept(RUNS)
    for name in SETS if len(runs) else ():
        here = runs[runs["set"] == name].astype(dict.fromkeys((*METRICS, "seconds"), float))
        groups = here.groupby("row")
        mean = groups[[*METRICS, "best epoch", "epochs", "seconds"]].mean()
        mean["seeds"] = groups.size()
        mean = mean.sort_values("valid R@20", ascending=False)
        lines = [
            (row, *(f"{line[m]:.4f}" for m in METRICS), *(f"{line[c]:.0f}" for c in mean.columns[3:]))
            for row, line in mean.iterrows()
        ]
        print(f"\n{name}\n\n{markdown(('model', *mean.columns), lines)}")


if __name__ == "__main__":
    main()
