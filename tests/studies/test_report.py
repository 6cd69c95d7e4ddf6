"""The page of a study and its plots."""

import base64
import html
import io
import json
import re
import shutil
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from recbole_micro.studies import plots, report
from recbole_micro.studies.details import EPOCHS, ITEMS, USERS
from recbole_micro.studies.report import figures, groups, sections
from recbole_micro.studies.report import page as pages
from recbole_micro.studies.results import named_rankings
from recbole_micro.studies.worker import CONFIG, RESULT
from tests.support.processes import run_python

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]


QUIET += ["--disable-background-networking", "--disable-component-update", "--hide-scrollbars"]


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
        if tag not in ("img", "meta", "wbr"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_whole_and_self_contained(study):
    results, out = study
    path = report.write(results, out, "tiny")
    page = Page(path.read_text())
    assert page.open == [] and page.outside == []
    files = sorted(file.name for file in (out / "figures").iterdir())
    bars = ["bars-ndcg5.png", "bars-recall5.png"]
    assert files == [*bars, "items.png", "learning.png", "sensitivity-knn_k.png", "users.png"]
    inlined = [base64.b64decode(image["src"].removeprefix("data:image/png;base64,")) for image in page.images]
    assert sorted(inlined) == sorted((out / "figures" / name).read_bytes() for name in files)
    assert all(image["alt"] for image in page.images)
    text = path.read_text()
    assert "7 runs: 6 finished, 1 failed." in text and "no &lt;features&gt;" in text
    assert "width=device-width" in text


def table_of(text: str, heading: str, number: int = 0) -> pd.DataFrame:
    """A table below a heading of the page, its first column as the index."""
    below = text.replace("<wbr>", "").partition(f"<h2>{heading}</h2>")[2]
    part = below.split("<table>")[number + 1].partition("</table>")[0]
    head, *rows = [re.findall("<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall("<tr.*?</tr>", part)]
    table = pd.read_csv(io.StringIO(pd.DataFrame(rows, columns=head).to_csv(index=False)))
    return table.set_index(head[0])


def test_what_is_known_of_users_items_costs_and_settings(study):
    results, out = study
    (out / "tuned.json").write_text(json.dumps({"MICRO": {"trials": 20, "study": "studies/<tune>"}}))
    text = report.write(results, out, "tiny").read_text()
    users = table_of(text, "By activity of users")
    assert list(users) == ["1–3 (6)", "4–6 (6)", "7–9 (6)", "10–12 (6)", "13–15 (6)"]
    known = [pd.read_parquet(out / folder / USERS) for folder in ("runs/0", "runs/1")]
    mean = pd.concat(known).query("4 <= train <= 6")["recall@5"].mean()
    assert users.loc["BPR", "4–6 (6)"] == pytest.approx(mean, abs=1e-4)
    items = table_of(text, "By popularity of items")
    assert list(items) == ["0–1 (8)", "2–3 (8)", "4–5 (8)", "6–7 (8)", "8–9 (8)"]
    assert items.loc["MICRO (knn_k=5)"].tolist() == [0, 0, 0, 0, 1] and items.loc["BPR", "8–9 (8)"] == 0.5
    cost = table_of(text, "Cost").loc["BPR"]
    names = ["s / epoch", "s to best epoch", "peak memory, MiB", "energy, Wh"]
    assert cost[names].tolist() == [2.5, 8.25, 850, 0.125] and "of the GPU" not in text
    settings = table_of(text, "Settings")
    assert list(settings.index) == ["learning_rate"]
    assert settings.loc["learning_rate"].tolist() == [0.001, 0.002, 0.002]
    own = table_of(text, "Settings", 1)["its own options"]
    assert own["MICRO (knn_k=10)"] == "knn_k=10, n_ui_layers=2" and "BPR" not in own
    for part in ("30 users, 10 items, 240 training", "abababab", "torch 2.6.0", "1 thread(s) a run"):
        assert part in text
    assert "MICRO: 20 trials (studies/&lt;tune&gt;); BPR: as given" in text
    tests = table_of(text, "Significance")
    assert "MICRO (knn_k=5) against BPR" in tests.index
    runs = table_of(text, "Runs")
    assert runs.loc["BPR, seed 2", "Recall@5"] == pytest.approx(results["test recall@5"][1], abs=1e-4)
    assert "state" in runs and "folder" not in runs  # one failed; folders are long, and stand in results.csv
    whole = report.write(results[results["status"] == "finished"], out, "tiny").read_text()
    assert "state" not in table_of(whole, "Runs")


def test_costs_have_three_digits_and_no_exponent():
    written = [sections.significant(value) for value in (0, 0.0384, 3.05, 21.0, 115.4, 1234.5)]
    assert written == ["0.00", "0.0384", "3.05", "21.0", "115", "1,234"]


def test_names_of_options_break_at_their_parts():
    shown = pages.frame(pd.DataFrame({"Option": ["train_<b>"], "MICRO": ["a_b"]}), "{}", "")
    assert "<th>train_<wbr>&lt;b&gt;</th><td>a_b</td>" in shown


def test_a_study_of_an_earlier_version_has_a_page(study):
    results, out = study
    results = results[[name for name in results if not name.startswith("cost ")]]
    for folder in results["folder"][:-1]:
        (out / folder / ITEMS).unlink()
        (out / folder / CONFIG).unlink()
        (out / folder / RESULT).write_text(json.dumps({"valid_metric": "Recall@5"}))
        pd.read_parquet(out / folder / USERS).drop(columns="train").to_parquet(out / folder / USERS)
    text = report.write(results, out, "tiny").read_text()
    assert re.findall("<h2>(.*?)</h2>", text) == ["Results", "Plots", "Significance", "Runs"]


def test_groups_are_of_equal_size_but_for_equal_numbers():
    counts = pd.Series([5] * 60 + list(range(6, 46)))
    named = groups.quantiles(counts)
    assert named.value_counts(sort=False).to_dict() == {"5": 60, "6–25": 20, "26–45": 20}
    assert set(groups.quantiles(pd.Series([3, 3, 3]))) == {"3"}


def test_plots_have_ink_and_the_width_of_a_column(study):
    results, out = study
    report.write(results, out, "tiny")
    for path in (out / "figures").iterdir():
        picture = imread(path)[..., :3]
        assert 600 < picture.shape[1] < 760  # 3.5 inches at 200 dots
        assert (picture.mean(axis=2) < 0.5).mean() > 0.003


def test_the_numbers_of_an_axis_stand_apart(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(plots, "save", lambda figure, path: drawn.append(figure))
    for most in (0.0009, 0.4, 301.5):
        mean = pd.DataFrame({"m": [most, most / 9, 0.0]}, index=["MICRO", "LightGCN", "BPR"])
        plots.bars(mean, mean / 3, {"m": "m"}, "Tail percentage@20", tmp_path / "x.png")
    for figure in drawn:
        figure.canvas.draw()
        low, high = figure.axes[0].get_xlim()
        shown = [tick for tick in figure.axes[0].xaxis.get_major_ticks() if low <= tick.get_loc() <= high]
        boxes = [tick.label1.get_window_extent() for tick in shown]
        assert len(boxes) > 1 and all(a.x1 < b.x0 for a, b in pairwise(boxes))
        plots.plt.close(figure)


def test_lines_stand_out_from_the_paper():
    """A report in dark inverts its pictures, so what is faint on white is faint there, too."""
    for shade in plots.SHADES:
        parts = np.array(to_rgb(shade))
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        assert 1.05 / (linear @ [0.2126, 0.7152, 0.0722] + 0.05) > 3  # as WCAG asks of graphics


def test_cold_items_have_bars_of_their_own(study):
    results, out = study
    for front in ("cold_all", "cold", "warm"):
        results[f"test {front}:recall@5"] = results["test recall@5"] / 2
    results.loc[results["label"] == "BPR", "test cold:recall@5"] = np.nan
    report.write(results, out, "tiny")
    assert (out / "figures" / "cold-recall5.png").is_file()
    assert "cold: Recall@5" in (out / "table.md").read_text()


def test_a_sweep_of_missing_features_has_its_plots(study):
    results, out = study
    results = results.rename(columns={"knn_k": "missing_share"})
    for front in ("complete", "without"):
        results[f"test {front}:recall@5"] = results["test recall@5"] / 2
    report.write(results, out, "tiny")
    figures = {path.name for path in (out / "figures").iterdir()}
    assert {"features-recall5.png", "sensitivity-missing_share.png"} <= figures
    assert "without: Recall@5" in (out / "table.md").read_text()
    table = {"recall@5": 0.1, "complete:recall@5": 0.2, "without:recall@5": 0.3}
    assert named_rankings(table) == table


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
    varied = figures.varied_options(done)
    assert varied == ["knn_k", "lambda_coeff", "beta"]
    labels, note = figures.short_labels(done, varied)
    front = "MICRO (knn_k={}, lambda_coeff=0.4, beta={})"
    assert labels == {
        "BPR": "BPR",
        front.format(5, 0.03): "MICRO",
        front.format(10, 0.03): "MICRO (knn_k=10)",
        front.format(5, 0.1): "MICRO (beta=0.1)",
    }
    assert note == "; knn_k=5, beta=0.03 where a label of MICRO does not say otherwise"
    grid = pd.concat([done, done[done["knn_k"] == 10].assign(beta=0.1, label="fourth")])
    labels, note = figures.short_labels(grid, varied)
    assert labels["fourth"] == "MICRO (knn_k=10, beta=0.1)" and note == ""
    assert labels[front.format(5, 0.03)] == "MICRO (knn_k=5, beta=0.03)"


def test_only_the_best_curves_are_drawn_where_there_are_many():
    curves = {f"m{n}": pd.DataFrame({1: [0.0, n / 100, np.nan]}) for n in range(12)}
    assert list(figures.best_curves(curves, "recall@5")) == [f"m{n}" for n in range(4, 12)]
    peaks = {f"m{n}": pd.DataFrame({1: [n / 100, n / 100]}) for n in range(12)}
    assert list(figures.best_curves(peaks, "averagepopularity@5")) == [f"m{n}" for n in range(8)]


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

    Headless windows have a least width of their own, so the page is in a frame; its policy would not let the
    measurement run.
    """
    measured = page.replace(pages.POLICY, "").replace("</body>", f"{MEASURE}</body>")
    (folder / "inner.html").write_text(measured)
    listen = "frame.onload = () => document.title = frame.contentDocument.title"
    frame = (
        f'<iframe id="frame" src="inner.html" style="width: {width}px; height: 800px; border: 0"></iframe>'
    )
    (folder / "outer.html").write_text(f"<title>-</title>{frame}<script>{listen}</script>")
    flags = [*QUIET, "--allow-file-access-from-files", f"--user-data-dir={folder / 'profile'}"]
    flags += ["--window-size=1280,1000", "--virtual-time-budget=5000", "--dump-dom"]
    ran = run_python(*flags, (folder / "outer.html").as_uri(), program=BROWSER)
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
        "images": 8,
        "blank": 0,
        "wide": 0,
    }
    assert found["body"] <= width
    if width < 600:  # the measurement sees what is too wide, and what is no picture
        broken = page.replace("<h1>", '<img src="data:image/png;base64,AAAA"><h1 style="width: 50rem">')
        found = in_browser(broken, browser, width)
        assert found["scroll"] > width and found["blank"] == 1


# What somebody may write where a name is expected.
SCRIPT = "<script>document.title = 'it ran'</script>"
HOSTILE = f"""\"><img src=x onerror="document.title='it ran'">{SCRIPT}"""


def hostile_page(study, heading=None):
    """A report in whose every name and text there is a script."""
    results, out = study
    for folder in results["folder"][:-1]:
        users = pd.read_parquet(out / folder / USERS)
        users.assign(user=[f"{HOSTILE}{user}" for user in users["user"]]).to_parquet(out / folder / USERS)
    texts = {name: results[name].astype(str) + HOSTILE for name in ("label", "model", "protocol")}
    results = results.assign(**texts, error=HOSTILE, **{"cf_model": HOSTILE, f"preset{HOSTILE}": 1})
    return report.write(results, out, HOSTILE, heading)


def in_tags(text):
    """Names of the tags and attributes of a page."""
    found = set()

    class Names(HTMLParser):
        def handle_starttag(self, tag, attrs):
            found.update([tag, *(name for name, _ in attrs)])

    Names().feed(text)
    return found


def test_a_script_in_a_name_is_text(study):
    text = hostile_page(study).read_text()
    assert text.count("&lt;script&gt;document.title") > 20
    names = in_tags(text)
    assert "img" in names and "script" not in names and not [name for name in names if name.startswith("on")]
    page = pages.document(HOSTILE, pages.frame(pd.DataFrame({HOSTILE: [HOSTILE]}), "{}", HOSTILE))
    assert not {"script", "onerror", "img"} & in_tags(page)


def title_in_browser(text, folder):
    """The title of a page after it has been shown."""
    folder.mkdir(exist_ok=True)
    (folder / "page.html").write_text(text)
    flags = [*QUIET, f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=3000", "--dump-dom"]
    shown = run_python(*flags, (folder / "page.html").as_uri(), program=BROWSER).stdout
    return html.unescape(re.search("<title>(.*?)</title>", shown, re.DOTALL)[1])


@pytest.mark.slow
@pytest.mark.skipif(not BROWSER, reason="no browser")
def test_no_script_runs_in_a_browser(study, tmp_path):
    text = hostile_page(study, "A report").read_text()
    assert title_in_browser(text, tmp_path / "browser") == "A report"
    broken = text.replace("<h1>", f"{SCRIPT}<h1>")  # as if a name were not escaped
    assert title_in_browser(broken, tmp_path / "browser") == "A report", "the page's policy forbids scripts"
    assert title_in_browser(broken.replace(pages.POLICY, ""), tmp_path / "browser") == "it ran"


def test_a_cold_start_result_of_an_earlier_version_has_todays_names():
    """Its plain names were those of cold items among all."""
    old = {"recall@5": 0.1, "cold:recall@5": 0.2, "warm:recall@5": 0.3}
    assert named_rankings(old) == {"cold_all:recall@5": 0.1, "cold:recall@5": 0.2, "warm:recall@5": 0.3}
    today = {"recall@5": 0.25, "cold_all:recall@5": 0.1, "cold:recall@5": 0.2}
    assert named_rankings(today) == today and named_rankings({"recall@5": 0.4}) == {"recall@5": 0.4}
