"""The paper's tables again: each row trained here, the paper's numbers beside ours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from recbole_micro import experiment, options, report
from recbole_micro.errors import UserError
from recbole_micro.run_folder import write_text

METRICS = ("recall@20", "precision@20", "ndcg_hits@20")  # the paper's NDCG: an ideal of the hits only
TITLES = ("Recall@20", "Precision@20", "NDCG@20")
BACKBONES = {"MF": "BPR", "NGCF": "NGCF", "LightGCN": "LightGCN"}
VARIANTS = {
    "feats": "paper,cf_feats",
    "micro_feats": "paper,micro_feats",
    "without_contrast": "paper,without_contrast",
    "micro": "paper",
}
QUICK = {"epochs": 30, "eval_step": 5, "stopping_step": 2}


@dataclass
class Row:
    """A row of a table: its name, the paper's [Recall, Precision, NDCG], the model and its options."""

    name: str
    paper: Sequence[float]
    model: str
    setting: Mapping


def rows_of(table: int, dataset: str) -> list[Row]:
    """The rows of Table 4, 5 or 6; UserError where the paper has no such table or data set."""
    tables = options.plugin_defaults("paper_tables.yaml")
    if table not in (4, 5, 6):
        raise UserError(f"There is no table {table} to reproduce: choose 4, 5 or 6.")
    numbers = tables[f"table{table}"]
    if dataset not in numbers:
        raise UserError(f"The paper has no data set {dataset!r}: choose one of {', '.join(numbers)}.")
    make = {4: row_of_models, 5: row_of_variants, 6: row_of_modalities}[table]
    return [row for name, paper in numbers[dataset].items() for row in make(name, paper)]


def row_of_models(name: str, paper: Sequence[float]) -> list[Row]:
    """Table 4: baselines with their own defaults, MICRO as in the paper."""
    setting = {"preset": "paper"} if name == "MICRO" else {}
    return [Row(name, paper, BACKBONES.get(name, name), setting)]


def row_of_variants(backbone: str, papers: Mapping) -> list[Row]:
    """Table 5: a backbone alone and in four ways to give it features."""
    rows = [Row(backbone, papers["plain"], BACKBONES[backbone], {})]
    for variant, presets in VARIANTS.items():
        setting = {"preset": presets, "cf_model": backbone}
        rows.append(Row(f"{backbone}, {variant}", papers[variant], "MICRO", setting))
    return rows


def row_of_modalities(name: str, paper: Sequence[float]) -> list[Row]:
    """Table 6: one modality, the other, both."""
    return [Row(name, paper, "MICRO", {"preset": "paper" if name == "both" else f"paper,{name}"})]


def runs_of(rows: Sequence[Row], seeds: Sequence[int], fixed: Mapping) -> dict[str, list[experiment.Run]]:
    """The runs of every row; `fixed` options hold for all, under the paper's protocol."""
    protocol = {"protocol": "paper", "ndcg_ideal": "hits"}
    return {
        row.name: [experiment.Run(row.model, seed, row.setting, {**protocol, **fixed}) for seed in seeds]
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
            found = own[f"test {metric}"] if len(own) else pd.Series(dtype=float)
            line |= {f"{title} paper": paper, f"{title} here": found.mean()}
        lines.append(line)
    return pd.DataFrame(lines)


def reproduce(
    table: int, fixed: Mapping, seeds: Sequence[int], out: Path, workers=None, **more
) -> pd.DataFrame:
    """Train what is missing, write `paper.md`, `.csv`, `.html` and the report into `out`; the runs' table.

    `fixed` names the data set; `more` goes to `experiment.run_all`.
    """
    rows = rows_of(table, str(fixed["dataset"]))
    runs = runs_of(rows, seeds, fixed)
    flat = [run for row in runs.values() for run in row]
    experiment.check(flat)
    results = experiment.run_all(flat, out, workers, **more)
    report.write(results, out, str(fixed["dataset"]))
    compared = beside(rows, runs, results)
    write_text(out / "paper.csv", compared.to_csv(index=False))
    caption = (
        f"Table {table} on {fixed['dataset']}: the paper's numbers and ours, mean of {len(seeds)} seed(s); "
        "protocol paper: training items masked at test; NDCG against an ideal list of the hits, as in the "
        "published code."
    )
    write_text(out / "paper.md", markdown(compared, caption))
    write_text(out / "paper.html", report.document(caption, report.frame(compared, "{:.4f}", caption)))
    return results


def markdown(compared: pd.DataFrame, caption: str) -> str:
    """The comparison as a Markdown table under its caption."""
    lines = [caption, "", "| " + " | ".join(compared.columns) + " |"]
    lines.append("|" + " --- |" + " ---: |" * (len(compared.columns) - 1))
    for values in compared.itertuples(index=False):
        cells = ["–" if pd.isna(v) else f"{v:.4f}" if isinstance(v, float) else str(v) for v in values]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
