"""The notebook of the docs runs, and prints what it is about."""

import importlib.util
import os

import pytest

from tests.support.processes import ROOT

FILE = ROOT / "docs" / "tutorial.py"

if not FILE.is_file():
    pytest.skip("an installed package has no docs/", allow_module_level=True)
for package in ("nbclient", "nbconvert", "ipykernel"):
    pytest.importorskip(package)


def load():
    spec = importlib.util.spec_from_file_location("docs_tutorial", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_notebook_holds():
    tutorial = load()
    assert tutorial.PAGE.read_text(encoding="utf-8") == tutorial.page(tutorial.read()), "run docs/tutorial.py"


@pytest.mark.slow
def test_the_notebook_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", os.environ["PATH"])  # which running changes
    tutorial = load()
    notebook = tutorial.read()
    tutorial.execute(notebook, tmp_path)  # raises where a cell fails
    text = tutorial.page(notebook)
    for part in ("'recall@20': 0.", "| MICRO over ", "attention: {'genre': ", "user_id  rank item_id"):
        assert part in text
    assert (tmp_path / "studies" / "tutorial" / "report.html").is_file()
    assert (tmp_path / "exported" / "tutorial" / "manifest.json").is_file()
