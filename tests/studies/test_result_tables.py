"""The table of a study: means, ranks, marks, and its forms for papers."""

import re
import shutil

import numpy as np
import pandas as pd
import pytest

from recbole_micro.studies import report, result_tables
from tests.support.processes import run_python


def test_best_second_improvement_and_caption(study):
    results, out = study
    report.write(results, out, "tiny")
    summary = result_tables.summarize(results, "tiny")
    best, second = summary.mean["recall@5"].sort_values(ascending=False).iloc[:2]
    text = (out / "table.md").read_text()
    lines = [line.split(" | ") for line in text.splitlines() if line.startswith("|")]
    assert lines[0][1:] == ["Recall@5", "NDCG@5 |"]
    assert [line[0] for line in lines[2:]] == [
        "| BPR",
        "| MICRO (knn_k=5)",
        "| MICRO (knn_k=10)",
        "| MICRO (knn_k=5) over MICRO (knn_k=10)",
        "| BPR over MICRO (knn_k=10)",
    ]
    std = results.loc[results["label"] == "MICRO (knn_k=5)", "test recall@5"].std()
    assert lines[3][1] == f"**{best:.4f} ± {std:.4f}***"
    assert lines[4][1].startswith(f"<u>{second:.4f} ± ")
    assert lines[2][2].startswith("**")
    assert lines[5][1:] == [f"{100 * (best - second) / second:.2f} %", "– |"] and lines[6][1] == "–"
    caption = text.splitlines()[0]
    for part in ("on tiny", "of 2 seeds", "protocol paper: training items masked", "paired t-test", "0.05"):
        assert part in caption
    table = pd.read_csv(out / "table.csv")
    assert table["recall@5"].tolist() == pytest.approx(summary.mean["recall@5"].tolist(), abs=1e-12)
    assert set(table["seeds"]) == {2}


def test_latex_has_the_shape_of_a_table(study):
    results, out = study
    report.write(results, out, "tiny_2")
    text = (out / "table.tex").read_text()
    assert r"tiny\_2" in text and r"MICRO (knn\_k=5)" in text and r" $\pm$ " in text
    body = text[text.index(r"\toprule") : text.index(r"\bottomrule")]
    rows = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert len(rows) == 6 and {row.count("&") for row in rows} == {2}
    assert r"\begin{tabular}{lrr}" in text and r"\%" in rows[-1]
    assert text.count("{") == text.count("}")
    assert not re.search(r"(?<!\\)[_%]", text)


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="no TeX")
def test_latex_compiles(study):
    results, out = study
    report.write(results, out, "tiny")
    head = r"\documentclass{article}\usepackage{booktabs}\begin{document}\input{table.tex}\end{document}"
    (out / "main.tex").write_text(head)
    ran = run_python("-interaction=batchmode", "main.tex", cwd=out, program="pdflatex")
    assert ran.returncode == 0, ran.stdout


def test_smaller_can_be_better():
    mean = pd.DataFrame(
        {"averagepopularity@5": [3.0, 2.0, 4.0], "cold:recall@5": [0.1, np.nan, 0.3]}, list("abc")
    )
    summary = result_tables.Summary(mean, mean * np.nan, pd.Series([1, 1, 1], list("abc")), set(), "")
    assert summary.ranks("averagepopularity@5") == {"b": 1, "a": 2}
    gains = summary.improvements()
    assert gains["b", "a"] == {"averagepopularity@5": pytest.approx(100 / 3)}
    assert gains["c", "a"] == {"cold:recall@5": pytest.approx(200)}
    assert summary.ranks("cold:recall@5") == {"c": 1, "a": 2}
    text = result_tables.markdown(summary)
    assert "cold: Recall@5" in text and "| b | **2.0000** | – |" in text
