"""The trials of a search, kept in a file, so that an interrupted search goes on where it stopped."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

import pandas as pd

from dataset_tools.files import write_text
from recbole_micro.errors import UserError

FINISHED, PRUNED, FAILED = "finished", "pruned", "failed"


class Trial(TypedDict):
    """An ended trial: its number from 1 in the order of drawing, its options (`params`), and its result.

    `after`: how many trials had ended when it was drawn.  `result`: the state (finished, pruned, or failed
    with an error), the validation score, its protocol, the metrics of its best epoch, and from Ray
    `validations`, the [epoch, score] of each one.
    """

    trial: int
    after: int
    params: dict[str, Any]
    result: dict[str, Any]


class Journal:
    """Ended trials in the order in which they ended: one line of JSON each, a torn last one left out."""

    def __init__(self, path: Path, protocol: str = "recbole"):
        self.path, self.protocol = path, protocol
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        lines = text.splitlines(keepends=True)
        self.trials: list[Trial] = [json.loads(line) for line in lines if line.endswith("\n")]

    def find(self, params: Mapping) -> dict[str, Any] | None:
        """The result that this trial had, if it has ended."""
        return next((trial["result"] for trial in self.trials if trial["params"] == params), None)

    def number(self, number: int) -> Trial | None:
        """The trial with this number, if it has ended."""
        return next((trial for trial in self.trials if trial["trial"] == number), None)

    def add(
        self, params: Mapping, result: Mapping, number: int | None = None, after: int | None = None
    ) -> None:
        """Keep an ended trial, by default the next one drawn, and write file and table anew."""
        ended = len(self.trials)
        trial = Trial(
            trial=number or ended + 1,
            after=ended if after is None else after,
            params=dict(params),
            result={"protocol": self.protocol, **result},
        )
        self.trials.append(trial)
        write_text(self.path, "".join(json.dumps(trial) + "\n" for trial in self.trials))
        write_text(self.path.with_suffix(".csv"), self.table().to_csv(index=False))

    def drawn(self) -> list[Trial]:
        """The ended trials in the order in which they were drawn."""
        return sorted(self.trials, key=lambda trial: trial["trial"])

    def best(self) -> Trial:
        """The finished trial with the best validation score, the first of equals; UserError without any."""
        finished = [trial for trial in self.drawn() if trial["result"].get("state", FINISHED) == FINISHED]
        if not finished:
            reasons = [trial["result"]["error"] for trial in self.trials if trial["result"].get("error")]
            reason = f" (the first said: {reasons[0]})" if reasons else ""
            folder = self.path.parent
            raise UserError(f"No trial of {folder} finished{reason}: change the space or the options.")
        sign = 1 if finished[0]["result"]["valid_score_bigger"] else -1
        return max(finished, key=lambda trial: sign * trial["result"]["best_valid_score"])

    def table(self) -> pd.DataFrame:
        """One row per trial: its options, state, score, last epoch, validation metrics."""
        rows = []
        for trial in self.drawn():
            result = trial["result"]
            row: dict[str, Any] = {"trial": trial["trial"], **trial["params"], "state": result["state"]}
            row |= {"score": result["best_valid_score"], "protocol": result["protocol"]}
            row["epochs"] = result["epochs"]
            metrics = result["best_valid_result"] or {}
            rows.append(row | {f"valid {name}": value for name, value in metrics.items()})
        return pd.DataFrame(rows)

    def report(self, trials: int) -> str:
        """A line about the trial that ended last; `trials`: how many there will be."""
        last = self.trials[-1]
        result, score = last["result"], last["result"]["best_valid_score"]
        options = ", ".join(f"{name}={value}" for name, value in last["params"].items())
        failed = result["state"] == FAILED
        told = result["error"] if failed else f"{score:.6f} [protocol: {result['protocol']}]"
        count = f"{len(self.trials)} of {trials} ended"
        return f"trial {last['trial']} ({count}) {result['state']}: {told} ({options})"
