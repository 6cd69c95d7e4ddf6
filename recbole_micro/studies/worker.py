"""One training in a folder of its own: what comparisons and searches start in processes.

`options.yaml` is there before; `run.log`, `config.yaml`, `epochs.csv`, `users.parquet` and the checkpoint
come out.  `result.json` is written last: a folder without it holds an interrupted or a failed run.
"""

import json
import logging
import math
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from recbole.data.dataloader import AbstractDataLoader
from recbole.evaluator import Evaluator
from recbole.utils.logger import RemoveColorFilter

from recbole_micro.checkpoint import last_file, plain, plain_config
from recbole_micro.errors import UserError
from recbole_micro.evaluation.ranking import PLAIN, rankings
from recbole_micro.files import write_text
from recbole_micro.options.config import Config, own_command_line
from recbole_micro.options.values import read_yaml
from recbole_micro.training.experiment import build

OPTIONS, RESULT, LOG, USERS, EPOCHS = "options.yaml", "result.json", "run.log", "users.parquet", "epochs.csv"


def main(argv: list[str]) -> int:
    """Train what `FOLDER/options.yaml` says; the exit code."""
    return in_folder(train_in, argv)


def in_folder(task: Callable[[Path], object], argv: list[str]) -> int:
    """Do `task` in the folder that is the only argument; the exit code.

    Ends when the parent closes standard input.
    """
    threading.Thread(target=end_with_parent, daemon=True).start()
    log_to_stderr()
    try:
        task(Path(argv[0]))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def end_with_parent() -> None:
    """Leave as soon as the parent is gone, killed or not: nobody would read the result."""
    while os.read(0, 1):
        pass
    os._exit(3)


def log_to_stderr() -> None:
    """RecBole's messages, without its colours, on standard error."""
    handler = logging.StreamHandler()
    handler.addFilter(RemoveColorFilter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], format="%(asctime)s %(message)s")


def train_in(folder: Path) -> dict[str, Any]:
    """Train, select on validation, read the test set once, write the folder's files; the result.

    Raises UserError where the data set has no test interactions.
    """
    start = time.perf_counter()
    options = read_yaml(folder / OPTIONS)
    with own_command_line({}):
        config = Config(config_dict={**options, "checkpoint_dir": str(folder), "show_progress": False})
    write_text(folder / "config.yaml", yaml.safe_dump(plain_config(config), allow_unicode=True))
    experiment = build(config)
    trainer, test_data = experiment.trainer, experiment.test_data
    if not test_data:
        raise UserError(
            f"The data set {config['dataset']} has no test interactions to compare models by: split it with "
            "python -m dataset_tools split, or set eval_args."
        )
    score, valid_result = trainer.fit(experiment.train_data, experiment.valid_data)
    write_epochs(folder / EPOCHS, trainer.train_loss_dict, trainer.validations)
    values = record_users(trainer.evaluator)
    test_result = trainer.evaluate(test_data)
    write_users(folder / USERS, test_data, values, test_result)
    result = {
        "best_valid_score": plain(score),
        "valid_score_bigger": plain(config["valid_metric_bigger"]),
        "valid_metric": config["valid_metric"],
        "valid": plain(dict(valid_result or {})),
        "test": plain(dict(test_result or {})),
        "protocol": test_result.protocol,
        "note": test_result.note,
        "ndcg_ideal": config["ndcg_ideal"],
        "epochs": len(trainer.train_loss_dict),
        "seconds": round(time.perf_counter() - start, 3),
        "checkpoint": os.path.basename(trainer.saved_model_file),
    }
    write_text(folder / RESULT, json.dumps(result, indent=1))
    Path(last_file(trainer.saved_model_file)).unlink(missing_ok=True)  # nothing goes on from here
    return result


def record_users(evaluator: Evaluator) -> dict[str, np.ndarray]:
    """A dictionary that the next evaluation fills: each ranking metric per user, `{metric@k: [n_users]}`.

    The values are those whose mean RecBole reports, caught where it takes the mean.
    """
    values: dict[str, np.ndarray] = {}

    def caught(original: Callable) -> Callable:
        def topk_result(metric: str, value: np.ndarray) -> dict[str, float]:
            result = original(metric, value)
            for name in result:
                values.setdefault(name, value[:, int(name.rpartition("@")[2]) - 1])
            return result

        return topk_result

    for metric in evaluator.metric_class.values():
        if hasattr(metric, "topk_result"):
            metric.topk_result = caught(metric.topk_result)
    return values


def write_users(
    path: Path,
    test_data: AbstractDataLoader,
    values: Mapping[str, np.ndarray],
    test_result: Mapping[str, float],
) -> None:
    """One row per user of the test set (of its first ranking): the user's token and metrics.

    Metrics that do not apply to the model (NaN in the result) are left out.
    """
    if not test_data:
        return
    ranking = next(iter(rankings(test_data).values()))
    front = "" if ranking.name == PLAIN else f"{ranking.name}:"
    loader, dataset = ranking.loader, ranking.loader._dataset
    if getattr(loader, "is_sequential", False):
        users = dataset.inter_feat[dataset.uid_field]
    else:
        users = loader.uid_list
    columns: dict[str, Any] = {"user": list(dataset.id2token(dataset.uid_field, np.asarray(users)))}
    known = [name for name in values if not math.isnan(test_result[front + name])]
    columns |= {name: np.asarray(values[name], dtype=np.float64) for name in known}
    part = path.with_suffix(".part")
    pq.write_table(pa.table(columns), part)
    os.replace(part, path)


def write_epochs(path: Path, losses: dict[int, float], validations: Mapping[int, Mapping]) -> None:
    """One row per epoch: its number from 1, the training loss, the validation metrics where there are any."""
    names = list(next(iter(validations.values()), {}))
    lines = [",".join(["epoch", "train_loss", *names])]
    for epoch in sorted({*losses, *validations}):
        row = [losses.get(epoch, ""), *(validations.get(epoch, {}).get(name, "") for name in names)]
        lines.append(",".join(map(str, [epoch + 1, *map(plain, row)])))
    write_text(path, "\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
