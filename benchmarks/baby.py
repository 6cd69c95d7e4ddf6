"""Every model on Amazon Baby (reconstructed features): settings tried on validation, then the table.

    python benchmarks/baby.py --trials [--models BPR ...]   the settings, seed 1, validation set only
    python benchmarks/baby.py [--rows MICRO ...]            the rows of the table, 3 seeds, then the table
    python benchmarks/baby.py --costs [--rows MICRO ...]    seconds of an epoch and memory of those rows
    python benchmarks/baby.py --ablations                   what features and published quirks are worth
    python benchmarks/baby.py --show                        the table of what is there

Reads `../shared/data/baby` (or --from DIR), converts it once into --data-path.  Each training runs in a
process of its own with one thread, on the CPU or on a CUDA device (--gpu-id 0); finished ones are kept in
benchmarks/baby_*.csv and not repeated, so several sittings add up.  MICRO's settings in the table are the
shipped defaults, those of every other model the best on validation among its trials.  Costs are measured
apart, on the CPU: three epochs and one evaluation, with nothing else running.
"""

import argparse
import json
import math
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from baby_settings import CENTRE, NO_EVIDENCE, NO_FEATURES, ROWS, SETTINGS
from kept import finished, keep

from recbole_micro import options

HERE = Path(__file__).resolve().parent
RUNS, TRIALS, ABLATIONS, COSTS = (
    HERE / f"baby_{kind}.csv" for kind in ("runs", "trials", "ablations", "costs")
)
COST = ["epoch, CPU s", "peak MB"]
SHUFFLED = "features of other items"  # every modality's vectors, exchanged among the items
READ_FEATURES = ("VBPR", "MMGCN", "GRCN", "BM3", "LATTICE", "FREEDOM", "MICRO")
MMGCNS = {"learning_rate": 5e-4, "stopping_step": 7}  # batch 2048, plain negatives


def ablations() -> list[tuple[str, str, dict]]:
    """(what, model, settings): each model at its best, and MMGCN one change at a time."""
    changes = ({}, {"train_id": False}, {"concat": False}, {"learning_rate": 1e-4}, {"latent": 0})
    found = [("MMGCN, plain", "MMGCN", {**MMGCNS, **change}) for change in changes]
    found += [(f"MMGCN, plain, {SHUFFLED}", "MMGCN", MMGCNS)]
    return found + [(f"{model}, {SHUFFLED}", model, best_settings(model)) for model in READ_FEATURES]


def train(
    model: str, settings: dict, seed: int, data_path: str, validation_only: bool, gpu_id: str = ""
) -> dict:
    """One training through RecBole's trainer; both maskings from one checkpoint."""
    import torch
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import get_model, get_trainer, init_seed

    from recbole_micro import Config
    from recbole_micro.evaluation import protocol

    # Baby's defaults for single models come from these trials: here, settings are told in full.
    options.data_defaults = lambda model, dataset: {}
    fixed = {"data_path": data_path, "seed": seed, "gpu_id": gpu_id, "state": "ERROR", "show_progress": False}
    config = Config(model, "baby", config_dict={**fixed, **settings})
    init_seed(config["seed"], config["reproducibility"])
    train_data, valid_data, test_data = data_preparation(config, create_dataset(config))
    init_seed(config["seed"], config["reproducibility"])
    start = time.perf_counter()
    recommender = get_model(model)(config, train_data._dataset).to(config["device"])
    trainer = get_trainer(config["MODEL_TYPE"], model)(config, recommender)
    looks, epochs = [], []
    one_epoch = trainer._train_epoch

    def timed_epoch(*arguments, **more):
        began = time.process_time()
        try:
            return one_epoch(*arguments, **more)
        finally:
            epochs.append(time.process_time() - began)

    trainer._train_epoch = timed_epoch
    trainer.fit(train_data, valid_data, verbose=False, callback_fn=lambda epoch, score: looks.append(score))
    row = {
        "valid R@20": trainer.best_valid_score,
        "best epoch": (looks.index(max(looks)) + 1) * trainer.eval_step,
        "epochs": len(epochs),
        "seconds": round(time.perf_counter() - start),
        "threads": torch.get_num_threads(),
    }
    if not validation_only:
        trainer.evaluate(test_data, load_best_model=True)
        for name in protocol.PROTOCOLS:
            result = protocol.evaluate(trainer, test_data, name)
            row |= {f"{name} R@20": result["recall@20"], f"{name} N@20": result["ndcg@20"]}
    os.remove(trainer.saved_model_file)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    row |= dict(zip(COST, (round(statistics.median(epochs), 2), peak), strict=True))
    on_cuda = config["device"].type == "cuda"
    return row | {"device": torch.cuda.get_device_name() if on_cuda else "CPU"}


