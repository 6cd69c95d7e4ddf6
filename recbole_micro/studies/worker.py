"""One training in a folder of its own: what comparisons and searches start in processes.

`options.yaml` is there before; `run.log`, `config.yaml`, `epochs.csv`, `users.parquet`, `items.parquet` and
the checkpoint come out.  `result.json` is written last: a folder without it holds an interrupted or a failed
run.
"""

import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from recbole.utils.logger import RemoveColorFilter

from dataset_tools.files import sentence, write_text
from recbole_micro.checkpoint import last_file, plain, plain_config
from recbole_micro.errors import UserError, tool
from recbole_micro.options.config import Config, own_command_line
from recbole_micro.options.values import read_yaml
from recbole_micro.studies.cost import Meter, about, cost, epoch_seconds
from recbole_micro.studies.details import EPOCHS, record, write_details, write_epochs
from recbole_micro.training.experiment import build

OPTIONS, CONFIG, RESULT, LOG = "options.yaml", "config.yaml", "result.json", "run.log"


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
    except (UserError, OSError) as error:
        if isinstance(error, OSError) and error.filename is None:  # not of a file
            raise
        print(f"error: {sentence(error) if isinstance(error, OSError) else error}", file=sys.stderr)
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
    start, meter = time.perf_counter(), Meter()
    options = read_yaml(folder / OPTIONS)
    with own_command_line({}):
        config = Config(config_dict={**options, "checkpoint_dir": str(folder), "show_progress": False})
    write_text(folder / CONFIG, yaml.safe_dump(plain_config(config), allow_unicode=True))
    experiment = build(config)
    trainer, test_data = experiment.trainer, experiment.test_data
    if not test_data:
        name = config["dataset"]
        raise UserError(
            f"The data set {name} has no test interactions to compare models by: split it with "
            f"{tool(f'split {name} --how ratio', config['data_path'])}, or set eval_args."
        )
    score, valid_result = trainer.fit(experiment.train_data, experiment.valid_data)
    spent = cost(trainer, meter)
    write_epochs(folder / EPOCHS, trainer.train_loss_dict, trainer.validations, epoch_seconds(trainer))
    details = record(trainer.evaluator, trainer.eval_collector)
    test_result = trainer.evaluate(test_data)
    write_details(folder, experiment.train_data, test_data, details, test_result)
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
        "cost": spent,
        "about": about(experiment),
        "checkpoint": os.path.basename(trainer.saved_model_file),
    }
    write_text(folder / RESULT, json.dumps(result, indent=1))
    Path(last_file(trainer.saved_model_file)).unlink(missing_ok=True)  # nothing goes on from here
    return result


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
