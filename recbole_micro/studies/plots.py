"""Plots of a study: legible in grey (hatches, markers, dashes) and at the width of a column."""

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from dataset_tools.files import replacing

matplotlib.use("Agg")
WIDTH = 3.5  # inches, a column of a two-column page
HATCHES = ("", "///", "...", "xxx", "\\\\\\", "---", "ooo", "+++")
MARKERS = "os^DvP*X"
DASHES = ("-", "--", "-.", ":")
# At least 3:1 against white, so that they stand out in a report in dark as well, which inverts them.
SHADES = ("#1b4f72", "#c17a0c", "#2f8f73", "#8c8c8c", "#884ea0", "#a93226", "#5d6d7e", "#a3804a")
LABEL = 24  # characters of a line of a label
STYLE: dict[Any, Any] = {
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "savefig.dpi": 200,
}


def save(figure: Figure, path: Path) -> Path:
    """Write a figure, by its path's ending, and let go of its memory; the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        figure.savefig(part, bbox_inches="tight", format=path.suffix[1:])
    plt.close(figure)
    return path


def line_style(number: int) -> dict[str, Any]:
    """Colour, marker and dashes of the line with this number, from 0."""
    return {
        "color": SHADES[number % len(SHADES)],
        "marker": MARKERS[number % len(MARKERS)],
        "linestyle": DASHES[number % len(DASHES)],
        "linewidth": 1.2,
        "markersize": 4,
    }


def wrapped(label: str) -> str:
    """A long label in lines that leave room for the plot."""
    return textwrap.fill(label, LABEL, break_long_words=False, break_on_hyphens=False)


def legend(figure: Figure) -> None:
    """A legend above the plot that is no wider than it."""
    handles, labels = figure.axes[0].get_legend_handles_labels()
    columns = 3 if sum(map(len, labels)) <= LABEL else 2 if max(map(len, labels)) <= LABEL else 1
    labels = [textwrap.fill(label, 2 * LABEL, break_long_words=False) for label in labels]
    figure.legend(handles, labels, loc="outside upper center", ncols=columns, frameon=False)


def bars(mean: pd.DataFrame, std: pd.DataFrame, groups: Mapping[str, str], xlabel: str, path: Path) -> Path:
    """Horizontal bars, one block per row of `mean`, in it one bar per column of `groups` (column: legend)."""
    with plt.rc_context(STYLE):
        height = 0.8 / len(groups)
        labels = list(map(wrapped, mean.index))
        lines = max([len(groups), *(label.count("\n") + 1 for label in labels)])
        inches = 0.5 + len(mean) * (0.12 + 0.15 * lines) + (0.3 if len(groups) > 1 else 0)
        figure, axes = plt.subplots(figsize=(WIDTH, inches), layout="constrained")
        position = np.arange(len(mean))
        for number, (column, label) in enumerate(groups.items()):
            centres = position + (number - (len(groups) - 1) / 2) * height
            drawn = axes.barh(
                centres,
                mean[column],
                height,
                xerr=std[column].fillna(0) if std[column].notna().any() else None,
                color=SHADES[number] if len(groups) > 1 else "#8fa9bd",
                edgecolor="black",
                linewidth=0.6,
                hatch=HATCHES[number],
                error_kw={"linewidth": 0.8, "capsize": 2},
                label=label,
            )
            axes.bar_label(drawn, ["" if np.isnan(v) else f"{v:.4f}" for v in mean[column]], padding=3)
            for y in centres[mean[column].isna()]:
                axes.annotate("–", (0, y), (3, 0), textcoords="offset points", va="center")
        axes.set_yticks(position, labels)
        axes.set_ylim(len(mean) - 0.45, -0.55)
        axes.margins(x=0.25)
        axes.locator_params("x", nbins=5)  # their numbers stand apart, however many digits they have
        axes.set_xlabel(xlabel)
        if len(groups) > 1:
            legend(figure)
        return save(figure, path)


def learning_curves(curves: Mapping[str, pd.DataFrame], ylabel: str, path: Path) -> Path:
    """Lines of the mean over seeds; `curves`: label -> index epoch, one column per seed."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(WIDTH, 2.6), layout="constrained")
        for number, (label, table) in enumerate(curves.items()):
            mean = table.mean(axis=1).dropna()
            step = max(1, len(mean) // 8)
            axes.plot(mean.index, mean, label=label, markevery=step, **line_style(number))
        axes.set(xlabel="epoch", ylabel=ylabel)
        axes.locator_params("x", integer=True)
        legend(figure)
        return save(figure, path)


def sensitivity(lines: Mapping[str, pd.DataFrame], option: str, ylabel: str, path: Path) -> Path:
    """A metric over the values of an option; `lines`: label -> index value, columns mean and std.

    Values that are no numbers are evenly spaced.
    """
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(WIDTH, 2.4), layout="constrained")
        ticks = sorted({value for table in lines.values() for value in table.index}, key=order)
        position = {value: number for number, value in enumerate(ticks)}
        for number, (label, table) in enumerate(lines.items()):
            table = table.sort_index(key=lambda index: index.map(order))
            x = [position[value] for value in table.index]
            axes.errorbar(
                x, table["mean"], table["std"].fillna(0), label=label, capsize=2, **line_style(number)
            )
        axes.set_xticks(range(len(ticks)), [f"{v:g}" if isinstance(v, float) else str(v) for v in ticks])
        axes.set(xlabel=option, ylabel=ylabel)
        legend(figure)
        return save(figure, path)


def by_group(values: pd.DataFrame, xlabel: str, ylabel: str, path: Path) -> Path:
    """A metric [labels x groups] as one line per label over the groups, in their order."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(WIDTH, 2.6), layout="constrained")
        position = np.arange(len(values.columns))
        for number, (label, row) in enumerate(values.iterrows()):
            axes.plot(position, row, label=label, **line_style(number))
        axes.set_xticks(position, values.columns)
        axes.set(xlabel=xlabel, ylabel=ylabel)
        legend(figure)
        return save(figure, path)


def order(value: Any) -> tuple[int, float, str]:
    """A key that sorts numbers before other values."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return (0, value, "") if number else (1, 0, str(value))


def study(trials: pd.DataFrame, bigger: bool, ylabel: str, path: Path) -> Path:
    """A search: the score of every trial (columns trial, state, score), and the best finished one so far."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(WIDTH, 2.4), layout="constrained")
        finished, pruned = trials["state"] == "finished", trials["state"] == "pruned"
        score = trials["score"].astype(float)
        best = (np.fmax if bigger else np.fmin).accumulate(score.where(finished))
        style: dict[str, Any] = {"color": SHADES[0], "markersize": 4, "label": "trial"}
        axes.plot(trials["trial"][finished], score[finished], "o", **style)
        if pruned.any():
            style = {"color": SHADES[1], "markersize": 4, "label": "pruned"}
            axes.plot(trials["trial"][pruned], score[pruned], "x", **style)
        axes.step(trials["trial"], best, "--", where="post", color="black", linewidth=1, label="best so far")
        axes.set(xlabel="trial", ylabel=ylabel)
        axes.locator_params("x", integer=True)
        legend(figure)
        return save(figure, path)