def text_of(settings: dict) -> str:
    """Settings as the tables have them: the same text for the same settings."""
    return json.dumps(settings, sort_keys=True)


def in_a_process(name, model, settings, seed, args) -> dict:
    """Run `train` in a new process and return its row."""
    data_path = Path(args.data_path).resolve() / ("shuffled" if SHUFFLED in name else "")
    validation_only = args.trials or args.ablations or args.costs
    given = settings | ({"epochs": 3, "eval_step": 3} if args.costs else {})
    job = json.dumps([model, given, seed, str(data_path), validation_only, args.gpu_id])
    command = [sys.executable, "-W", "ignore", str(HERE / "baby.py"), "--job", job]
    print(f"{name} {text_of(settings)}, seed {seed} ...", flush=True)
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:  # for RecBole's logs
        ran = subprocess.run(
            command, check=True, stdout=subprocess.PIPE, text=True, env=one_thread, cwd=folder
        )
    row = json.loads(ran.stdout.strip().splitlines()[-1])
    kept = {column: value for column, value in row.items() if (column in COST) == args.costs}
    return {"row": name, "model": model, "settings": text_of(settings), "seed": seed, **kept}


def best_settings(model: str) -> dict:
    """The best on validation among the trials of a model; for MICRO the shipped defaults."""
    if model == "MICRO":
        return CENTRE
    tried = pd.read_csv(TRIALS).query("row == @model")
    if len(tried) < len(SETTINGS[model]):
        missing = len(SETTINGS[model]) - len(tried)
        sys.exit(
            f"{model}: {missing} settings are not tried yet; run python benchmarks/baby.py --trials "
            f"--models {model}"
        )
    settings = json.loads(tried.loc[tried["valid R@20"].idxmax(), "settings"])
    settings.pop("epochs", None)  # where trials are cut short
    return settings


def show() -> None:
    """Mean and 95 % interval over the seeds, rank, cost; the ratio to the best row that reads no features."""
    from scipy.stats import t

    key = ["row", "settings"]
    asked = pd.DataFrame([(row, text_of(settings)) for row, (_, settings) in rows().items()], columns=key)
    runs = asked.merge(pd.read_csv(RUNS))
    metrics = [column for column in runs if column.endswith("@20")]
    groups = runs.groupby(key)
    mean, seeds = groups[[*metrics, "epochs"]].mean(), groups.size()
    half = groups[metrics].std().mul(t.ppf(0.975, seeds - 1) / seeds.pow(0.5), axis=0)
    mean = mean.join(pd.read_csv(COSTS).set_index(key)[COST])
    mean = mean.sort_values("paper R@20", ascending=False)
    print(
        "\nBaby, reconstructed features: test set, selection on validation Recall@20, mean ± 95 % interval "
        "over seeds.\nMasked at test: training and validation items (recbole), training items (paper).\n"
    )
    head = ["rank", "model", "seeds", *metrics, "epochs", *COST, "x MICRO"]
    costs = mean[COST[0]] / mean[COST[0]].get("MICRO").iloc[0]
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for rank, row in enumerate(mean.index, start=1):
        spread = (f" ± {half.loc[row, m]:.4f}" if seeds[row] > 1 else "" for m in metrics)
        cells = [f"{mean.loc[row, m]:.4f}{s}" for m, s in zip(metrics, spread, strict=True)]
        cost = (
            f"{mean.loc[row, 'epochs']:.0f}",
            f"{mean.loc[row, COST[0]]:.1f}",
            f"{mean.loc[row, COST[1]]:.0f}",
            f"{costs[row]:.2f}",
        )
        mark = "*" if row[0] in NO_EVIDENCE else ""
        print(f"| {' | '.join([str(rank), row[0] + mark, str(seeds[row]), *cells, *cost])} |")
    print("\n* reads raw feature vectors, which are reconstructed here: no evidence about the model.")
    recall = mean["paper R@20"]
    micro, others = (recall[recall.index.isin(rows, level="row")] for rows in (["MICRO"], NO_FEATURES))
    if len(micro) and len(others):
        ratio, best = micro.max() / others.max(), others.idxmax()[0]
        print(f"MICRO is {ratio:.3f} x the best model without features, {best} (paper R@20).")


def show_trials() -> None:
    """Settings tried and the best on validation; also what as many trials as FREEDOM had would have found."""
    scores = {row: sorted(tried["valid R@20"]) for row, tried in pd.read_csv(TRIALS).groupby("row")}
    fair = len(scores["FREEDOM"])
    print("\nSettings tried (validation Recall@20, one seed), expected best of as many as FREEDOM had.\n")
    print(f"| model | settings | best | expected best of {fair} |\n|---|---|---|---|")
    for row in sorted(scores, key=lambda row: -scores[row][-1]):
        expected = f"{best_of(fair, scores[row]):.4f}" if len(scores[row]) >= fair else ""
        print(f"| {row} | {len(scores[row])} | {scores[row][-1]:.4f} | {expected} |")


