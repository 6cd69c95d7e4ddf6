"""Results that nobody trained here, as rows of a study beside those that were."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from recbole.config import Config as RecBoleConfig
from recbole.data.dataloader import AbstractDataLoader
from recbole.evaluator import Evaluator

from recbole_micro.checkpoint import plain
from recbole_micro.errors import UserError
from recbole_micro.evaluation.metrics import Metrics
from recbole_micro.files import alone_in, write_text
from recbole_micro.options.values import read_yaml
from recbole_micro.studies import report
from recbole_micro.studies.results import GIVEN, RESULTS, given_rows
from recbole_micro.studies.worker import OPTIONS, RESULT, USERS, record_users, write_users

Measure = Callable[[Evaluator], Metrics]


def add_result(
    out: Path, label: str, config: RecBoleConfig, test_data: AbstractDataLoader, measure: Measure
) -> Path:
    """Add a row to the study in `out`, a new one or one of `compare`, and draw its report; that one's path.

    `measure` gets the evaluator that it has to use.  A row of this label that was added before is replaced.
    Raises UserError where the study has another data set or protocol, or trained a model of this label.
    """
    with alone_in(out):
        check_same(out, label, config)
        evaluator = Evaluator(config)
        values = record_users(evaluator)
        metrics = measure(evaluator)
        folder = out / GIVEN / "".join(c if c.isalnum() or c in "-=._" else "_" for c in label)
        folder.mkdir(parents=True, exist_ok=True)
        write_users(folder / USERS, test_data, values, metrics)
        result = {
            "label": label,
            "seed": config["seed"],
            "dataset": config["dataset"],
            "valid_metric": config["valid_metric"],
            "valid": {},
            "test": plain(dict(metrics)),
            "protocol": metrics.protocol,
            "note": metrics.note,
            "epochs": np.nan,
        }
        write_text(folder / RESULT, json.dumps(result, indent=1))
        rows = [row for row in known_rows(out) if not str(row["folder"]).startswith(f"{GIVEN}/")]
        results = pd.DataFrame([*rows, *given_rows(out)])
        write_text(out / RESULTS, results.to_csv(index=False))
        return report.write(results, out, config["dataset"])


def known_rows(out: Path) -> list[dict]:
    """The rows of a study's table of results, where there is one."""
    file = out / RESULTS
    return pd.read_csv(file, keep_default_na=True).to_dict("records") if file.is_file() else []


def check_same(out: Path, label: str, config: RecBoleConfig) -> None:
    """Raise UserError where a result cannot stand beside those of the study."""
    options = [read_yaml(file) for file in (out / "runs").glob(f"*/{OPTIONS}")]
    given = [json.loads(file.read_text(encoding="utf-8")) for file in (out / GIVEN).glob(f"*/{RESULT}")]
    for known in [*options, *given]:
        if known["dataset"] != config["dataset"]:
            raise UserError(
                f"{out} is a study of {known['dataset']}, not of {config['dataset']}: choose another --out."
            )
    protocol = config["protocol"] or "recbole"
    for row in known_rows(out):
        if row["label"] == label and not str(row["folder"]).startswith(f"{GIVEN}/"):
            raise UserError(f"{out} has trained {label}: choose another --label.")
        if isinstance(row.get("protocol"), str) and row["protocol"] != protocol:
            raise UserError(
                f"{out} has results under protocol {row['protocol']}: add --protocol={row['protocol']}, or "
                "choose another --out."
            )
