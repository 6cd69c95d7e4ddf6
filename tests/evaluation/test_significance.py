"""Tests over users, against SciPy by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from recbole_micro.evaluation import significance


@pytest.fixture
def files(tmp_path):
    """Three models, two seeds, 40 users (the last one tested with one seed only)."""
    rng = np.random.default_rng(3)
    base, found = rng.random(40), {}
    for shift, label in enumerate(("A", "B", "C")):
        found[label] = []
        for seed in range(2):
            users = [f"u{user}" for user in range(40 - seed)]
            values = (base + 0.05 * shift + 0.05 * rng.standard_normal(40))[: len(users)]
            columns = {"user": users, "recall@5": values, "ndcg@5": -values}
            path = tmp_path / f"{label}{seed}.parquet"
            pd.DataFrame(columns).sample(frac=1, random_state=seed).to_parquet(path)
            found[label].append(path)
    return found


def by_user(paths, metric):
    """{user: mean over the files that have the user}, without the code under test."""
    values = {}
    for path in paths:
        for row in pd.read_parquet(path).to_dict("records"):
            values.setdefault(row["user"], []).append(row[metric])
    return {user: float(np.mean(found)) for user, found in values.items()}


def test_tests_are_scipys(files):
    table = significance.best_against_others(files, ["recall@5", "ndcg@5", "absent@5"])
    assert list(zip(table["metric"], table["best"], table["other"], strict=True)) == [
        ("recall@5", "C", "A"),
        ("recall@5", "C", "B"),
        ("ndcg@5", "A", "B"),
        ("ndcg@5", "A", "C"),
    ]
    for row in table.to_dict("records"):
        best, other = (by_user(files[row[side]], row["metric"]) for side in ("best", "other"))
        users = sorted(best)
        pair = [best[user] for user in users], [other[user] for user in users]
        t, w = stats.ttest_rel(*pair), stats.wilcoxon(*pair)
        assert row["users"] == 40
        assert row["difference"] == pytest.approx(np.mean(pair[0]) - np.mean(pair[1]))
        assert row["t"] == pytest.approx(t.statistic) and row["p t-test"] == pytest.approx(t.pvalue)
        assert row["W"] == pytest.approx(w.statistic) and row["p Wilcoxon"] == pytest.approx(w.pvalue)
    smallest = table["p t-test"].idxmin()
    assert table.loc[smallest, "p t-test Holm"] == pytest.approx(4 * table.loc[smallest, "p t-test"])


def test_the_best_is_the_smallest_where_smaller_is_better(tmp_path):
    files = {}
    for label, shift in {"low": 0.5, "high": 5.5}.items():
        files[label] = [tmp_path / f"{label}.parquet"]
        values = shift + np.arange(20) / 100
        pd.DataFrame({"user": range(20), "averagepopularity@5": values}).to_parquet(files[label][0])
    table = significance.best_against_others(files, ["averagepopularity@5"])
    assert list(table["best"]) == ["low"]


def test_holm_by_hand():
    assert significance.holm([0.04, 0.01, 0.03, 0.5]) == pytest.approx([0.09, 0.04, 0.09, 0.5])
    assert significance.holm([0.5, 0.6]) == pytest.approx([1, 1])


def test_equal_and_constantly_better_users():
    ones = np.ones(10)
    assert significance.paired(ones, ones)["p t-test"] == significance.paired(ones, ones)["p Wilcoxon"] == 1
    better = significance.paired(ones, ones - 0.5)
    assert better["t"] == np.inf and better["p t-test"] == 0 and better["p Wilcoxon"] < 0.01


def test_a_mark_needs_both_tests_against_every_other_model(files):
    table = significance.best_against_others(files, ["recall@5", "ndcg@5"])
    assert significance.marked(table) == {("C", "recall@5"), ("A", "ndcg@5")}
    table.loc[0, "p Wilcoxon Holm"] = 0.06
    assert significance.marked(table) == {("A", "ndcg@5")}
    assert significance.marked(table, alpha=0.1) == {("C", "recall@5"), ("A", "ndcg@5")}
    assert significance.marked(significance.best_against_others({"A": files["A"]}, ["recall@5"])) == set()
