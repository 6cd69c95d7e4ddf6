"""The paper's tables and figures again: everything trained here, the paper's numbers beside ours."""

import html
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from dataset_tools.files import write_text
from recbole_micro import options
from recbole_micro.errors import UserError
from recbole_micro.studies import report
from recbole_micro.studies.forecast import duration
from recbole_micro.studies.paper import epoch_cost, figures
from recbole_micro.studies.pool import Engine, Pool, forecast_of, run_all
from recbole_micro.studies.report import page
from recbole_micro.studies.results import is_finished, read_result
from recbole_micro.studies.runs import Run, check_runs

METRICS = ("recall@20", "precision@20", "ndcg_hits@20")  # the paper's NDCG: an ideal of the hits only
TITLES = ("Recall@20", "Precision@20", "NDCG@20")
PROTOCOL = {"protocol": "paper", "ndcg_ideal": "hits"}
BACKBONES = {"MF": "BPR", "NGCF": "NGCF", "LightGCN": "LightGCN"}
VARIANTS = {  # rows of Table 5 -> presets
    "feats": ["cf_feats"],
    "micro_feats": ["micro_feats"],
    "without_contrast": ["without_contrast"],
    "micro": [],
}
QUICK = {"epochs": 30, "eval_step": 5, "stopping_step": 2}
# An epoch of MMGCN costs three (batch 4096) to nine (2048) of MICRO's: stop sooner after its best one.
PATIENCE = {"MMGCN": {"eval_step": 2, "stopping_step": 3}}


@dataclass
class Row:
    """A row of a table: its name, the paper's [Recall, Precision, NDCG], the model and its options."""

    name: str
    paper: Sequence[float]
    model: str
    setting: Mapping


def rows_of(table: int, dataset: str, literal: bool = False) -> list[Row]:
    """The rows of Table 4, 5 or 6; UserError where the paper has no such table or data set.

    MICRO has its shipped defaults, or with `literal` the preset `paper`; other models have their defaults.
    """
    tables = options.plugin_defaults("paper_tables.yaml")
    if table not in (4, 5, 6):
        raise UserError(f"There is no table {table} to reproduce: choose 4, 5 or 6.")
    numbers = tables[f"table{table}"]
    if dataset not in numbers:
        raise UserError(f"The paper has no data set {dataset!r}: choose one of {', '.join(numbers)}.")
    makers: dict[int, Callable[[str, Any, bool], list[Row]]] = {
        4: row_of_models,
        5: rows_of_variants,
        6: row_of_modalities,
    }
    make = makers[table]
    return [row for name, paper in numbers[dataset].items() for row in make(name, paper, literal)]


def micro(literal: bool, *presets: str) -> dict:
    """MICRO's setting: these presets, on top of `paper` where it is to be literal."""
    names = [*(["paper"] if literal else []), *presets]
    return {"preset": ",".join(names)} if names else {}


def row_of_models(name: str, paper: Sequence[float], literal: bool) -> list[Row]:
    """Table 4: baselines with their own defaults, and MICRO."""
    return [Row(name, paper, BACKBONES.get(name, name), micro(literal) if name == "MICRO" else {})]


def rows_of_variants(backbone: str, papers: Mapping, literal: bool) -> list[Row]:
    """Table 5: a backbone alone (RecBole's model, as in Table 4) and in four ways to give it features."""
    rows = [Row(backbone, papers["plain"], BACKBONES[backbone], {})]
    for variant, presets in VARIANTS.items():
        setting = {**micro(literal, *presets), "cf_model": backbone}
        rows.append(Row(f"{backbone}, {variant}", papers[variant], "MICRO", setting))
    return rows


def row_of_modalities(name: str, paper: Sequence[float], literal: bool) -> list[Row]:
    """Table 6: one modality, the other, both."""
    return [Row(name, paper, "MICRO", micro(literal, *([] if name == "both" else [name])))]


def runs_of(rows: Sequence[Row], seeds: Sequence[int], fixed: Mapping) -> dict[str, list[Run]]:
    """The runs of every row; `fixed` options hold for all, under the paper's protocol."""
    return {
        row.name: [
            Run(row.model, seed, row.setting, {**PROTOCOL, **PATIENCE.get(row.model, {}), **fixed})
            for seed in seeds
        ]
        for row in rows
    }


def beside(rows: Sequence[Row], runs: Mapping, results: pd.DataFrame) -> pd.DataFrame:
    """The paper's numbers and ours (mean over finished seeds), one row per row of the table."""
    done = results[results["status"] == "finished"]
    lines = []
    for row in rows:
        own = done[done["label"] == runs[row.name][0].label]
        line = {"row": row.name, "seeds": len(own)}
        for title, metric, paper in zip(TITLES, METRICS, row.paper, strict=True):
            values = own[f"test {metric}"] if len(own) else pd.Series(dtype=float)
            line |= {f"{title} paper": paper, f"{title} here": values.mean()}
        lines.append(line)
    return pd.DataFrame(lines)


