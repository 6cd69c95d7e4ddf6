"""Who is best on Last.fm, MicroLens and MovieLens with as many settings tried of every model?

    python benchmarks/set_table.py [--sets lfm2k ...] [--models MICRO ...]    what is not there yet
    python benchmarks/set_table.py --show                                    the tables of what is there

Tries the same number of settings of every model at seed 1, takes the best on validation (Recall@20), and
trains that at three seeds.  Prints their test metrics, mean and 95 % interval.

Reads ../shared/data and converts it once into --data-path; every training is kept in
benchmarks/results/set_trials.csv and set_runs.csv as soon as it is finished.  A training takes a minute
(ml-100k, lfm2k) to an hour (MicroLens) of one CPU thread.
"""

import itertools
import json
from pathlib import Path

import pandas as pd
from baby_training import Job, add_device, columns_of, run_job
from newer_settings import BOTH, CONTENTKNN, EASEKNN, MORE, OF_FOUR, one_by_one
from scipy import stats
from support import RESULTS, finished, keep, kept, markdown, parser, text_of
from travel import prepare

TRIALS, RUNS = RESULTS / "set_trials.csv", RESULTS / "set_runs.csv"
SETS = ("lfm2k", "microlens", "ml-100k")
SEEDS = (1, 2, 3)
SHORT = {"epochs": 60, "eval_step": 2, "stopping_step": 4}
GRAPHS = {**SHORT, "learning_rate": 2e-3, "relative_weight_decay": 1.0, "train_neg_sample_args": OF_FOUR}
MMREC = {**SHORT, "learning_rate": 1e-3, "train_batch_size": 2048, "edge_dropout": 0.8, "reg_weight": 1e-3}
SETTINGS = {
    "MICRO": [
        {},
        *(
            {"walk_weight": 0.0, **change}
            for change in (
                {},
                *one_by_one(
                    score_tau=[0.15, 0.25],
                    item_bias=[False],
                    history_weight=[0.0],
                    relative_weight_decay=[0.3],
                ),
            )
        ),
    ],
    "FREEDOM": [
        MMREC,
        *(
            {**GRAPHS, "train_batch_size": 2048, "edge_dropout": 0.0, "reg_weight": 1e-3, **change}
            for change in ({}, *BOTH, {"edge_dropout": 0.8}, {"reg_weight": 0.0})
        ),
    ],
    "LATTICE": [
        {**GRAPHS, "train_batch_size": 2048, "adjacency": "symmetric", "reg_weight": 0.0, **change}
        for change in (
            {},
            *BOTH,
            {"lambda_coeff": 0.4, "n_item_layers": 2},
            {"lambda_coeff": 0.4, "n_item_layers": 2, "knn_k": 20},
            {"learning_rate": 4e-3},
        )
    ],
    "LightGCN": [
        {**GRAPHS, "learning_rate": 4e-3, "train_batch_size": 4096, **change}
        for change in ({}, *BOTH, {"n_layers": 3}, {"learning_rate": 2e-3}, {"relative_weight_decay": 2.0})
    ],
    **MORE,
    "EASEKNN": EASEKNN,
    "ContentKNN": CONTENTKNN,
}
METRICS = ("recbole R@20", "recbole N@20", "paper R@20", "paper N@20")


def settings_of(name: str, model: str, most: int | None = None) -> list[dict]:
    """What is tried of a model on a set, in this order; of the closed forms, its modalities' weights."""
    found = SETTINGS[model]
    return (found[name] if isinstance(found, dict) else found)[:most]


def best_settings(name: str, model: str) -> dict:
    """The best of a model's trials on a set by validation."""
    trials = kept(TRIALS)
    found = trials[(trials["set"] == name) & (trials["row"] == model)]
    return json.loads(found.loc[found["valid R@20"].astype(float).idxmax(), "settings"])


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--sets", nargs="+", choices=SETS, default=["lfm2k", "ml-100k"], metavar="SET")
    arguments.add_argument("--models", nargs="+", choices=SETTINGS, default=list(SETTINGS), metavar="MODEL")
    arguments.add_argument("--trials", type=int, metavar="N", help="only the first N settings of every model")
    arguments.add_argument("--data-path", type=Path, default=Path("dataset"), metavar="DIR")
    arguments.add_argument("--show", action="store_true", help="train nothing")
    add_device(arguments)
    given = arguments.parse_args()
    for name, model in [] if given.show else itertools.product(given.sets, given.models):
        folder = prepare(name, given.data_path)
        tried = settings_of(name, model, given.trials)
        train(TRIALS, name, [Job(model, model, one, 1, dataset=folder) for one in tried], given, test=False)
        best = best_settings(name, model)
        jobs = [Job(model, model, best, seed, dataset=folder) for seed in SEEDS]
        train(RUNS, name, jobs, given, test=True)
    show()


def train(file: Path, name: str, jobs: list[Job], given, test: bool) -> None:
    """Keep the trainings that a file does not have yet."""
    for job in jobs:
        key = {"set": name, "row": job.row, "settings": text_of(job.settings), "seed": job.seed}
        if not finished(file, key):
            scores, _ = run_job(job, given.data_path, given.gpu_id, test)
            keep(file, {"set": name} | columns_of(job) | scores)


def show() -> None:
    """Print a table for each data set, best on validation first; without seeds, what is not trained yet."""
    runs, trials = kept(RUNS), kept(TRIALS)
    for name in SETS if len(trials) else ():
        lines = []
        for model, tried in trials[trials["set"] == name].groupby("row"):
            best = tried["valid R@20"].astype(float).max()
            key = {"set": name, "row": model, "settings": text_of(best_settings(name, model))}
            chosen = runs[(runs[list(key)] == pd.Series(key)).all(axis=1)]
            wide = [interval(chosen[metric].astype(float)) if len(chosen) else "" for metric in METRICS]
            lines.append((best, (model, len(tried), f"{best:.4f}", len(chosen), *wide)))
        if lines:
            lines.sort(key=lambda line: -line[0])
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
