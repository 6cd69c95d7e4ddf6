"""The parts of a study's page: tables for people, each with its heading."""

import html
import math
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from recbole_micro.studies import result_tables
from recbole_micro.studies.report.groups import Groups
from recbole_micro.studies.report.page import figure, frame, listing, whole_table
from recbole_micro.studies.report.settings import differences, provenance


def significant(value: float) -> str:
    """Three digits that mean something, without an exponent."""
    before = math.floor(math.log10(abs(value))) if value else 0
    return f"{value:,.{max(0, 2 - before)}f}"


def whole(value: float) -> str:
    """A number of things."""
    return f"{value:,.0f}"


COSTS = {  # column of results -> heading, how it is written
    "cost epoch s": ("s / epoch", significant),
    "trained epochs": ("epochs", whole),
    "cost best epoch": ("best epoch", whole),
    "cost to best s": ("s to best epoch", significant),
    "cost memory MiB": ("peak memory, MiB", whole),
    "cost device memory MiB": ("of the GPU, MiB", whole),
    "cost energy Wh": ("energy, Wh", significant),
}


def results_section(summary: result_tables.Summary) -> str:
    """The table of means, and which over which by how much."""
    if not len(summary.mean):
        return ""
    head = "".join(f"<th>{html.escape(result_tables.title(metric))}</th>" for metric in summary.metrics)
    kinds = {"": result_tables.body(summary, "html"), ' class="gain"': result_tables.gains(summary)}
    rows = "".join(
        f"<tr{kind}><th>{html.escape(label)}</th>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
        for kind, lines in kinds.items()
        for label, *cells in lines
    )
    return "<h2>Results</h2>" + whole_table(summary.caption, f"<th>Model</th>{head}", rows)


def plots_section(figures: list[tuple[Path, str]]) -> str:
    """Every plot."""
    shown = "".join(figure(path, text) for path, text in figures)
    return f'<h2>Plots</h2><div class="plots">{shown}</div>' if figures else ""


def groups_section(groups: Mapping[str, tuple[str, Groups]]) -> str:
    """A table of users, and one of items, in groups from few training interactions to many."""
    captions = {
        "users": "{}, mean over users in groups by their number of training interactions; in brackets, how "
        "many users a group has.",
        "items": "{}, by the items' number of training interactions, in groups of about as many items; in "
        "brackets, how many test interactions a group has.",
    }
    titles = {"users": "By activity of users", "items": "By popularity of items"}
    parts = []
    for of, (measure, found) in groups.items():
        sizes = found.sizes.reindex(found.values.columns)
        names = [f"{name} ({size:,})" for name, size in sizes.items()]
        table = found.values.set_axis(names, axis=1).rename_axis("Model").reset_index()
        parts.append(f"<h2>{titles[of]}</h2>" + frame(table, "{:.4f}", captions[of].format(measure)))
    return "".join(parts)


def cost_section(done: pd.DataFrame) -> str:
    """Seconds, memory and energy of each row, means over its runs."""
    known = {name: form for name, form in COSTS.items() if name in done and done[name].notna().any()}
    if not any(name.startswith("cost ") for name in known):
        return ""
    means = done.groupby("label", sort=False)[list(known)].mean()
    table = pd.DataFrame({"Model": means.index})
    for name, (heading, form) in known.items():
        table[heading] = [None if pd.isna(value) else form(value) for value in means[name]]
    caption = "Mean over runs. An epoch without its validation; to the best epoch with the validations"
    caption += ". Memory of the whole process, also what RecBole and PyTorch take before they train."
    if "cost energy Wh" in known:
        caption += " Energy of the whole run, test included: CodeCarbon's estimate for the process, offline."
    return "<h2>Cost</h2>" + frame(table, "{}", caption)


def settings_section(done: pd.DataFrame, out: Path) -> str:
    """In what the rows differ."""
    table, own = differences(done, out)
    parts = []
    if len(table):
        caption = "Options whose values differ between rows; empty where a model has none."
        parts.append(frame(table.rename_axis("Option").reset_index(), "{}", caption, list(table.columns)))
    if own:
        rows = pd.DataFrame({"Model": list(own), "its own options": list(own.values())})
        parts.append(frame(rows, "{}", "Options that no other model of the study has.", ["its own options"]))
    return "<h2>Settings</h2>" + "".join(parts) if parts else ""


def significance_section(tests: pd.DataFrame) -> str:
    """The paired tests, who against whom."""
    if not len(tests):
        return ""
    metrics = tests["metric"].map(result_tables.title)
    table = pd.DataFrame({"Test": tests["best"] + " against " + tests["other"], "metric": metrics})
    table["users"] = tests["users"].map("{:,}".format)
    table["difference"] = tests["difference"].map("{:.4f}".format)
    for name in ("t-test", "Wilcoxon"):
        table[f"p, {name}"] = tests[f"p {name} Holm"]
    caption = "Paired tests over users, two-sided; p after Holm's correction. significance.csv has all of it."
    return "<h2>Significance</h2>" + frame(table, "{:.3g}", caption)


def runs_section(results: pd.DataFrame, selecting: str) -> str:
    """Every run with its test metrics and the validation metric `selecting`; results.csv has all of it."""
    named = results["label"] + results["seed"].map(", seed {:g}".format, na_action="ignore").fillna("")
    finished = (results["status"] == "finished").all()
    columns = {"Run": named} | ({} if finished else {"state": results["status"]})
    if "trained epochs" in results:
        columns["epochs"] = results["trained epochs"].map("{:g}".format, na_action="ignore")
    if f"valid {selecting}" in results:
        columns[f"validation {result_tables.title(selecting)}"] = results[f"valid {selecting}"]
    tested = [name.removeprefix("test ") for name in results if name.startswith("test ")]
    columns |= {result_tables.title(name): results[f"test {name}"] for name in tested if ":" not in name}
    columns |= {"error": results["error"]}
    known = {name: column for name, column in columns.items() if column.replace("", None).notna().any()}
    caption = "One training each, or results that were added. results.csv has all of it, and the folder of "
    caption += "each, where its log is."
    return "<h2>Runs</h2>" + frame(pd.DataFrame(known), "{:.4f}", caption, ["error"])


def about_section(done: pd.DataFrame, out: Path) -> str:
    """Data, versions, devices, trials."""
    entries = provenance(done, out)
    return f"<h2>Data and versions</h2>{listing(entries)}" if any(n != "Settings" for n in entries) else ""
