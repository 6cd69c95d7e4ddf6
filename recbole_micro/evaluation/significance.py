"""Whether the best model is better than the others: paired tests over users, corrected for their number."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from recbole.evaluator.register import metrics_dict
from scipy.stats import ttest_rel, wilcoxon

ALPHA = 0.05


def smaller_is_better(metric: str) -> bool:
    """Whether RecBole says so of the metric, e.g. of `giniindex@20`."""
    return metrics_dict[metric.rpartition(":")[2].partition("@")[0].lower()].smaller


def user_means(files: Sequence[str | Path]) -> pd.DataFrame:
    """Each user's metrics averaged over the runs (seeds) in which the user was tested; index: user."""
    return pd.concat([pd.read_parquet(file) for file in files]).groupby("user").mean()


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Holm's adjusted p values: `max over j <= i of min(1, (m - j) p_(j))` in ascending order, from j = 0."""
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p)
    stepped = np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order])
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted


def paired(best: np.ndarray, other: np.ndarray) -> dict[str, float]:
    """Two-sided paired t-test and Wilcoxon signed-rank test of two [n_users] columns."""
    difference = best - other
    if not difference.any():
        return {"t": 0.0, "p t-test": 1.0, "W": 0.0, "p Wilcoxon": 1.0}
    if np.ptp(difference) == 0:  # the t statistic is infinite
        t, p = np.copysign(np.inf, difference[0]), 0.0
    else:
        t, p = ttest_rel(best, other)
    w = wilcoxon(best, other)
    return {"t": float(t), "p t-test": float(p), "W": float(w.statistic), "p Wilcoxon": float(w.pvalue)}


def best_against_others(files: Mapping[str, Sequence[str | Path]], metrics: Sequence[str]) -> pd.DataFrame:
    """The best model of every metric against each other one, one row per test.

    `files`: the per-user files of every model, one per seed.  Models are compared on the users both have;
    Holm goes over models and metrics together.
    Columns: metric, best, other, users, difference of the means, t, W, and per test p and p after Holm.
    """
    means = {label: user_means(found) for label, found in files.items()}
    rows = []
    for metric in metrics:
        known = {label: table[metric].dropna() for label, table in means.items() if metric in table}
        if not known:
            continue
        choose = min if smaller_is_better(metric) else max
        best = choose(known, key=lambda label: known[label].mean())
        for other in known:
            users = known[best].index.intersection(known[other].index)
            if other == best or len(users) < 2:
                continue
            pair = known[best][users].to_numpy(), known[other][users].to_numpy()
            row = {"metric": metric, "best": best, "other": other, "users": len(users)}
            rows.append(row | {"difference": float(np.mean(pair[0] - pair[1]))} | paired(*pair))
    table = pd.DataFrame(rows)
    for test in ("t-test", "Wilcoxon") if rows else ():
        table[f"p {test} Holm"] = holm(table[f"p {test}"])
    return table


def marked(table: pd.DataFrame, alpha: float = ALPHA) -> set[tuple[str, str]]:
    """(best label, metric) pairs where both tests reject equality with every other model after Holm."""
    if table.empty:
        return set()
    worst = table.groupby(["best", "metric"])[["p t-test Holm", "p Wilcoxon Holm"]].max().max(axis=1)
    return {pair for pair, p in worst.items() if p < alpha}
