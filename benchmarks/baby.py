"""MICRO beside RecBole's BPR, LightGCN and its own plain backbones on Amazon Baby (reconstructed features).

    python benchmarks/baby.py                          every row of the table, 3 seeds, then the table
    python benchmarks/baby.py --rows MICRO --seeds 1   some rows
    python benchmarks/baby.py --trials                 the settings tried, validation only, appended to a CSV
    python benchmarks/baby.py --show                   the table of what is there

Reads `../shared/data/baby` (or --from DIR), converts it once into --data-path.  Each training runs in a
process of its own; finished ones are kept in benchmarks/baby_runs.csv and benchmarks/baby_trials.csv and not
repeated.  Settings of the other models are the best on validation among those in baby_trials.csv; MICRO's
are the shipped defaults.
"""

import argparse
import itertools
import json
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd

HERE = Path(__file__).parent
RUNS, TRIALS = HERE / "baby_runs.csv", HERE / "baby_trials.csv"
PLAIN = {"knn_k": 0, "edge_dropout": 0.0, "beta": 0.0}
ROWS = {
    "BPR (RecBole)": ("BPR", {"learning_rate": 1e-3, "weight_decay": 1e-6}),
    "LightGCN (RecBole)": ("LightGCN", {"learning_rate": 1e-3, "n_layers": 2, "reg_weight": 1e-4}),
    "backbone, symmetric": ("MICRO", {**PLAIN, "adjacency": "symmetric"}),
    "backbone, mean": ("MICRO", {**PLAIN, "adjacency": "mean"}),
    "backbone, mean with self loops": ("MICRO", {**PLAIN, "adjacency": "mean_self_loop"}),
    "backbone, symmetric, edge_dropout": ("MICRO", {"knn_k": 0, "beta": 0.0, "adjacency": "symmetric"}),
    "MICRO": ("MICRO", {}),
}


def trials() -> list[tuple[str, dict]]:
    """(model, settings) of the search: LightGCN on a grid, MICRO one change at a time around its defaults."""
    grid = itertools.product([5e-4, 1e-3, 2e-3], [1e-5, 1e-4, 1e-3], [2, 3])
    lightgcn = [{"learning_rate": lr, "reg_weight": reg, "n_layers": layers} for lr, reg, layers in grid]
    changes = {
        "learning_rate": [1e-3, 2e-3],
        "edge_dropout": [0.8, 0.9, 0.95],
        "n_item_layers": [1, 2, 3],
        "n_ui_layers": [2, 3],
        "beta": [0.03, 0.06, 0.2],
        "tau": [0.2, 0.5],
        "reg_weight": [1e-4, 1e-3, 1e-2],
        "lambda_coeff": [0.4, 0.7, 0.9],
        "graph_learning": ["first_batch", "edges", "off"],
    }
    micro = [{name: value} for name, values in changes.items() for value in values]
    return [("LightGCN", settings) for settings in lightgcn] + [("MICRO", settings) for settings in micro]


def train(model: str, settings: dict, seed: int, data_path: str, validation_only: bool) -> dict:
    """One training through RecBole's trainer; both maskings from one checkpoint."""
    import torch
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import get_model, get_trainer, init_seed

    from recbole_micro import Config, protocol

    options = {"data_path": data_path, "seed": seed, "gpu_id": "", "state": "ERROR", "show_progress": False}
    config = Config(model, "baby", config_dict={**options, **settings})
    init_seed(config["seed"], config["reproducibility"])
    train_data, valid_data, test_data = data_preparation(config, create_dataset(config))
    init_seed(config["seed"], config["reproducibility"])
    start = time.perf_counter()
    recommender = get_model(model)(config, train_data._dataset)
    trainer = get_trainer(config["MODEL_TYPE"], model)(config, recommender)
    looks = []
    trainer.fit(train_data, valid_data, verbose=False, callback_fn=lambda epoch, score: looks.append(score))
    seconds, epochs = time.perf_counter() - start, max(trainer.train_loss_dict) + 1
    row = {
        "valid R@20": trainer.best_valid_score,
        "best epoch": (looks.index(max(looks)) + 1) * trainer.eval_step,
    }
    row |= {"epochs": epochs, "seconds": round(seconds), "threads": torch.get_num_threads()}
    if not validation_only:
        trainer.evaluate(test_data, load_best_model=True)
        for name in protocol.PROTOCOLS:
            result = protocol.evaluate(trainer, test_data, name)
            row |= {f"{name} R@20": result["recall@20"], f"{name} N@20": result["ndcg@20"]}
    return row


