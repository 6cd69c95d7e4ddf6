"""The paper's Figure 3: models side by side on a cold-start data set."""

import csv
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from recbole_micro import cold_start, quick_start

ROWS: dict[str, tuple[str, dict]] = {
    "random": ("Random", {}),
    "popularity": ("Pop", {}),
    "MF": ("BPR", {}),
    "LightGCN": ("LightGCN", {}),
    "VBPR": ("VBPR", {}),
    "GRCN": ("GRCN", {}),
    "MICRO without contrast": ("MICRO", {"beta": 0.0}),
    "MICRO": ("MICRO", {}),
}
METRICS = ("recall@20", "ndcg@20", "precision@20")
COLUMNS = [front + metric for front in ("", "cold:", "warm:") for metric in METRICS]


def measure(
    dataset: str, file: str | Path, rows: Iterable[str] = ROWS, seeds: Sequence[int] = (2020,), **options
) -> list[dict]:
    """Train what `file` (CSV) does not have yet, one model and seed at a time; every row of the file.

    `options` hold for every model.  A row has the columns data set, row, seed, protocol and COLUMNS, as
    numbers or empty where a model cannot rank cold items.
    """
    file = Path(file)
    done = {(line["dataset"], line["row"], int(line["seed"])) for line in read(file)}
    for seed in seeds:
        for row in rows:
            if (dataset, row, seed) not in done:
                model, own = ROWS[row]
                result = quick_start.run(model, dataset, config_dict={**options, **own, "seed": seed})
                append(file, {"dataset": dataset, "row": row, "seed": seed}, result["test_result"])
    return read(file)


def append(file: Path, key: dict, result) -> None:
    """Add one training's test metrics to the CSV file."""
    new = not file.exists()
    values = {name: result.get(name, math.nan) for name in COLUMNS}
    with open(file, "a", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, [*key, "protocol", *COLUMNS])
        if new:
            writer.writeheader()
        known = {name: "" if math.isnan(value) else value for name, value in values.items()}
        writer.writerow({**key, "protocol": result.protocol, **known})


def read(file: str | Path) -> list[dict]:
    """The rows of a results file; none where there is no file."""
    if not Path(file).exists():
        return []
    with open(file, newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def mean(lines: list[dict], row: str, column: str) -> float | None:
    """The mean over seeds; None where a model cannot rank cold items."""
    values = [float(line[column]) for line in lines if line["row"] == row and line[column]]
    return sum(values) / len(values) if values else None


def table(lines: list[dict]) -> str:
    """The figure as a Markdown table: Recall / NDCG / Precision of the three rankings, mean over seeds."""
    rows = [row for row in ROWS if any(line["row"] == row for line in lines)]
    seeds = len({line["seed"] for line in lines})
    protocols = sorted({line["protocol"].split(",")[0] for line in lines})
    names = ", ".join(sorted({line["dataset"] for line in lines}))
    out = [
        f"Cold start on {names}, protocol {', '.join(protocols)}, mean of {seeds} seed(s): "
        "Recall / NDCG / Precision@20",
        "",
        "| model | " + " | ".join(cold_start.RANKINGS.values()) + " |",
        "|---|" + "---|" * len(cold_start.RANKINGS),
    ]
    for row in rows:
        cells = []
        for front in ("", "cold:", "warm:"):
            values = [mean(lines, row, front + metric) for metric in METRICS]
            known = None not in values
            cells.append(" / ".join(f"{value:.4f}" for value in values) if known else "not ranked")
        out.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(out)


def plot(lines: list[dict], path: str | Path) -> None:
    """Bars of Recall@20 of cold items, among all items and among cold items, to .png, .svg or .pdf."""
    from matplotlib.figure import Figure

    rows = [row for row in ROWS if mean(lines, row, "recall@20") is not None]
    figure = Figure(figsize=(6.4, 2.6), layout="constrained")
    for axes, front, ranking in zip(figure.subplots(1, 2), ("", "cold:"), ("all", "cold"), strict=True):
        values = [mean(lines, row, f"{front}recall@20") for row in rows]
        axes.barh(rows, values, color="0.55", edgecolor="0.1")
        axes.invert_yaxis()
        axes.set_title(cold_start.RANKINGS[ranking], fontsize=9)
        axes.set_xlabel("Recall@20", fontsize=8)
        axes.tick_params(labelsize=8)
    names = ", ".join(sorted({line["dataset"] for line in lines}))
    figure.suptitle(f"Cold start on {names}, protocol {lines[0]['protocol'].split(',')[0]}", fontsize=9)
    figure.savefig(path, dpi=200)
