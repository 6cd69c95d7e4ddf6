"""Seconds of an epoch and of a full evaluation on Baby: MICRO beside RecBole's LightGCN.

    python benchmarks/speed.py [--epochs 5] [--threads 2] [--gpu-id 0] [--data-path dataset]

Same batch size, MICRO's shipped defaults, LightGCN with RecBole's plain negatives; medians and their ratio.
MICRO's evaluation includes rebuilding its graphs.  The data set is converted from `../shared/data/baby` where
it is not there (see baby.py).
"""

import argparse
import statistics
import time
from pathlib import Path

import torch
from baby import HERE, prepare
from recbole.data import create_dataset, data_preparation
from recbole.utils import get_model, get_trainer, init_seed

from recbole_micro import Config
from recbole_micro.options.config import own_command_line

MODELS = {"MICRO": {}, "LightGCN": {"train_neg_sample_args": {"distribution": "uniform"}}}


def ready(model: str, data_path: str, **options):
    """(trainer, train_data, test_data) of a model."""
    options = {"data_path": data_path, "gpu_id": "", "state": "ERROR", **options}
    with own_command_line({}):
        config = Config(model, "baby", config_dict=options)
    init_seed(config["seed"], config["reproducibility"])
    train_data, _, test_data = data_preparation(config, create_dataset(config))
    recommender = get_model(model)(config, train_data._dataset).to(config["device"])
    if config["train_neg_sample_args"]["dynamic"]:
        train_data.get_model(recommender)  # as Trainer.fit does
    trainer = get_trainer(config["MODEL_TYPE"], model)(config, recommender)
    trainer.eval_collector.data_collect(train_data)
    return trainer, train_data, test_data


def seconds(action) -> float:
    start = time.perf_counter()
    action()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--gpu-id", default="", metavar="ID", help="CUDA device (default: the CPU)")
    parser.add_argument("--data-path", default="dataset", metavar="DIR")
    parser.add_argument("--from", dest="source", default=HERE.parents[1] / "shared/data/baby", metavar="DIR")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    prepare(Path(args.source), Path(args.data_path))
    fixed = {"train_batch_size": 1024, "gpu_id": args.gpu_id}
    parts = {model: ready(model, args.data_path, **fixed, **own) for model, own in MODELS.items()}
    epoch, evaluation = ({model: [] for model in MODELS} for _ in range(2))
    for number in range(args.epochs + 1):  # the first is a warm-up
        for model, (trainer, train_data, test_data) in parts.items():
            times = (
                seconds(lambda t=trainer, d=train_data, n=number: t._train_epoch(d, n)),
                seconds(lambda t=trainer, d=test_data: t.evaluate(d, load_best_model=False)),
            )
            if number:
                epoch[model].append(times[0])
                evaluation[model].append(times[1])
    device = parts["MICRO"][0].device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {args.threads} thread(s)"
    print(f"{name}, batch 1024, medians of {args.epochs}, seconds")
    for name, table in (("epoch", epoch), ("evaluation", evaluation)):
        ours, theirs = (statistics.median(table[model]) for model in MODELS)
        print(f"{name:12} MICRO {ours:6.2f}   LightGCN {theirs:6.2f}   ratio {ours / theirs:.2f}")


if __name__ == "__main__":
    main()
