"""Tables, plots and the page of a study."""

import base64
import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread

from recbole_micro.studies import report, result_tables
from recbole_micro.studies.results import named_rankings
from recbole_micro.studies.worker import EPOCHS, RESULT, USERS

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
QUIET = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
QUIET += ["--disable-background-networking", "--disable-component-update", "--hide-scrollbars"]

VALUES = {"BPR": 0.10, "MICRO (knn_k=5)": 0.20, "MICRO (knn_k=10)": 0.16}


@pytest.fixture
def study(tmp_path):
    """A finished study of three labels and two seeds, one more run failed; (results, folder)."""
    rng = np.random.default_rng(1)
    easy, rows = 0.1 * rng.random(30), []
    for label, value in VALUES.items():
        k = int(label[-3:-1].strip("=")) if "=" in label else np.nan
        for seed in (1, 2):
            folder = tmp_path / "runs" / f"{len(rows)}"
            folder.mkdir(parents=True)
            users = value + easy + 0.01 * rng.random(30) + 0.01 * seed
            columns = {"user": [f"u{u}" for u in range(30)], "recall@5": users, "ndcg@5": 1 - users}
            pd.DataFrame(columns).to_parquet(folder / USERS)
            (folder / RESULT).write_text(json.dumps({"valid_metric": "Recall@5"}))
            lines = [f"{e},{1 / e},{value * e / 3 if e % 2 else ''}" for e in range(1, 6)]
            (folder / EPOCHS).write_text("\n".join(["epoch,train_loss,recall@5", *lines]) + "\n")
            row = {
                "label": label,
                "model": label.split(" ")[0],
                "knn_k": k,
                "seed": seed,
                "status": "finished",
            }
            row |= {"folder": f"runs/{len(rows)}", "error": "", "protocol": "paper", "valid recall@5": value}
            rows.append(row | {"test recall@5": users.mean(), "test ndcg@5": (1 - users).mean()})
    failed = {"label": "VBPR", "model": "VBPR", "seed": 1, "status": "failed", "error": "no <features>"}
    return pd.DataFrame([*rows, failed | {"folder": "runs/9"}]), tmp_path


def test_best_second_improvement_and_caption(study):
    results, out = study
    report.write(results, out, "tiny")
    summary = result_tables.summarize(results, "tiny")
    best, second = summary.mean["recall@5"].sort_values(ascending=False).iloc[:2]
    text = (out / "table.md").read_text()
    lines = [line.split(" | ") for line in text.splitlines() if line.startswith("|")]
    assert lines[0][1:] == ["Recall@5", "NDCG@5 |"]
    assert [line[0] for line in lines[2:]] == [*(f"| {label}" for label in VALUES), "| Improvement"]
    std = results.loc[results["label"] == "MICRO (knn_k=5)", "test recall@5"].std()
    assert lines[3][1] == f"**{best:.4f} ± {std:.4f}***"
    assert lines[4][1].startswith(f"<u>{second:.4f} ± ")
    assert lines[2][2].startswith("**")
    assert lines[5][1] == f"{100 * (best - second) / second:.2f} %"
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
    assert len(rows) == 5 and {row.count("&") for row in rows} == {2}
    assert r"\begin{tabular}{lrr}" in text and r"\%" in rows[-1]
    assert text.count("{") == text.count("}")
    assert not re.search(r"(?<!\\)[_%]", text)


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="no TeX")
def test_latex_compiles(study):
    results, out = study
    report.write(results, out, "tiny")
    head = r"\documentclass{article}\usepackage{booktabs}\begin{document}\input{table.tex}\end{document}"
    (out / "main.tex").write_text(head)
    ran = subprocess.run(["pdflatex", "-interaction=batchmode", "main.tex"], cwd=out, timeout=120)
    assert ran.returncode == 0


def test_smaller_can_be_better():
    mean = pd.DataFrame(
        {"averagepopularity@5": [3.0, 2.0, 4.0], "cold:recall@5": [0.1, np.nan, 0.3]}, list("abc")
    )
    summary = result_tables.Summary(mean, mean * np.nan, pd.Series([1, 1, 1], list("abc")), set(), "")
    assert summary.ranks("averagepopularity@5") == {"b": 1, "a": 2}
    assert summary.improvement("averagepopularity@5") == pytest.approx(100 / 3)
    assert summary.ranks("cold:recall@5") == {"c": 1, "a": 2}
    text = result_tables.markdown(summary)
    assert "cold: Recall@5" in text and "| b | **2.0000** | – |" in text


