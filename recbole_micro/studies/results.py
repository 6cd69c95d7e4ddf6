"""What the runs of a study left behind, and results of others beside them, as one table."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from recbole.config import Config as RecBoleConfig
from recbole.data.dataloader import AbstractDataLoader
from recbole.evaluator import Evaluator

from dataset_tools.files import write_text
from recbole_micro.checkpoint import plain
from recbole_micro.errors import UserError
from recbole_micro.evaluation.metrics import Metrics
from recbole_micro.files import alone_in
from recbole_micro.options.values import read_yaml
from recbole_micro.studies.details import record, write_details
from recbole_micro.studies.runs import Run
from recbole_micro.studies.worker import OPTIONS, RESULT

ERROR, RESULTS = "error.txt", "results.csv"
GIVEN = "given"  # folder of results that were added to a study, beside `runs`
Measure = Callable[[Evaluator], Metrics]


def is_finished(run: Run, out: Path) -> bool:
    """Whether the run has a result; UserError where that is the result of other options."""
    folder = out / "runs" / run.folder
    if not (folder / RESULT).is_file():
        return False
    if (folder / OPTIONS).read_text(encoding="utf-8") != run.text:
        raise UserError(
            f"{folder} holds a finished run with other options: choose another --out, or remove that folder."
        )
    return True


def read_result(run: Run, out: Path) -> dict:
    """The `result.json` of a finished run."""
    return json.loads((out / "runs" / run.folder / RESULT).read_text(encoding="utf-8"))


def write_results(runs: Sequence[Run], out: Path) -> pd.DataFrame:
    """Write `results.csv` from what the folders hold, one row per run and added result; the table."""
    table = pd.DataFrame([*(result_row(run, out) for run in runs), *given_rows(out)])
    write_text(out / RESULTS, table.to_csv(index=False))
    return table


def result_row(run: Run, out: Path) -> dict:
    """A run's line in the table: what it is, its state, validation and test metrics."""
    folder = out / "runs" / run.folder
    nested = {name: str(value) for name, value in run.setting.items() if isinstance(value, (list, Mapping))}
    setting = {**run.setting, **nested}
    cells = {"label": run.label, "model": run.model, **setting, "seed": run.seed}
    cells |= {"status": "missing", "folder": f"runs/{run.folder}", "error": ""}
    if (folder / ERROR).is_file():
        cells |= {"status": "failed", "error": (folder / ERROR).read_text(encoding="utf-8")}
    if (folder / RESULT).is_file():
        cells |= cells_of(read_result(run, out))
    return cells


def cells_of(result: Mapping[str, Any]) -> dict:
    """The cells of a row that come from a `result.json`."""
    protocol, _, note = result["protocol"].partition(", ")  # in one text before there was a note
    cells = {"status": "finished", "trained epochs": result["epochs"], "protocol": protocol}
    cells |= {"note": result.get("note", note)}
    cells |= {f"cost {name}": value for name, value in result.get("cost", {}).items() if value is not None}
    cells |= {f"valid {name}": value for name, value in result["valid"].items()}
    return cells | {f"test {name}": value for name, value in named_rankings(result["test"]).items()}


def given_rows(out: Path) -> list[dict]:
    """The lines of results that no run of the study has, but that were added to it (`evaluate`)."""
    rows = []
    for file in sorted((out / GIVEN).glob(f"*/{RESULT}")):
        result = json.loads(file.read_text(encoding="utf-8"))
        cells = {"label": result["label"], "model": result["label"], "seed": result["seed"]}
        folder = file.parent.relative_to(out).as_posix()
        rows.append(cells | {"folder": folder, "error": ""} | cells_of(result))
    return rows


def named_rankings(test: Mapping[str, float]) -> dict[str, float]:
    """A test's metrics by their names today: once the plain names were those of cold items among all."""
    old = any(name.startswith(("cold:", "warm:")) for name in test)
    if not old or any(name.startswith("cold_all:") for name in test):
        return dict(test)
    return {name if ":" in name else f"cold_all:{name}": value for name, value in test.items()}


def add_result(
    out: Path,
    label: str,
    config: RecBoleConfig,
    train_data: AbstractDataLoader,
    test_data: AbstractDataLoader,
    measure: Measure,
) -> pd.DataFrame:
    """Add a row to the study in `out`, a new one or one of `compare`; its table of results.

    `measure` gets the evaluator that it has to use.  A row of this label that was added before is replaced.
    Raises UserError where the study has another data set or protocol, or trained a model of this label.
    """
    with alone_in(out):
        check_same(out, label, config)
        evaluator = Evaluator(config)
        details = record(evaluator)
        metrics = measure(evaluator)
        folder = out / GIVEN / "".join(c if c.isalnum() or c in "-=._" else "_" for c in label)
        folder.mkdir(parents=True, exist_ok=True)
        write_details(folder, train_data, test_data, details, metrics)
        result = {
            "label": label,
            "seed": config["seed"],
            "dataset": config["dataset"],
            "valid_metric": config["valid_metric"],
            "valid": {},
            "test": plain(dict(metrics)),
            "protocol": metrics.protocol,
            "note": metrics.note,
            "epochs": math.nan,
        }
        write_text(folder / RESULT, json.dumps(result, indent=1))
        rows = [row for row in known_rows(out) if not str(row["folder"]).startswith(f"{GIVEN}/")]
        results = pd.DataFrame([*rows, *given_rows(out)])
        write_text(out / RESULTS, results.to_csv(index=False))
        return results


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
