"""One training on Baby in a process of its own, and the data set that it reads."""

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from support import SHARED, call, clocked, finished, keep, peak_memory, text_of

# Under this name no model has defaults that were tuned on Baby: here settings are told in full.
NAME = "baby-untuned"
COST = ("epoch, CPU s", "peak MB")


class Job(NamedTuple):
    """A training: the row it belongs to, and the folder of its data set below --data-path."""

    row: str
    model: str
    settings: dict
    seed: int = 1
    folder: str = ""
    dataset: str = NAME


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where the data are, and that nothing is to be trained."""
    add_data_arguments(parser)
    parser.add_argument("--show", action="store_true", help="train nothing")


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """Where the data are."""
    parser.add_argument(
        "--from", dest="source", type=Path, default=SHARED / "baby", metavar="DIR", help="Baby as downloaded"
    )
    parser.add_argument(
        "--data-path", type=Path, default=Path("dataset"), metavar="DIR", help="where it is converted to"
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    """On which device to train."""
    parser.add_argument("--gpu-id", default="", metavar="ID", help="CUDA device (default: the CPU)")


def prepare(source: Path, data_path: Path) -> None:
    """Convert the JSON layout once."""
    if (data_path / NAME / f"{NAME}.train.inter").exists():
        return
    command = ["convert", "micro", "--from", str(source), "--name", NAME, "--data-path", str(data_path)]
    whole = [sys.executable, "-m", "dataset_tools", *command]
    subprocess.run(whole, check=True)  # nosec B603 # this Python and a module of ours, without a shell


def train_missing(
    file: Path, jobs: Iterable[Job], data_path: Path, gpu_id: str = "", test: bool = False
) -> None:
    """Train, one after the other, what the file does not have yet; `test`: read the test set as well."""
    for job in jobs:
        if finished(file, {"row": job.row, "settings": text_of(job.settings), "seed": job.seed}):
            continue
        scores, _ = run_job(job, data_path, gpu_id, test)
        keep(file, columns_of(job) | scores)


def run_job(job: Job, data_path: Path, gpu_id: str = "", test: bool = False) -> tuple[dict, dict]:
    """(scores, costs) of a training in a process with one thread."""
    print(f"{job.row} {text_of(job.settings)}, seed {job.seed} ...", flush=True)
    fixed = {"data_path": str((data_path / job.folder).resolve()), "seed": job.seed, "gpu_id": gpu_id}
    scores, costs = call(train, job.model, job.dataset, {**fixed, **job.settings}, test, threads=1)
    return scores, costs


def columns_of(job: Job) -> dict:
    """What a CSV file says of a training beside its results."""
    return {"row": job.row, "model": job.model, "settings": text_of(job.settings), "seed": job.seed}


def train(model: str, dataset: str, options: dict, test: bool) -> tuple[dict, dict]:
    """(scores, costs) of one training, RecBole's models through the plugin's trainer as well.

    Both maskings of the test set come from one checkpoint.
    """
    import torch
    from recbole.utils import get_trainer

    from recbole_micro import Config
    from recbole_micro.evaluation import protocol
    from recbole_micro.training.experiment import build

    config = Config(model, dataset, config_dict={"state": "ERROR", "show_progress": False, **options})
    experiment = build(config, trainer=False)
    trainer = timed(get_trainer(config["MODEL_TYPE"], model))(config, experiment.model)
    fitting = clocked(lambda: trainer.fit(experiment.train_data, experiment.valid_data, verbose=False))
    metric = config["valid_metric"].lower()
    scores = {
        "valid R@20": float(trainer.best_valid_score),
        "best epoch": 1 + max(trainer.validations, key=lambda epoch: trainer.validations[epoch][metric]),
        "epochs": len(trainer.epoch_seconds),
        "seconds": round(fitting.seconds),
        "threads": torch.get_num_threads(),
    }
    if test:
        trainer.evaluate(experiment.test_data, load_best_model=True)
        for name in protocol.PROTOCOLS:
            result = protocol.evaluate(trainer, experiment.test_data, name)
            scores |= {f"{name} R@20": result["recall@20"], f"{name} N@20": result["ndcg@20"]}
            parts = [metric.partition(":")[0] for metric in result if metric.endswith(":recall@20")]
            scores |= {f"{name} R@20 {part}": result[f"{part}:recall@20"] for part in parts}
    os.remove(trainer.saved_model_file)
    on_cuda = config["device"].type == "cuda"
    scores["device"] = torch.cuda.get_device_name() if on_cuda else "CPU"
    costs = (round(statistics.median(trainer.epoch_seconds), 2), peak_memory() >> 20)
    return scores, dict(zip(COST, costs, strict=True))


def timed(base: type) -> type:
    """The plugin's trainer of a class of RecBole's, which keeps the CPU seconds of each epoch."""
    from recbole_micro.training.trainer import extended

    class Timed(extended(base)):
        def __init__(self, config, model):
            super().__init__(config, model)
            self.epoch_seconds = []

        def _train_epoch(self, *arguments, **named):
            epoch = clocked(lambda: super(Timed, self)._train_epoch(*arguments, **named))
            self.epoch_seconds.append(epoch.cpu)
            return epoch.value

    return Timed