class Page(HTMLParser):
    """The tags and references of a page; every tag must be closed."""

    def __init__(self, text: str):
        super().__init__()
        self.open, self.images, self.outside = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if tag == "img":
            self.images.append(values)
        self.outside += [values[name] for name in ("href", "src") if name in values and tag != "img"]
        if tag not in ("img", "meta"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_whole_and_self_contained(study):
    results, out = study
    path = report.write(results, out, "tiny")
    page = Page(path.read_text())
    assert page.open == [] and page.outside == []
    files = sorted(file.name for file in (out / "figures").iterdir())
    assert files == ["bars-ndcg5.png", "bars-recall5.png", "learning.png", "sensitivity-knn_k.png"]
    inlined = [base64.b64decode(image["src"].removeprefix("data:image/png;base64,")) for image in page.images]
    assert sorted(inlined) == sorted((out / "figures" / name).read_bytes() for name in files)
    assert all(image["alt"] for image in page.images)
    text = path.read_text()
    assert "7 runs: 6 finished, 1 failed." in text and "no &lt;features&gt;" in text
    assert "width=device-width" in text


def test_plots_have_ink_and_the_width_of_a_column(study):
    results, out = study
    report.write(results, out, "tiny")
    for path in (out / "figures").iterdir():
        picture = imread(path)[..., :3]
        assert 600 < picture.shape[1] < 760  # 3.5 inches at 200 dots
        assert (picture.mean(axis=2) < 0.5).mean() > 0.003


def test_cold_items_have_bars_of_their_own(study):
    results, out = study
    for front in ("cold_all", "cold", "warm"):
        results[f"test {front}:recall@5"] = results["test recall@5"] / 2
    results.loc[results["label"] == "BPR", "test cold:recall@5"] = np.nan
    report.write(results, out, "tiny")
    assert (out / "figures" / "cold-recall5.png").is_file()
    assert "cold: Recall@5" in (out / "table.md").read_text()


def test_a_study_without_a_finished_run_has_a_page(study):
    results, out = study
    results = results[results["status"] == "failed"].dropna(axis=1)
    text = report.write(results, out, "tiny").read_text()
    assert "1 runs: 1 failed." in text and "<img" not in text


def long_labels(results: pd.DataFrame) -> pd.DataFrame:
    """The study with more options in its settings, changed one at a time, and so with long labels."""
    results = results.copy()
    micro = results["model"] == "MICRO"
    results.loc[micro, "lambda_coeff"], results.loc[micro, "beta"] = 0.4, 0.03
    other = results[micro & (results["knn_k"] == 5)].assign(beta=0.1)
    results = pd.concat([results, other], ignore_index=True)
    settings = results[["knn_k", "lambda_coeff", "beta"]].itertuples(index=False)
    results["label"] = [
        model if np.isnan(k) else f"{model} (knn_k={k:.0f}, lambda_coeff={c}, beta={beta})"
        for model, (k, c, beta) in zip(results["model"], settings, strict=True)
    ]
    return results


def test_labels_of_plots_name_only_what_differs(study):
    results, _ = study
    results = long_labels(results)
    done = results[results["status"] == "finished"]
    varied = report.varied_options(done)
    assert varied == ["knn_k", "lambda_coeff", "beta"]
    labels, note = report.short_labels(done, varied)
    front = "MICRO (knn_k={}, lambda_coeff=0.4, beta={})"
    assert labels == {
        "BPR": "BPR",
        front.format(5, 0.03): "MICRO",
        front.format(10, 0.03): "MICRO (knn_k=10)",
        front.format(5, 0.1): "MICRO (beta=0.1)",
    }
    assert note == "; knn_k=5, beta=0.03 where a label of MICRO does not say otherwise"
    grid = pd.concat([done, done[done["knn_k"] == 10].assign(beta=0.1, label="fourth")])
    labels, note = report.short_labels(grid, varied)
    assert labels["fourth"] == "MICRO (knn_k=10, beta=0.1)" and note == ""
    assert labels[front.format(5, 0.03)] == "MICRO (knn_k=5, beta=0.03)"


def test_only_the_best_curves_are_drawn_where_there_are_many():
    curves = {f"m{n}": pd.DataFrame({1: [0.0, n / 100, np.nan]}) for n in range(12)}
    assert list(report.best_curves(curves, "recall@5")) == [f"m{n}" for n in range(4, 12)]
    peaks = {f"m{n}": pd.DataFrame({1: [n / 100, n / 100]}) for n in range(12)}
    assert list(report.best_curves(peaks, "averagepopularity@5")) == [f"m{n}" for n in range(8)]


def test_one_look_at_the_validation_set_is_no_curve(study):
    results, out = study
    for folder in results["folder"][:-1]:
        (out / folder / EPOCHS).write_text("epoch,train_loss,recall@5\n1,0.5,\n2,0.4,0.1\n")
    report.write(results, out, "tiny")
    assert not (out / "figures" / "learning.png").exists()


# Run by the browser at the end of a copy of the page; what it finds stands in the title.
MEASURE = """<script>
const page = document.documentElement, images = [...document.images];
const blank = images.filter(image => !(image.naturalWidth > 0)).length;
const wide = images.filter(image => image.getBoundingClientRect().right > innerWidth).length;
const found = {inner: innerWidth, scroll: page.scrollWidth, body: document.body.scrollWidth};
document.title = JSON.stringify({...found, images: images.length, blank, wide});
</script>"""


def in_browser(page: str, folder, width: int) -> dict:
    """What MEASURE finds on the page in a window of that width.

    Headless windows have a least width of their own, so the page is in a frame.
    """
    (folder / "inner.html").write_text(page.replace("</body>", f"{MEASURE}</body>"))
    listen = "frame.onload = () => document.title = frame.contentDocument.title"
    frame = (
        f'<iframe id="frame" src="inner.html" style="width: {width}px; height: 800px; border: 0"></iframe>'
    )
    (folder / "outer.html").write_text(f"<title>-</title>{frame}<script>{listen}</script>")
    flags = [*QUIET, "--allow-file-access-from-files", f"--user-data-dir={folder / 'profile'}"]
    command = [BROWSER, *flags, "--window-size=1280,1000", "--virtual-time-budget=5000", "--dump-dom"]
    ran = subprocess.run(
        [*command, (folder / "outer.html").as_uri()], capture_output=True, text=True, timeout=120
    )
    return json.loads(html.unescape(re.search("<title>(.*?)</title>", ran.stdout)[1]))


@pytest.mark.skipif(not BROWSER, reason="no browser")
@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_shows_all_pictures_and_nothing_beyond_the_edge(width, study, tmp_path):
    results, out = study
    results = long_labels(results)
    for front in ("cold_all", "cold", "warm"):
        results[f"test {front}:recall@5"] = results["test recall@5"] / 2
    page = report.write(results, out, "tiny", before="<p>Something above.</p>").read_text()
    assert not re.search("https?:|//[a-z]", re.sub('base64,[^"]*', "", page))
    browser = tmp_path / "browser"
    browser.mkdir()
    found = in_browser(page, browser, width)
    assert found == {
        "inner": width,
        "scroll": width,
        "body": found["body"],
        "images": 6,
        "blank": 0,
        "wide": 0,
    }
    assert found["body"] <= width
    if width < 600:  # the measurement sees what is too wide, and what is no picture
        broken = page.replace("<h1>", '<img src="data:image/png;base64,AAAA"><h1 style="width: 50rem">')
        found = in_browser(broken, browser, width)
        assert found["scroll"] > width and found["blank"] == 1


def test_a_cold_start_result_of_an_earlier_version_has_todays_names():
    """Its plain names were those of cold items among all."""
    old = {"recall@5": 0.1, "cold:recall@5": 0.2, "warm:recall@5": 0.3}
    assert named_rankings(old) == {"cold_all:recall@5": 0.1, "cold:recall@5": 0.2, "warm:recall@5": 0.3}
    today = {"recall@5": 0.25, "cold_all:recall@5": 0.1, "cold:recall@5": 0.2}
    assert named_rankings(today) == today and named_rankings({"recall@5": 0.4}) == {"recall@5": 0.4}
