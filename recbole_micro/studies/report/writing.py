"""Writes tables, plots, tests and the page of a study."""

import html
import json
from pathlib import Path

import pandas as pd

from dataset_tools.files import write_text
from recbole_micro.evaluation import significance
from recbole_micro.studies import result_tables
from recbole_micro.studies.details import USERS
from recbole_micro.studies.report import sections
from recbole_micro.studies.report.figures import draw
from recbole_micro.studies.report.groups import Groups, by_activity, by_popularity, files
from recbole_micro.studies.report.page import document
from recbole_micro.studies.report.settings import result_files


def write(
    results: pd.DataFrame, out: str | Path, dataset: str, heading: str | None = None, before: str = ""
) -> Path:
    """Draw tables, plots and `report.html` in `out` from the table of results; the page's path.

    `results` as `write_results` makes it; `dataset` is the data set's name for people.  `heading` stands
    above the page, the HTML `before` above its tables.
    Writes table.md, table.csv, table.tex, significance.csv, figures/*.png and report.html.
    """
    out = Path(out)
    done = results[results["status"] == "finished"]
    metrics = [name.removeprefix("test ") for name in results.columns if name.startswith("test ")]
    of_users = {label: files(rows, out, USERS) for label, rows in done.groupby("label", sort=False)}
    of_users = {label: found for label, found in of_users.items() if found}
    tests = significance.best_against_others(of_users, [name for name in metrics if ":" not in name])
    summary = result_tables.summarize(results, dataset, significance.marked(tests))
    write_text(out / "table.md", result_tables.markdown(summary))
    write_text(out / "table.tex", result_tables.latex(summary))
    write_text(out / "table.csv", result_tables.csv(summary))
    write_text(out / "significance.csv", tests.to_csv(index=False) if len(tests) else "")
    metric = selecting_metric(done, out, [name for name in metrics if ":" not in name])
    groups = groups_of(done, out, metric)
    figures = draw(results, summary, out, dataset, groups) if len(done) else []
    heading = heading or f"Comparison on {dataset}"
    counts = results["status"].value_counts()
    state = ", ".join(f"{count} {status}" for status, count in counts.items())
    parts = [
        f"<h1>{html.escape(heading)}</h1><p>{len(results)} runs: {state}.</p>",
        before,
        sections.results_section(summary),
        sections.plots_section(figures),
        sections.groups_section(groups),
        sections.cost_section(done),
        sections.significance_section(tests),
        sections.settings_section(done, out),
        sections.about_section(done, out),
        sections.runs_section(results, metric),
    ]
    page = out / "report.html"
    write_text(page, document(heading, "".join(parts)))
    return page


def selecting_metric(done: pd.DataFrame, out: Path, plain: list[str]) -> str:
    """The metric that selects on validation, where the test has it, otherwise the test's first one."""
    results = [json.loads(file.read_text(encoding="utf-8")) for file in result_files(done, out)]
    selecting = {result["valid_metric"].lower() for result in results}
    return next((name for name in plain if name in selecting), plain[0] if plain else "")


def groups_of(done: pd.DataFrame, out: Path, metric: str) -> dict[str, tuple[str, Groups]]:
    """Users by activity and items by popularity, what is measured of them and its values, where known."""
    found: dict[str, tuple[str, Groups]] = {}
    users = by_activity(done, out, metric)
    if users is not None:
        found["users"] = result_tables.title(metric), users
    k = metric.rpartition("@")[2]
    items = by_popularity(done, out, int(k)) if k.isdigit() else None
    if items is not None:
        found["items"] = f"Share of test interactions in the lists of {k}", items
    return found
