"""A search that may be interrupted: `trials.csv`, `best.yaml`, a plot, and one test of the winner.

Finished trials are kept in `trials.jsonl`.  The search draws from a fixed seed, so the same call asks for the
same trials again and goes on after the last one that is kept.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd
import yaml

from recbole_micro import experiment, plots, quick_start, tables, tuning
from recbole_micro.checkpoint import plain
from recbole_micro.config import own_command_line
from recbole_micro.errors import UserError
from recbole_micro.protocol import Metrics
from recbole_micro.run_folder import write_text

TRIALS, STUDY, BEST = "trials.jsonl", "study.yaml", "best.yaml"
RESULT_KEYS = ("model", "best_valid_score", "valid_score_bigger", "best_valid_result")


class Journal:
    """The finished trials of a study, kept in a file: one line of JSON each, a torn last one left out."""

    def __init__(self, path: Path):
        self.path = path
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        self.trials = [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def find(self, params: Mapping) -> dict | None:
        """The result that this trial had, if it is finished."""
        return next((trial["result"] for trial in self.trials if trial["params"] == params), None)

    def add(self, params: Mapping, result: Mapping) -> None:
        """Keep a finished trial."""
        self.trials.append({"params": dict(params), "result": dict(result)})
        write_text(self.path, "".join(json.dumps(trial) + "\n" for trial in self.trials))

    def best(self) -> dict:
        """The trial with the best validation score, the first of equal ones."""
        sign = 1 if self.trials[0]["result"]["valid_score_bigger"] else -1
        return max(self.trials, key=lambda trial: sign * trial["result"]["best_valid_score"])

    def table(self) -> pd.DataFrame:
        """One row per trial: its options, its score, its validation metrics."""
        rows = []
        for number, trial in enumerate(self.trials, start=1):
            metrics = trial["result"]["best_valid_result"] or {}
            row = {"trial": number, **trial["params"], "score": trial["result"]["best_valid_score"]}
            row["protocol"] = trial["result"].get("protocol", "")
            rows.append(row | {f"valid {name}": value for name, value in metrics.items()})
        return pd.DataFrame(rows)


def tune(
    space: Mapping | str | Path,
    options: Mapping,
    out: str | Path,
    algo: str = "bayes",
    trials: int = 20,
    objective: Callable = quick_start.objective,
    command: Sequence[str] = experiment.WORKER,
) -> pd.DataFrame:
    """Search on the validation set, then train the winner once more and read the test set once.

    `options` (with model and dataset) are the same for all trials; `algo` exhaustive, random, bayes (or tpe).
    Writes trials.csv, best.yaml, study.png and the winner's run in `out/winner`; returns its row of results.
    """
    out = Path(out)
    algo = tuning.algorithm(algo)
    start_study(out, tuning.read_space(space), options, algo)
    journal = Journal(out / TRIALS)

    def trial(config: dict, _) -> dict:
        params = {name: plain(value) for name, value in config.items()}
        result = journal.find(params)
        if result is None:
            with own_command_line({}):
                found = objective({**options, **params}, None)
            result = {name: plain(found[name]) for name in RESULT_KEYS}
            result["protocol"] = getattr(found["best_valid_result"], "protocol", "recbole")
            journal.add(params, result)
            write_text(out / "trials.csv", journal.table().to_csv(index=False))
        measured = Metrics(result["best_valid_result"] or {}, result["protocol"])
        return {**result, "best_valid_result": measured, "test_result": {}}

    seed = int(options.get("seed", 2020))
    tuning.hyper_tuning(space, algo, trials, objective=trial, seed=seed)
    return measure_winner(journal, options, out, seed, command)


def start_study(out: Path, space: Mapping, options: Mapping, algo: str) -> None:
    """Remember what is searched; UserError where the folder holds another study."""
    text = yaml.safe_dump(plain({"space": space, "options": options, "algo": algo}))
    file = out / STUDY
    if file.is_file() and file.read_text(encoding="utf-8") != text:
        raise UserError(
            f"{out} holds a study with other options: choose another --out, or remove that folder."
        )
    out.mkdir(parents=True, exist_ok=True)
    write_text(file, text)


def measure_winner(
    journal: Journal, options: Mapping, out: Path, seed: int, command: Sequence[str]
) -> pd.DataFrame:
    """Write the winner and the plot, train it in a process of its own, test it; its row of results."""
    best = journal.best()
    score = best["result"]["best_valid_score"]
    fixed = {name: value for name, value in options.items() if name not in experiment.PATHS}
    head = f"# The best of {len(journal.trials)} trials, validation score {score:.6f}"
    head += f" [protocol: {best['result']['protocol']}]; for --config_files.\n"
    write_text(out / BEST, head + yaml.safe_dump(plain({**fixed, **best["params"]})))
    scores = [trial["result"]["best_valid_score"] for trial in journal.trials]
    metric = tables.title(str(options.get("valid_metric", "")).lower()) or "score"
    plots.study(scores, best["result"]["valid_score_bigger"], f"validation {metric}", out / "study.png")
    rest = {name: value for name, value in options.items() if name not in ("model", "seed")}
    winner = experiment.Run(str(options["model"]), seed, best["params"], rest)
    return experiment.run_all([winner], out / "winner", command=command)
