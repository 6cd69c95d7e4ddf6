"""The page of `inspect`: what it says, hostile titles, pictures inside it, both widths in a browser."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from dataset_tools.__main__ import main
from dataset_tools.dataset.folder import DatasetFolder
from dataset_tools.dataset.interactions import Builder
from dataset_tools.dataset.reading import Dataset
from dataset_tools.inspection import dataset_report, drawings, page
from tests.support.browser import PROGRAM, Browser

HOSTILE = '<script>alert("x")</script>'
LONG = "word" * 60


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Users stay within a cluster; `visual` tells it, `wrong` is shuffled, `short` has half of the items."""
    folder = tmp_path_factory.mktemp("page")
    generator = np.random.default_rng(0)
    builder = Builder(timestamp=True)
    tokens = [f"i{n:03d}" for n in range(120)]
    for user in range(150):
        for item in generator.choice(12, 5, replace=False):
            builder.add(f"u{user}", tokens[12 * (user % 10) + item], timestamp=1.5e9 + 86400.0 * user)
    values = np.repeat(np.eye(10), 12, axis=0) + 0.05 * generator.standard_normal((120, 10))
    values[7] = values[6]
    titles = [f"Cluster {n // 12}" for n in range(120)]
    used = np.bincount(builder.build().item, minlength=120)
    titles[int(used.argmax())] = HOSTILE + LONG
    with DatasetFolder(folder, "world") as made:
        made.write_interactions(builder.build())
        made.write_items(tokens, {"title:token_seq": titles})
        made.write_features("visual", tokens, values)
        made.write_features("wrong", tokens, generator.permutation(values))
        made.write_features("short", tokens[:60], values[:60])
        made.record("by hand", {}, [])
    return folder


@pytest.fixture(scope="module")
def file(data):
    images = pytest.importorskip("PIL.Image")
    (data / "images" / "sub").mkdir(parents=True)
    for item in Dataset("world", data).items[::2]:
        images.new("RGB", (300, 200), "red").save(data / "images" / "sub" / f"{item}.png")
    (data / "images" / "i001.jpg").write_bytes(b"no picture")
    words = ["--out", str(data / "x.html"), "--images", str(data / "images"), "--data-path", str(data)]
    assert main(["inspect", "world", *words]) == 0
    return data / "x.html"


class Reader(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self.sources = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.sources += [value for name, value in attributes if name in ("src", "href")]

    def handle_data(self, data):
        self.texts.append(data)


def test_the_page_says_what_the_lines_say(file, data):
    found = Reader(file.read_text(encoding="utf-8"))
    text = " ".join(found.texts)
    dataset = Dataset("world", data)
    lines = "\n".join(dataset_report.report(dataset))
    for expected in ("150", "120", "750", "density", "Made by by hand", "interactions per 3.73 days (UTC)"):
        assert expected in text
    (table_1,) = re.findall(r"\[visual\]\n.*\n  mean cosine: (\S+) of all pairs, (\S+) of", lines)
    assert set(table_1) <= set(found.texts)
    for share in re.findall(r"(\d+\.\d\d%) \(k=", lines):
        assert share in found.texts
    same = dict(re.findall(r"(\w+) (\S+%)", lines.rsplit("on the 60 items that all have: ", 1)[1]))
    assert set(same.values()) <= set(found.texts) and same["visual"] == same["short"] > same["wrong"]
    assert "WARNING: the nearest neighbours in wrong are no more co-interacted" in text
    assert "neighbours in visual are no more" not in text
    assert "visual: 2 items share their vector with another: i006, i007." in text
    assert "lacks it" in text


def test_the_page_is_whole_and_runs_nothing(file):
    text = file.read_text(encoding="utf-8")
    found = Reader(text)
    assert HOSTILE + LONG in found.texts and "script" not in found.tags
    assert found.sources and all(one.startswith("data:image/jpeg;base64,") for one in found.sources)
    assert f'<meta http-equiv="Content-Security-Policy" content="{page.POLICY}">' in text
    assert "default-src 'none'" in page.POLICY and len(text) < 1_000_000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out", "x.txt"], "x.txt is no page; end its name in .html"),
        (["--out", "no/x.html"], "There is no folder no for the page"),
        (["--images", "."], "--images is for the page that --out names"),
        (["--out", "x.html", "--images", "nowhere"], "There is no folder nowhere; --images names"),
        (["--out", "x.html", "--images", "."], "has no image of an item of world"),
    ],
)
def test_mistakes_are_one_sentence_and_leave_no_page(data, capsys, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    assert main(["inspect", "world", "--data-path", str(data), *words]) == 2
    assert message in capsys.readouterr().err and list(tmp_path.iterdir()) == []


def test_distributions_of_one_and_of_none():
    one = drawings.degrees({"user": np.array([1]), "item": np.array([1])})
    assert "1 users" in one and "nan" not in one and "inf" not in one
    assert drawings.times(None) == drawings.times(np.arange(5.0)) == ""
    assert "nan" not in drawings.times(np.array([1.6e9]))


@pytest.mark.slow
@pytest.mark.skipif(PROGRAM is None, reason="no Chromium is installed")
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_fits_its_window(file, tmp_path, width):
    with Browser(tmp_path / "profile") as browser:
        browser.open(file.as_uri(), width=width)
        assert browser.wait("document.querySelectorAll('.items > li').length") == page.SHOWN_ITEMS
        assert browser.value("document.documentElement.scrollWidth") <= width
        assert browser.wait("[...document.images].every(one => one.complete && one.naturalWidth)")
        assert browser.failures == []
