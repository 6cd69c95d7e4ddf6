"""Tables of results for people: Markdown, LaTeX, CSV, HTML from one summary of a study."""

import math
from collections.abc import Collection
from dataclasses import dataclass

import pandas as pd

from recbole_micro.evaluation.significance import ALPHA, smaller_is_better

LATEX = {"_": r"\_", "%": r"\%", "&": r"\&", "#": r"\#", "$": r"\$", "{": r"\{", "}": r"\}", "~": r"$\sim$"}
PROTOCOL_TEXTS = {
    "recbole": "protocol recbole: training and validation items masked at test",
    "paper": "protocol paper: training items masked at test",
}
CAPITALS = ("ndcg", "mrr", "map", "auc", "gauc")
NAMES = {  # of metrics that are several words
    "itemcoverage": "Item coverage",
    "giniindex": "Gini index",
    "averagepopularity": "Average popularity",
    "tailpercentage": "Tail percentage",
    "shannonentropy": "Shannon entropy",
}
FORMS = {  # how a cell's value is written, the best one, the second best
    "markdown": ("{}", "**{}**", "<u>{}</u>"),
    "latex": ("{}", r"\textbf{{{}}}", r"\underline{{{}}}"),
    "html": ("{}", "<strong>{}</strong>", "<u>{}</u>"),
}


@dataclass
class Summary:
    """Means and standard deviations [labels x metrics] over seeds, their number, the mark of significance."""

    mean: pd.DataFrame
    std: pd.DataFrame
    seeds: pd.Series
    marks: set[tuple[str, str]]
    caption: str

    @property
    def metrics(self) -> list[str]:
        """The metrics in the order of the configuration."""
        return list(self.mean.columns)

    def ranks(self, metric: str) -> dict[str, int]:
        """The labels whose value is the best (1) or the second best (2) one."""
        values = self.mean[metric].dropna()
        if len(values) < 2:
            return {}
        ordered = sorted(values.unique(), reverse=not smaller_is_better(metric))[:2]
        return {label: ordered.index(value) + 1 for label, value in values.items() if value in ordered}

    def improvements(self) -> dict[tuple[str, str], dict[str, float]]:
        """By how many per cent the best value is better than the second, by (best, second) and metric.

        A metric without a second value, or with one of 0, is in none.
        """
        found: dict[tuple[str, str], dict[str, float]] = {}
        for metric in self.metrics:
            by_rank = {rank: label for label, rank in self.ranks(metric).items()}
            if len(by_rank) == 2 and self.mean.loc[by_rank[2], metric]:
                best, second = (self.mean.loc[by_rank[rank], metric] for rank in (1, 2))
                pair = found.setdefault((by_rank[1], by_rank[2]), {})
                pair[metric] = 100 * abs(best - second) / abs(second)
        return found


def summarize(results: pd.DataFrame, dataset: str, marks: Collection[tuple[str, str]] = ()) -> Summary:
    """The finished runs of `results.csv`, averaged per label; `marks`: (label, metric) pairs to star."""
    done = results[results["status"] == "finished"]
    columns = {name: name.removeprefix("test ") for name in done.columns if name.startswith("test ")}
    groups = done.groupby("label", sort=False)
    mean = groups[list(columns)].mean().rename(columns=columns)
    std = groups[list(columns)].std().rename(columns=columns)
    seeds = groups["seed"].count()
    return Summary(mean, std, seeds, set(marks), caption(dataset, done, seeds, marks))


def caption(dataset: str, done: pd.DataFrame, seeds: pd.Series, marks: Collection[tuple[str, str]]) -> str:
    """Data set, seeds, protocol, and what the signs mean."""
    counts = sorted(set(seeds))
    number = "no" if not counts else str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    text = f"Test results on {dataset}, mean" + (" ± std" if counts and counts[-1] > 1 else "")
    text += f" of {number} seed{'' if counts == [1] else 's'}"
    columns = [column for column in ("protocol", "note") if column in done]
    for name, *notes in dict.fromkeys(done[columns].fillna("").itertuples(index=False, name=None)):
        note = ", ".join(filter(None, notes))
        text += f"; {PROTOCOL_TEXTS.get(name, f'protocol {name}')}" + (f", {note}" if note else "")
    text += ". Best bold, second underlined" + (
        "; below, what is better by how much." if len(seeds) > 1 else "."
    )
    if marks:
        text += (
            f" * better than every other model, in the paired t-test and the Wilcoxon test over users,"
            f" two-sided, Holm-corrected, alpha = {ALPHA}."
        )
    return text