def show_ablations() -> None:
    """Validation Recall@20, one seed, with the items' own features and with those of others."""
    key, score = ["model", "settings"], "valid R@20"
    found = pd.read_csv(ABLATIONS)
    shuffled = found.row.str.contains(SHUFFLED)
    own = pd.concat([found[~shuffled], pd.read_csv(TRIALS)]).drop_duplicates(key).set_index(key)[score]
    others = found[shuffled].set_index(key)[score]
    best = {model: text_of(best_settings(model)) for model in READ_FEATURES}
    print(f"\nValidation Recall@20, one seed.\n\n| model | settings | own features | {SHUFFLED} |")
    print("|---|---|---|---|")
    for model, settings in found[key].drop_duplicates().itertuples(index=False):
        values = (
            f"{table[model, settings]:.4f}" if (model, settings) in table else "" for table in (own, others)
        )
        shown = "as in the table above" if settings == best[model] else settings
        print(f"| {model} | {shown} | {' | '.join(values)} |")


def best_of(n: int, scores: list[float]) -> float:
    """Mean of the largest over all choices of n of the ascending scores, without replacement."""
    choices = [math.comb(below, n - 1) for below in range(len(scores))]
    return sum(c * score for c, score in zip(choices, scores, strict=True)) / math.comb(len(scores), n)


def prepare(source: Path, data_path: Path) -> None:
    """Convert the JSON layout once."""
    if (data_path / "baby" / "baby.train.inter").exists():
        return
    command = ["convert", "micro", "--from", str(source), "--name", "baby", "--data-path", str(data_path)]
    subprocess.run([sys.executable, "-m", "dataset_tools", *command], check=True)


def shuffle(data_path: Path) -> None:
    """Copy the data set, once, and exchange the items' features, in all modalities alike."""
    import pyarrow.parquet as pq

    folder, copy = data_path / "baby", data_path / "shuffled" / "baby"
    if not copy.exists():
        partial = copy.with_name("partial")
        shutil.copytree(folder, partial, dirs_exist_ok=True)
        for path in partial.glob("*.parquet"):
            table = pq.read_table(path)
            ids = table["item_id:token"].take(np.random.default_rng(1).permutation(len(table)))
            pq.write_table(table.set_column(0, table.schema.field(0), ids), path)
        partial.rename(copy)


def rows(asked: Sequence[str] = tuple(ROWS)) -> dict[str, tuple[str, dict]]:
    """Model and settings of the rows of the table."""
    chosen = {row: ROWS[row] for row in ROWS if row in asked}
    return {row: (model, {**best_settings(model), **fixed}) for row, (model, fixed) in chosen.items()}


def jobs(args) -> list[tuple[str, str, dict, int]]:
    """(row, model, settings, seed) of what was asked for."""
    if args.trials:
        return [(model, model, settings, 1) for model in args.models for settings in SETTINGS[model]]
    if args.ablations:
        return [(*ablation, 1) for ablation in ablations()]
    seeds = 1 if args.costs else args.seeds
    return [(row, *what, seed) for seed in range(1, seeds + 1) for row, what in rows(args.rows).items()]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--from", dest="source", default=HERE.parents[1] / "shared/data/baby", metavar="DIR")
    parser.add_argument("--data-path", default="dataset", metavar="DIR")
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS), metavar="ROW")
    parser.add_argument(
        "--models", nargs="+", choices=list(SETTINGS), default=list(SETTINGS), metavar="MODEL"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--gpu-id", default="", metavar="ID", help="CUDA device (default: the CPU)")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--trials", action="store_true", help="try settings instead")
    instead.add_argument("--ablations", action="store_true", help="run the ablations instead")
    instead.add_argument("--costs", action="store_true", help="measure epochs and memory instead")
    instead.add_argument("--show", action="store_true", help="train nothing")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.costs and args.gpu_id:
        parser.error("--costs measures on the CPU: leave --gpu-id out")
    if args.job:
        print(json.dumps(train(*json.loads(args.job))))
        return
    if not args.show:
        prepare(Path(args.source), Path(args.data_path))
        if args.ablations:
            shuffle(Path(args.data_path))
        path = TRIALS if args.trials else ABLATIONS if args.ablations else COSTS if args.costs else RUNS
        for name, model, settings, seed in jobs(args):
            if not finished(path, {"row": name, "settings": text_of(settings), "seed": seed}):
                keep(path, in_a_process(name, model, settings, seed, args))
    show()
    show_trials()
    show_ablations()


if __name__ == "__main__":
    main()
