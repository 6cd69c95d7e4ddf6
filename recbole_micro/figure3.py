"""The paper's Figure 3: models side by side on a cold-start data set."""

import csv
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt

from dataset_tools import splits
from dataset_tools.dataset import Dataset
from dataset_tools.errors import DataError
from dataset_tools.splitting import split_dataset
from recbole_micro import cold_start, hooks, plots, quick_start
from recbole_micro.errors import UserError

FIGURE: dict[str, tuple[str, dict]] = {
    "MF": ("BPR", {}),
    "LightGCN": ("LightGCN", {}),
    "VBPR": ("VBPR", {}),
    "GRCN": ("GRCN", {}),
    "MICRO without contrast": ("MICRO", {"beta": 0.0}),
    "MICRO": ("MICRO", {}),
}
CHANCE: dict[str, tuple[str, dict]] = {"random": ("Random", {}), "popularity": ("Pop", {})}
ROWS = {**CHANCE, **FIGURE, **{model: (model, {}) for model in ("LATTICE", "FREEDOM")}}
METRICS = ("recall@20", "ndcg@20", "precision@20")
COLUMNS = [front + metric for front in ("", "cold:", "warm:") for metric in METRICS]
KEY = ("dataset", "row", "seed", "options")


def cold_split(dataset: str, data_path: str | Path, share: float = splits.WITHHELD, **how) -> str:
    """The name of a data set's cold-start split, made where it is missing; `how` as in `split_dataset`."""
    home = Path(data_path)
    if (home / dataset / f"{dataset}.cold.json").is_file():
        return dataset
    name = f"{dataset}-cold"
    if not (home / name).is_dir():
        if not any((home / dataset / f"{dataset}{part}.inter").is_file() for part in ("", ".train")):
            hooks.prepare(dataset, home / dataset)
        try:
            split_dataset(Dataset(dataset, home), "cold", name=name, cold_share=share, **how)
        except DataError as error:
            raise UserError(str(error)) from error
    return name


def measure(
    dataset: str,
    file: str | Path,
    rows: Iterable[str] = ROWS,
    seeds: Sequence[int] = (2020,),
    settings: Mapping | None = None,
    **places,
) -> list[dict]:
    """Train what `file` (CSV) does not have yet, one model and seed at a time; the lines of this data set.

    `settings` hold for every row, over its own, and tell trainings apart in the file; `places` (data_path,
    checkpoint_dir, ...) change no result.  A line has the columns KEY, protocol, `valid score` and COLUMNS,
    empty where a model cannot rank cold items.  Raises UserError where the data set has no cold items.
    """
    rows, chosen = list(rows), dict(settings or {})
    unknown = [row for row in rows if row not in ROWS]
    if unknown:
        raise UserError(f"There is no row {unknown[0]!r} in the cold-start figure: choose {', '.join(ROWS)}.")
    record = Path(places.get("data_path", "dataset")) / dataset / f"{dataset}.cold.json"
    if not (record.is_file() or chosen.get("cold_start")):
        raise UserError(
            f"{dataset} lists no cold items ({record} is missing): make a split with "
            f"python -m dataset_tools split {dataset} --cold {splits.WITHHELD}, and use {dataset}-cold."
        )
    options = json.dumps(chosen, sort_keys=True)
    done = {tuple(line[name] for name in KEY) for line in read(file)}
    for seed in seeds:
        for row in rows:
            key = dict(zip(KEY, (dataset, row, str(seed), options), strict=True))
            if tuple(key.values()) not in done:
                model, own = ROWS[row]
                given = {**places, **own, **chosen, "seed": seed}
                append(Path(file), key, quick_start.run(model, dataset, config_dict=given))
    return [line for line in read(file) if line["dataset"] == dataset]


def append(file: Path, key: dict, result: dict) -> None:
    """Add one training's metrics to the CSV file."""
    test = result["test_result"]
    line = {**key, "protocol": test.protocol, "valid score": result["best_valid_score"]}
    line |= {name: test.get(name, math.nan) for name in COLUMNS}
    new = not file.exists()
    with open(file, "a", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, list(line), lineterminator=os.linesep)
        if new:
            writer.writeheader()
        writer.writerow({n: "" if isinstance(v, float) and math.isnan(v) else v for n, v in line.items()})


def read(file: str | Path) -> list[dict]:
    """The lines of a results file, texts throughout; none where there is no file."""
    if not Path(file).exists():
        return []
    with open(file, newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def groups(lines: list[dict]) -> dict[str, list[dict]]:
    """The seeds of each row with the same options, by a label for people, in the order of ROWS."""
    found: dict[str, list[dict]] = {}
    for line in sorted(lines, key=lambda line: list(ROWS).index(line["row"])):
        options = ", ".join(f"{name}={value}" for name, value in json.loads(line["options"]).items())
        found.setdefault(f"{line['row']} ({options})" if options else line["row"], []).append(line)
    return found


def mean(lines: list[dict], column: str) -> float | None:
    """The mean over seeds; None where a model cannot rank cold items."""
    values = [float(line[column]) for line in lines if line[column]]
    return sum(values) / len(values) if values else None


def caption(lines: list[dict]) -> str:
    """Data set and protocol."""
    names, protocols = (
        ", ".join(sorted({line[name].split(",")[0] for line in lines})) for name in ("dataset", "protocol")
    )
    return f"Cold start on {names}, protocol {protocols}"


def table(lines: list[dict]) -> str:
    """The figure as a Markdown table: Recall / NDCG / Precision of the three rankings, mean over seeds."""
    out = [
        f"{caption(lines)}, means over seeds: Recall / NDCG / Precision@20",
        "",
        "| model | seeds | " + " | ".join(cold_start.RANKINGS.values()) + " |",
        "|---|---:|" + "---|" * len(cold_start.RANKINGS),
    ]
    for label, seeds in groups(lines).items():
        cells = [label, str(len(seeds))]
        for front in ("", "cold:", "warm:"):
            values = [mean(seeds, front + metric) for metric in METRICS]
            known = None not in values
            cells.append(" / ".join(f"{value:.4f}" for value in values) if known else "not ranked")
        out.append("| " + " | ".join(cells) + " |")
    return "\n".join(out)


def plot(lines: list[dict], path: str | Path) -> None:
    """Bars of Recall@20 of cold items, among all items and among cold items, to .png, .svg or .pdf.

    A model that cannot rank cold items has a line that says so and no bar.
    """
    rows = groups(lines)
    with plt.rc_context(plots.STYLE):
        size = 2 * plots.WIDTH, 0.9 + 0.25 * len(rows)
        figure, sides = plt.subplots(1, 2, sharey=True, figsize=size, layout="constrained")
        for axes, front, ranking in zip(sides, ("", "cold:"), ("all", "cold"), strict=True):
            values = [mean(seeds, f"{front}recall@20") for seeds in rows.values()]
            lengths = [value or 0 for value in values]
            drawn = axes.barh(list(rows), lengths, color="#8fa9bd", edgecolor="black", linewidth=0.6)
            texts = ["not ranked" if value is None else f"{value:.4f}" for value in values]
            axes.bar_label(drawn, texts, padding=3)
            axes.margins(x=0.25)
            axes.locator_params(axis="x", nbins=4)
            axes.set(title=cold_start.RANKINGS[ranking], xlabel="Recall@20")
        sides[0].invert_yaxis()  # the other's as well
        figure.suptitle(caption(lines), fontsize="medium")
        plots.save(figure, Path(path))