def value_text(summary: Summary, label: str, metric: str, plus_minus: str = " ± ") -> str:
    """A cell: mean, standard deviation where there is one, mark."""
    mean, std = summary.mean.loc[label, metric], summary.std.loc[label, metric]
    if math.isnan(mean):
        return "–"
    text = f"{mean:.4f}" + ("" if math.isnan(std) else f"{plus_minus}{std:.4f}")
    return text + ("*" if (label, metric) in summary.marks else "")


def body(summary: Summary, form: str, plus_minus: str = " ± ") -> list[list[str]]:
    """A row per label: label, cells.  `form` is a key of FORMS."""
    ranks = {metric: summary.ranks(metric) for metric in summary.metrics}

    def cell(label: str, metric: str) -> str:
        return FORMS[form][ranks[metric].get(label, 0)].format(value_text(summary, label, metric, plus_minus))

    return [[label, *(cell(label, metric) for metric in summary.metrics)] for label in summary.mean.index]


def gains(summary: Summary) -> list[list[str]]:
    """A row per pair of a best and a second label: which over which, and by how many per cent."""
    return [
        [
            f"{best} over {second}",
            *(f"{found[metric]:.2f} %" if metric in found else "–" for metric in summary.metrics),
        ]
        for (best, second), found in summary.improvements().items()
    ]


def markdown(summary: Summary) -> str:
    """A Markdown table under its caption."""
    header = ["Model", *map(title, summary.metrics)]
    rows = [header, ["---", *["---:"] * len(summary.metrics)], *body(summary, "markdown"), *gains(summary)]
    lines = ["| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |" for row in rows]
    return f"{summary.caption}\n\n" + "\n".join(lines) + "\n"


def latex(summary: Summary) -> str:
    """A LaTeX table environment; it needs the package booktabs."""
    rows = body(summary, "latex", r" $\pm$ ")
    lines = [r"\begin{table}", r"\centering", rf"\caption{{{escape(summary.caption)}}}"]
    lines += [rf"\begin{{tabular}}{{l{'r' * len(summary.metrics)}}}", r"\toprule"]
    lines += [" & ".join(["Model", *(escape(title(metric)) for metric in summary.metrics)]) + r" \\"]
    lines += [r"\midrule"]
    added = [[label, *(cell.replace("%", r"\%") for cell in cells)] for label, *cells in gains(summary)]
    for number, row in enumerate([*rows, *added]):
        lines += [r"\midrule"] if added and number == len(rows) else []
        lines.append(" & ".join([escape(row[0]), *(cell.replace("–", "--") for cell in row[1:])]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}", ""])


def escape(text: str) -> str:
    """Text for LaTeX."""
    return "".join(LATEX.get(c, c) for c in text).replace("±", r"$\pm$").replace("–", "--")


def csv(summary: Summary) -> str:
    """Means and standard deviations in full precision."""
    columns = {"model": summary.mean.index, "seeds": summary.seeds.to_numpy()}
    for metric in summary.metrics:
        columns |= {metric: summary.mean[metric].to_numpy(), f"{metric} std": summary.std[metric].to_numpy()}
    return pd.DataFrame(columns).to_csv(index=False)


def title(metric: str) -> str:
    """A metric's name for people: `cold_all:ndcg@20` is `cold, all: NDCG@20`."""
    front, _, name = metric.rpartition(":")
    front = front.replace("_", ", ")
    name, at, k = name.partition("@")
    name, under, form = name.partition("_")
    name = NAMES.get(name) or (name.upper() if name in CAPITALS else name.capitalize())
    return (f"{front}: " if front else "") + name + under + form + at + k