def reproduce_table(
    number: int,
    fixed: Mapping[str, Any],
    seeds: Sequence[int],
    out: Path,
    literal: bool = False,
    title: str | None = None,
    **more: Any,
) -> pd.DataFrame:
    """Train what is missing, write `paper.md`, `.csv`, `.html` and the report into `out`; the runs' table.

    `number` is 4, 5 or 6, `literal` as in `rows_of`; `fixed` options hold for all runs, the data set among
    them, which `title` names for people; `more` goes to `run_all`.
    """
    title = title or str(fixed["dataset"])
    for name in ("protocol", "ndcg_ideal", "metrics", "topk"):
        if name in fixed:
            raise UserError(
                f"Leave out {name}: the paper has Recall, Precision and NDCG@20 under protocol paper."
            )
    rows = rows_of(number, str(fixed["dataset"]), literal)
    runs = runs_of(rows, seeds, fixed)
    heading = f"Table {number} on {title}"
    results = run([run for row in runs.values() for run in row], heading, out, **more)
    compared = beside(rows, runs, results)
    caption = (
        f"{heading}: the paper's numbers and ours, mean of {len(seeds)} seed(s); protocol paper: training "
        "items masked at test; NDCG against an ideal list of the hits, as in the published code. "
        + settings_text(fixed, literal)
    )
    write_text(out / "paper.csv", compared.to_csv(index=False))
    write_text(out / "paper.md", markdown(compared, caption))
    shown = page.frame(compared, "{:.4f}", caption)
    write_text(out / "paper.html", page.document(heading, f"<h1>{html.escape(heading)}</h1>{shown}"))
    report.write(results, out, title, heading, f"<h2>Beside the paper</h2>{shown}")
    return results


def reproduce_figure(
    number: int,
    fixed: Mapping[str, Any],
    seeds: Sequence[int],
    out: Path,
    literal: bool = False,
    title: str | None = None,
    **more: Any,
) -> pd.DataFrame:
    """Train what is missing, write the report with the figure, and `paper.md`, into `out`; the runs' table.

    The paper prints Figures 3 to 5 without numbers: only ours are drawn.  Arguments as of `reproduce_table`.
    """
    title = title or str(fixed["dataset"])
    heading = f"Figure {number} on {title}"
    if number == 3:
        fixed = {**fixed, "dataset": figures.cold_split(fixed["dataset"], fixed["data_path"])}
    runs = figures.runs_of(number, seeds, {**PROTOCOL, **fixed}, micro(literal))
    results = run(runs, heading, out, **more)
    note = (
        f"{heading}, mean of {len(seeds)} seed(s).  The paper prints this figure without numbers: only ours "
        "are drawn.  " + figures.NOTES.get(number, "") + settings_text(fixed, literal)
    )
    report.write(results, out, title, heading, f"<p>{html.escape(note)}</p>")
    write_text(out / "paper.md", f"{note}\n\n{(out / 'table.md').read_text(encoding='utf-8')}")
    return results


def settings_text(fixed: Mapping, literal: bool) -> str:
    """Which settings were trained, for captions."""
    text = "MICRO with " + ("the preset paper" if literal else "its shipped defaults, not the preset paper")
    text += "; the other models with theirs, or those that the data set has for them."
    chosen = {name: value for name, value in fixed.items() if name not in ("dataset", "data_path", "plugins")}
    if chosen:
        text += " For all: " + ", ".join(f"{name}={value}" for name, value in chosen.items()) + "."
    return text


def run(
    runs: Sequence[Run],
    heading: str,
    out: Path,
    workers: int | None = None,
    engine: Engine | None = None,
    **more: Any,
) -> pd.DataFrame:
    """Say how long it will take, train what is missing, saying so again after each run; the table."""
    check_runs(runs)
    pending = [run for run in runs if not is_finished(run, out)]
    known = f"{heading}: {len(runs)} runs, {len(runs) - len(pending)} finished"
    if not pending:
        say(f"{known}.")
        return run_all(runs, out, workers, **more)
    with engine or Engine() as there:
        at_once, threads = there.shares(workers, runs)
        say(f"{known}; {at_once} at a time, {threads} thread(s) each.")
        timings = measure(pending, out, at_once, threads, there)
        forecast = forecast_of(runs, out, timings)
        ordered = forecast.longest_first(pending)
        likely, longest = (forecast.left(ordered, [], at_once, most) for most in (False, True))
        bound = "" if math.isnan(longest) else f", {duration(longest)} if no run stops early"
        say(f"About {duration(likely)}{bound}.  The same call goes on where it stops.")
        return run_all(runs, out, workers, timings=timings, engine=there, **more)


def measure(runs: Sequence[Run], out: Path, workers: int, threads: int, engine: Engine) -> dict[str, dict]:
    """What `epoch_cost` measures of the first run of every label, by label; kept in `out/timing`."""
    first = list({run.label: run for run in reversed(runs)}.values())[::-1]
    folder = out / "timing"
    missing = [run for run in first if not is_finished(run, folder)]
    if missing:
        seconds = 12 * len(missing) / workers  # mostly the start of the processes
        say(f"First, part of an epoch of {len(missing)} of them is timed: about {duration(seconds)}.")
    Pool(missing, folder, workers, threads, epoch_cost.WORKER, engine).finish()
    return {run.label: read_result(run, folder) for run in first if is_finished(run, folder)}


def say(text: str) -> None:
    """A line on standard error, where the progress is."""
    print(text, file=sys.stderr, flush=True)


def markdown(compared: pd.DataFrame, caption: str) -> str:
    """The comparison as a Markdown table under its caption."""
    lines = [caption, "", "| " + " | ".join(compared.columns) + " |"]
    lines.append("|" + " --- |" + " ---: |" * (len(compared.columns) - 1))
    for values in compared.itertuples(index=False):
        cells = ["–" if pd.isna(v) else f"{v:.4f}" if isinstance(v, float) else str(v) for v in values]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
