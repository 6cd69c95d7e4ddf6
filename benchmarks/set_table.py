"""Who is best on Last.fm, MicroLens and MovieLens with as many settings tried of every model?

    python benchmarks/set_table.py [--sets lfm2k ...] [--models MICRO ...]    what is not there yet
    python benchmarks/set_table.py --show                                    the tables of what is there

Tries the same number of settings of every model at seed 1, takes the best on validation (Recall@20), and
trains that at three seeds.  Prints their test metrics, mean and 95 % interval.

Reads ../shared/data and converts it once into --data-path; every training is kept in
benchmarks/results/set_trials.csv and set_runs.csv as soon as it is finished.  A training takes a minute
(ml-100k, lfm2k) to an hour (MicroLens) of one CPU thread.
"""

from pathlib import Path

import pandas as pd
from baby_settings import NEWER, OF_FOUR, UNIFORM, one_by_one
from baby_training import Job, add_device, columns_of, run_job
from scipy import stats
from support import RESULTS, finished, keep, kept, markdown, parser, text_of
from travel import prepare

TRIALS, RUNS = RESULTS / "set_trials.csv", RESULTS / "set_runs.csv"
SETS = ("lfm2k", "microlens", "ml-100k")
SEEDS = (1, 2, 3)
SHORT = {"epochs": 60, "eval_step": 2, "stopping_step": 4}
GRAPHS = {**SHORT, "learning_rate": 2e-3, "relative_weight_decay": 1.0, "train_neg_sample_args": OF_FOUR}
OTHERS = one_by_one(train_neg_sample_args=[UNIFORM], relative_weight_decay=[0.3])
MMREC = {**SHORT, "learning_rate": 1e-3, "train_batch_size": 2048, "edge_dropout": 0.8, "reg_weight": 1e-3}
SETTINGS = {
    "MICRO": [
        {},
        *one_by_one(
            score_tau=[0.15, 0.25], item_bias=[False], history_weight=[0.0], relative_weight_decay=[0.3]
        ),
    ],
    "FREEDOM": [
        MMREC,
        *(
            {**GRAPHS, "train_batch_size": 2048, "edge_dropout": 0.0, "reg_weight": 1e-3, **change}
            for change in ({}, *OTHERS, {"edge_dropout": 0.8}, {"reg_weight": 0.0})
        ),
    ],
    "LATTICE": [
        {**GRAPHS, "train_batch_size": 2048, "adjacency": "symmetric", "reg_weight": 0.0, **change}
        for change in (
            {},
            *OTHERS,
            {"lambda_coeff": 0.4, "n_item_layers": 2},
            {"lambda_coeff": 0.4, "n_item_layers": 2, "knn_k": 20},
            {"learning_rate": 4e-3},
        )
    ],
    "LightGCN": [
        {**GRAPHS, "learning_rate": 4e-3, "train_batch_size": 4096, **change}
        for change in ({}, *OTHERS, {"n_layers": 3}, {"learning_rate": 2e-3}, {"relative_weight_decay": 2.0})
    ],
    **NEWER,
    "EASEKNN": [{}, *one_by_one(reg_weight=[100.0, 1000.0], knn_weight=[0.2, 0.7], knn_k=[50])],
}
METRICS = ("recbole R@20", "recbole N@20", "paper R@20", "paper N@20")


def best_settings(name: str, model: str) -> dict:
    """The best of a model's trials on a set by validation."""
    trials = kept(TRIALS)
    asked = {text_of(settings) for settings in SETTINGS[model]}
    found = trials[(trials["set"] == name) & (trials["row"] == model) & trials["settings"].isin(asked)]
    best = found.loc[found["valid R@20"].astype(float).idxmax(), "settings"]
    return next(settings for settings in SETTINGS[model] if text_of(settings) == best)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--sets", nargs="+", choices=SETS, default=["lfm2k", "ml-100k"], metavar="SET")
    arguments.add_argument("--models", nargs="+", choices=SETTINGS, default=list(SETTINGS), metavar="MODEL")
    arguments.add_argument("--data-path", type=Path, default=Path("dataset"), metavar="DIR")
    arguments.add_argument("--show", action="store_true", help="train nothing")
    add_device(arguments)
    given = arguments.parse_args()
    for name in [] if given.show else given.sets:
        folder = prepare(name, given.data_path)
        for model in given.models:
            jobs = [Job(model, model, settings, 1, dataset=folder) for settings in SETTINGS[model]]
            train(TRIALS, name, jobs, given, test=False)
            best = best_settings(name, model)
            train(
                RUNS,
                name,
                [Job(model, model, best, seed, dataset=folder) for seed in SEEDS],
                given,
                test=True,
            )
    show()


def train(file: Path, name: str, jobs: list[Job], given, test: bool) -> None:
    """Keep the trainings that a file does not have yet."""
    for job in jobs:
        key = {"set": name, "row": job.row, "settings": text_of(job.settings), "seed": job.seed}
        if not finished(file, key):
            scores, _ = run_job(job, given.data_path, given.gpu_id, test)
            keep(file, {"set": name} | columns_of(job) | scores)


def show() -> None:
    """Print a table for each data set, best on validation first."""
    runs, trials = kept(RUNS), kept(TRIALS)
    for name in SETS if len(runs) else ():
        lines = []
        for model, rows in runs[runs["set"] == name].groupby("row"):
            values = rows[["valid R@20", *METRICS]].astype(float)
            wide = [interval(values[metric]) for metric in METRICS]
            tried = trials[(trials["set"] == name) & (trials["row"] == model)]
            best = tried["valid R@20"].astype(float).max()
            lines.append((best, (model, len(tried), f"{best:.4f}", len(rows), *wide)))
        lines.sort(key=lambda line: -line[0])
        if lines:
            head = ("model", "settings tried", "valid R@20, best", "seeds", *METRICS)
            print(f"\n{name}\n\n{markdown(head, [line for _, line in lines])}")


def interval(values: pd.Series) -> str:
    """Mean and half of the 95 % interval (Student's t) of a few seeds."""
    if len(values) < 2:
        return f"{values.mean():.4f}"
    half = stats.t.ppf(0.975, len(values) - 1) * values.std() / len(values) ** 0.5
    return f"{values.mean():.4f} ± {half:.4f}"


if __name__ == "__main__":
    main()
