"""The plots of a study, drawn from its folder."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recbole_micro.evaluation import significance
from recbole_micro.studies import plots, result_tables
from recbole_micro.studies.details import EPOCHS
from recbole_micro.studies.report.groups import Groups
from recbole_micro.studies.worker import RESULT

NUMBERS = ("valid", "test", "cost")  # the first words of columns of results
PARTS: dict[str, tuple[dict[str, str], str]] = {  # rankings and their labels by plot, and what it shows
    "cold": (
        {"cold_all": "cold among all", "cold": "cold", "warm_all": "warm among all", "warm": "warm"},
        "of cold and of warm items",
    ),
    "features": (
        {"complete": "all features", "partial": "some", "without": "none"},
        "of items by the features that they have",
    ),
}


def draw(
    results: pd.DataFrame,
    summary: result_tables.Summary,
    out: Path,
    dataset: str,
    groups: Mapping[str, tuple[str, Groups]],
) -> list[tuple[Path, str]]:
    """Every plot that the study has data for, with its caption.

    `groups`: of whom (`users`, `items`), what is measured of them and its values.
    """
    done = results[results["status"] == "finished"]
    folder = out / "figures"
    plain = [metric for metric in summary.metrics if ":" not in metric] or summary.metrics
    varied = varied_options(done)
    labels, note = short_labels(done, varied)
    mean, std = summary.mean.rename(index=labels), summary.std.rename(index=labels)
    drawn = []
    for metric in plain:
        path = folder / f"bars-{metric.replace('@', '')}.png"
        plots.bars(mean, std, {metric: metric}, result_tables.title(metric), path)
        drawn.append((path, f"{result_tables.title(metric)} on the test set of {dataset}{note}"))
    for metric in dict.fromkeys(name.rpartition(":")[2] for name in summary.metrics):
        drawn += bars_of_parts(mean, std, metric, folder, dataset)
    curves, metric = validation_curves(done, out)
    if any(len(table.dropna(how="all")) > 1 for table in curves.values()):
        best = {labels[label]: table for label, table in best_curves(curves, metric).items()}
        path = plots.learning_curves(
            best, f"validation {result_tables.title(metric)}", folder / "learning.png"
        )
        some = f", the best {len(best)} of {len(curves)}" if len(best) < len(curves) else ""
        text = f"Validation {result_tables.title(metric)} per epoch on {dataset}, mean over seeds{some}{note}"
        drawn.append((path, text))
    for of, (measure, found) in groups.items():
        whose, shown = f"training interactions of the {of[:-1]}", found.values.iloc[: len(plots.SHADES)]
        path = plots.by_group(shown.rename(index=labels), whose, measure, folder / f"{of}.png")
        some = f", the first {len(shown)} of {len(found.values)}" if len(shown) < len(found.values) else ""
        drawn.append((path, f"{measure} on {dataset} by {whose}{some}{note}"))
    for option in varied:
        lines = sensitivity_lines(done, option, varied, f"test {plain[0]}")
        if lines:
            path = folder / f"sensitivity-{option}.png"
            plots.sensitivity(lines, option, result_tables.title(plain[0]), path)
            drawn.append((path, f"Test {result_tables.title(plain[0])} on {dataset} over {option}"))
    return drawn


def varied_options(done: pd.DataFrame) -> list[str]:
    """The options that the study varies: what a run's row has beside its state and results."""
    fixed = ("label", "model", "seed", "status", "folder", "error", "trained epochs", "protocol", "note")
    return [name for name in done if name not in fixed and name.split(" ")[0] not in NUMBERS]


def short_labels(done: pd.DataFrame, varied: list[str]) -> tuple[dict[str, str], str]:
    """Labels for plots, by label: the model and its options that differ among its settings; a note.

    Where the settings of a model change one option at a time, a label names that one only, and the note says
    what the others are.
    """
    labels, notes = {}, []
    settings = done.drop_duplicates("label").set_index("label")
    for model, rows in settings.groupby("model", sort=False):
        texts = rows[varied].map(value_text)
        texts = texts.loc[:, texts.nunique() > 1]
        usual = texts.mode().iloc[0] if len(texts.columns) > 1 else pd.Series(dtype=str)
        if len(usual) and (texts != usual).sum(axis=1).max() == 1:
            notes.append(f"; {setting_text(usual)} where a label of {model} does not say otherwise")
            texts = texts.where(texts != usual, "")
        for label, values in texts.iterrows():
            setting = setting_text(values)
            labels[label] = f"{model} ({setting})" if setting else model
    return labels, "".join(notes)


def setting_text(values: pd.Series) -> str:
    """`option=value, ...` of the options that have one."""
    return ", ".join(f"{name}={value}" for name, value in values.items() if value)


def value_text(value: Any) -> str:
    """An option's value for people; empty where the model does not have the option."""
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value:.12g}"
    return str(value)


def bars_of_parts(
    mean: pd.DataFrame, std: pd.DataFrame, metric: str, folder: Path, dataset: str
) -> list[tuple[Path, str]]:
    """The rankings of cold and warm items side by side, and those by the features that items have."""
    drawn = []
    for name, (rankings, text) in PARTS.items():
        groups = {f"{ranking}:{metric}": label for ranking, label in rankings.items()}
        groups = {column: label for column, label in groups.items() if column in mean}
        if groups:
            path = folder / f"{name}-{metric.replace('@', '')}.png"
            plots.bars(mean, std, groups, result_tables.title(metric), path)
            drawn.append((path, f"{result_tables.title(metric)} {text} on {dataset}"))
    return drawn


def validation_curves(done: pd.DataFrame, out: Path) -> tuple[dict[str, pd.DataFrame], str]:
    """The validation metric that selects, per label: index epoch, one column per run; and its name."""
    curves: dict[str, dict] = {}
    metric = ""
    for row in done.to_dict("records"):
        folder = out / row["folder"]
        if not (folder / EPOCHS).is_file():  # a result that was added to the study
            continue
        metric = json.loads((folder / RESULT).read_text(encoding="utf-8"))["valid_metric"].lower()
        epochs = pd.read_csv(folder / EPOCHS, index_col="epoch")
        if metric in epochs and epochs[metric].notna().any():
            curves.setdefault(row["label"], {})[row["seed"]] = epochs[metric]
    return {label: pd.DataFrame(columns) for label, columns in curves.items()}, metric


def best_curves(curves: dict[str, pd.DataFrame], metric: str) -> dict[str, pd.DataFrame]:
    """As many of the curves as the eye can tell apart, the best ones, in their order."""
    sign = -1 if significance.smaller_is_better(metric) else 1
    peaks = {label: (sign * table.mean(axis=1)).max() for label, table in curves.items()}
    best = sorted(peaks, key=lambda label: peaks[label], reverse=True)[: len(plots.SHADES)]
    return {label: table for label, table in curves.items() if label in best}


def sensitivity_lines(
    done: pd.DataFrame, option: str, varied: list[str], column: str
) -> dict[str, pd.DataFrame]:
    """Per model (and setting of the other varied options): mean and std of `column` by the option's value."""
    others = ["model", *(name for name in varied if name != option)]
    lines = {}
    for key, rows in done[done[option].notna()].groupby(others, sort=False, dropna=False):
        table = rows.groupby(option, sort=False)[column].agg(["mean", "std"])
        if len(table) > 1:
            setting = setting_text(pd.Series(key[1:], others[1:], dtype=object).map(value_text))
            lines[", ".join(filter(None, [key[0], setting]))] = table
    return lines