def in_a_process(name, model, settings, seed, args) -> dict:
    """Run `train` in a new process and return its row."""
    job = json.dumps([model, settings, seed, str(Path(args.data_path).resolve()), args.trials])
    command = [sys.executable, "-W", "ignore", __file__, "--job", job]
    print(f"{name}, seed {seed} ...", flush=True)
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    row = json.loads(printed.strip().splitlines()[-1])
    return {"row": name, "model": model, "settings": json.dumps(settings), "seed": seed, **row}


def keep(path: Path, row: dict) -> None:
    pd.DataFrame([row]).to_csv(path, mode="a", header=not path.exists(), index=False)


def finished(path: Path, model: str, settings: dict, seed: int) -> bool:
    if not path.exists():
        return False
    done = pd.read_csv(path)
    same = (done.model == model) & (done.settings == json.dumps(settings)) & (done.seed == seed)
    return bool(same.any())


def show() -> None:
    """Mean and standard deviation over the seeds, and the ratio to the best row that reads no features."""
    runs = pd.read_csv(RUNS)
    metrics = [column for column in runs if column.endswith("@20")]
    groups = runs.groupby("row")[[*metrics, "best epoch", "epochs", "seconds"]]
    mean, spread, seeds = groups.mean(), groups.std(), groups.size()
    print("\nBaby, reconstructed features; selection on validation Recall@20; mean and (std) over the seeds")
    print(f"{'':36}{'seeds':>6}" + "".join(f"{m:>20}" for m in metrics) + f"{'epochs':>8}{'seconds':>9}")
    for row in [name for name in ROWS if name in mean.index]:
        cells = "".join(f"{mean.loc[row, m]:>11.4f} ({spread.loc[row, m]:.4f})" for m in metrics)
        tail = f"{mean.loc[row, 'epochs']:>8.0f}{mean.loc[row, 'seconds']:>9.0f}"
        print(f"{row:36}{seeds[row]:>6}{cells}{tail}")
    if "MICRO" in mean.index and len(mean) > 1:
        others = mean.drop(index="MICRO")["paper R@20"]
        print(
            f"MICRO / {others.idxmax()}: {mean.loc['MICRO', 'paper R@20'] / others.max():.3f} x (paper R@20)"
        )


def prepare(source: Path, data_path: Path) -> None:
    """Convert the JSON layout once."""
    if (data_path / "baby" / "baby.train.inter").exists():
        return
    command = ["convert", "micro", "--from", str(source), "--name", "baby", "--data-path", str(data_path)]
    subprocess.run([sys.executable, "-m", "dataset_tools", *command], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--from", dest="source", default=HERE.parents[1] / "shared/data/baby", metavar="DIR")
    parser.add_argument("--data-path", default="dataset", metavar="DIR")
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS), metavar="ROW")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", action="store_true")
    parser.add_argument("--show", action="store_true")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.job:
        print(json.dumps(train(*json.loads(args.job))))
        return
    if args.show:
        show()
        return
    prepare(Path(args.source), Path(args.data_path))
    if args.trials:
        jobs, path = [(f"trial {n}", *trial, 1) for n, trial in enumerate(trials())], TRIALS
    else:
        jobs, path = [(row, *ROWS[row], seed) for seed in range(1, args.seeds + 1) for row in args.rows], RUNS
    for name, model, settings, seed in jobs:
        if not finished(path, model, settings, seed):
            keep(path, in_a_process(name, model, settings, seed, args))
    if not args.trials:
        show()


if __name__ == "__main__":
    main()
