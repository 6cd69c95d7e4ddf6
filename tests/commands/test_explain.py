"""`recbole-micro explain`: text, JSON, and the card, which holds everything and shows nothing unescaped."""

import html
import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from recbole_micro import cli, load
from recbole_micro.commands import card
from recbole_micro.inference.recommend import scores_of
from tests.support import shop

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def explain(checkpoint, *argv, model="MICRO"):
    return cli.main(["explain", f"--checkpoint={checkpoint(model)}", *argv])


def test_json_sums_to_the_models_own_score(checkpoint, tmp_path, capsys):
    out = tmp_path / "why.json"
    assert explain(checkpoint, "--user=u3", "--item=i7", f"--out={out}") == 0
    found = json.loads(out.read_text(encoding="utf-8"))
    assert list(found) == ["user", "item", "score", "collaborative", "modalities", "neighbours"]
    assert (found["user"], found["item"]) == ("u3", "i7")
    assert set(found["modalities"]) == {"textual", "visual"}
    assert sum(found["modalities"].values()) == pytest.approx(1, abs=1e-5)
    for one in found["neighbours"]:
        assert list(one) == ["modality", "item", "title", "hops", "share", "chosen"]
    assert found["score"] == pytest.approx(
        found["collaborative"] + sum(n["share"] for n in found["neighbours"])
    )
    source = load(checkpoint("MICRO"))
    user, item = source.dataset.token2id("user_id", "u3"), source.dataset.token2id("item_id", "i7")
    assert found["score"] == pytest.approx(
        scores_of(source.model, source.dataset, np.array([user]), None)[0, item].item(), abs=1e-5
    )
    said = capsys.readouterr()
    assert not said.out and not said.err


def test_text_sums_to_the_score(checkpoint, capsys):
    assert explain(checkpoint, "--user=u3", "--item=i4", "--top=2") == 0
    first, *lines = capsys.readouterr().out.splitlines()
    score = float(re.fullmatch(r"i4 Item 4 for user u3: score (\S+)", first)[1])
    headings = [place for place, line in enumerate(lines) if not line.startswith(" ")]
    assert [lines[place] for place in headings] == [
        "Because of what this user chose:",
        "Because of this item and others:",
    ]
    parts = [float(line.split()[0]) for line in lines[: headings[0]]]
    assert sum(parts) == pytest.approx(score, abs=2e-4)
    shares = [float(line.split()[0]) for line in lines[headings[0] :] if line.startswith(" ")]
    assert sum(shares) == pytest.approx(sum(parts[1:]), abs=5e-4)
    assert sum(line.endswith(" more") for line in lines) == 2


def test_a_model_without_parts_says_so_in_every_form(checkpoint, tmp_path, capsys):
    note = "BPR reads no features: its score is one number."
    assert explain(checkpoint, "--user=u3", "--item=i4", model="BPR") == 0
    assert capsys.readouterr().out.splitlines()[1] == note
    out = tmp_path / "card.html"
    assert explain(checkpoint, "--user=u3", "--item=i4", f"--out={out}", model="BPR") == 0
    assert note in out.read_text(encoding="utf-8")


def test_the_card_is_one_escaped_page_with_pictures(checkpoint, tmp_path):
    out = tmp_path / "card.html"
    assert explain(checkpoint, "--user=u3", "--item=i7", "--top=100", f"--out={out}") == 0
    page = out.read_text(encoding="utf-8")
    assert "<script" not in page and html.escape(shop.EVIL) in page
    assert not re.findall(r'(?:src|href)="(?!data:image/png;base64,)', page)
    assert page.count("data:image/png") > 3 and 'class="picture" aria-hidden' in page
    assert "Because of what this user chose" in page and "prefers-color-scheme: dark" in page


def test_pictures_are_files_of_the_data_set_or_addresses(checkpoint, tmp_path, monkeypatch):
    pictures = card.Pictures(load(checkpoint("MICRO")).dataset)
    (tmp_path / "secret.png").write_text("no picture")
    content = shop.png(7)
    (tmp_path / "big.png").write_bytes(content + bytes(card.LARGEST))
    (tmp_path / "good.png").write_bytes(content)
    assert pictures.source(str(tmp_path / "good.png")).startswith("data:image/png;base64,")
    for name in ("secret.png", "big.png", "none.png"):
        assert pictures.source(str(tmp_path / name)) == ""
    for name in ("", "x" * 5000, "a\0b", "javascript:alert(1)"):
        assert pictures.source(name) == ""
    pictures.known = {"i1": 'https://a.b/c.jpg" onerror="alert(1)'}
    assert 'src="https://a.b/c.jpg&quot; onerror' in pictures.of("i1")


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")
@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_of_the_card_is_cut(checkpoint, width, tmp_path):
    """In an iframe of that width, as Chromium's own window is never narrower than 500 pixels."""
    out = tmp_path / "card.html"
    assert explain(checkpoint, "--user=u3", "--item=i7", f"--out={out}") == 0
    frame = tmp_path / "frame.html"
    frame.write_text(
        f"<iframe src='{out.as_uri()}' style='width:{width}px;height:900px;border:0'></iframe><pre></pre>"
        "<script>"
        "onload = () => { const root = frames[0].document.documentElement; "
        "document.querySelector('pre').textContent = root.scrollWidth + ' of ' + root.clientWidth }</script>"
    )
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--allow-file-access-from-files",
        "--window-size=1400,1000",
    ]
    ran = subprocess.run(
        [CHROMIUM, *options, "--dump-dom", frame.as_uri()], capture_output=True, text=True, timeout=120
    )
    inside, there = re.search(r"<pre>(\d+) of (\d+)", ran.stdout).groups()
    assert inside == there and int(there) >= width - 20


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["--user=u3"], "explain needs --item=ID"),
        (["--item=i3"], "explain needs --user=ID"),
        (["--user=zz", "--item=i3"], "shop has no user zz"),
        (["--user=u3", "--item=zz"], "shop has no item zz"),
        (["--user=u3", "--item=i3", "--out=x.txt"], "x.txt: choose a .html or .json file"),
        (["--user=u3", "--item=i3", "--top=no"], "top is 'no'"),
    ],
)
def test_mistakes_are_one_sentence(checkpoint, argv, sentence, capsys):
    assert explain(checkpoint, *argv) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ") and sentence in error
