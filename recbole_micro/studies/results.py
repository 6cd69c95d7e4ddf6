"""What the runs of a study left behind, as one table."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from dataset_tools.files import write_text
from recbole_micro.errors import UserError
from recbole_micro.studies.runs import Run
from recbole_micro.studies.worker import OPTIONS, RESULT

ERROR, RESULTS = "error.txt", "results.csv"


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
    """Write `results.csv`, one row per run, from what the folders hold; the table."""
    table = pd.DataFrame([result_row(run, out) for run in runs])
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
        result = read_result(run, out)
        protocol, _, note = result["protocol"].partition(", ")  # in one text before there was a note
        cells |= {"status": "finished", "trained epochs": result["epochs"], "protocol": protocol}
        cells |= {"note": result.get("note", note)}
        cells |= {f"valid {name}": value for name, value in result["valid"].items()}
        cells |= {f"test {name}": value for name, value in named_rankings(result["test"]).items()}
    return cells


def named_rankings(test: Mapping[str, float]) -> dict[str, float]:
    """A test's metrics by their names today: once the plain names were those of cold items among all."""
    if any(name.startswith("cold_all:") for name in test) or not any(":" in name for name in test):
        return dict(test)
    return {name if ":" in name else f"cold_all:{name}": value for name, value in test.items()}
