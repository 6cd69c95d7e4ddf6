"""The report of a study: tables, plots and one self-contained page, drawn anew from its folder."""

import base64
import html
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dataset_tools.files import write_text
from recbole_micro.evaluation import significance
from recbole_micro.studies import plots, result_tables
from recbole_micro.studies.worker import EPOCHS, RESULT, USERS

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem; color: #222; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
caption { text-align: left; padding-bottom: .5rem; color: #444; }
caption span { display: block; position: sticky; left: 0; max-width: calc(min(100vw, 60rem) - 3rem); }
th, td { padding: .3rem .6rem; text-align: right; border-bottom: 1px solid #ddd; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; white-space: normal; min-width: 7rem; }
thead th { border-bottom: 2px solid #444; }
.plots { display: flex; flex-wrap: wrap; gap: 1rem; } figure { margin: 0; flex: 1 1 20rem; max-width: 30rem; }
figure img { max-width: 100%; height: auto; } figcaption { color: #444; font-size: .9rem; }
"""
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
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


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
    files = {label: user_files(rows, out) for label, rows in done.groupby("label", sort=False)}
    files = {label: found for label, found in files.items() if found}
    tests = significance.best_against_others(files, [name for name in metrics if ":" not in name])
    summary = result_tables.summarize(results, dataset, significance.marked(tests))
    write_text(out / "table.md", result_tables.markdown(summary))
    write_text(out / "table.tex", result_tables.latex(summary))
    write_text(out / "table.csv", result_tables.csv(summary))
    write_text(out / "significance.csv", tests.to_csv(index=False) if len(tests) else "")
    figures = draw(results, summary, out, dataset) if len(done) else []
    page = out / "report.html"
    heading = heading or f"Comparison on {dataset}"
    write_text(page, page_text(heading, before, results, summary, tests, figures))
    return page


def user_files(rows: pd.DataFrame, out: Path) -> list[Path]:
    """The per-user files of these runs (rows of the table of results), where there are any."""
    return [path for folder in rows["folder"] if (path := out / folder / USERS).is_file()]


def draw(
    results: pd.DataFrame, summary: result_tables.Summary, out: Path, dataset: str
) -> list[tuple[Path, str]]:
    """Every plot that the study has data for, with its caption."""
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
    return [name for name in done if name not in fixed and name.split(" ")[0] not in ("valid", "test")]


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


def page_text(
    heading: str,
    before: str,
    results: pd.DataFrame,
    summary: result_tables.Summary,
    tests: pd.DataFrame,
    figures: list[tuple[Path, str]],
) -> str:
    """The page: everything inside one file that opens anywhere."""
    counts = results["status"].value_counts()
    state = ", ".join(f"{count} {status}" for status, count in counts.items())
    parts = [f"<h1>{html.escape(heading)}</h1><p>{len(results)} runs: {state}.</p>", before]
    if len(summary.mean):
        parts += ["<h2>Results</h2>", result_tables.as_html(summary)]
    if figures:
        shown = "".join(figure_text(path, text) for path, text in figures)
        parts += ["<h2>Plots</h2>", f'<div class="plots">{shown}</div>']
    if len(tests):
        parts += ["<h2>Significance</h2>", frame(tests, "{:.3g}", "Paired tests over users, Holm-corrected.")]
    shown = results.drop(columns="error") if not results["error"].any() else results
    for name in shown.select_dtypes("number"):
        if not name.startswith(("valid ", "test ")):  # options and counts as they are
            shown = shown.assign(**{name: shown[name].map("{:g}".format, na_action="ignore")})
    parts += ["<h2>Runs</h2>", frame(shown, "{:.4f}", "One training each; the folder has its log.")]
    return document(heading, "".join(parts))


def document(heading: str, body: str) -> str:
    """A whole HTML page, in which no script runs and nothing is fetched, whatever its texts say."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(heading)}</title><style>{STYLE}</style></head><body>{body}</body></html>\n"
    )


def figure_text(path: Path, text: str) -> str:
    """A picture inside the page."""
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    label = html.escape(text)
    image = f'<img alt="{label}" src="data:image/png;base64,{data}">'
    return f"<figure>{image}<figcaption>{label}</figcaption></figure>"


def frame(table: pd.DataFrame, digits: str, caption: str) -> str:
    """A table of any content as HTML; `digits` formats its floats, such as `{:.4f}`."""
    text = table.to_html(index=False, border=0, na_rep="", float_format=digits.format, escape=True)
    text = text.replace("<thead>", f"<caption><span>{html.escape(caption)}</span></caption><thead>", 1)
    return f'<div class="wide">{text}</div>'
