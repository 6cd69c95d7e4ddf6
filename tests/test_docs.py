"""The pages of docs/: the generated one is fresh, the site lists all of them, their links lead somewhere."""

import importlib.util
import re

import pytest
import yaml

from recbole_micro import options
from tests.support.processes import ROOT

DOCS = ROOT / "docs"

if not (DOCS / "index.md").is_file():
    pytest.skip("an installed package has no docs/", allow_module_level=True)

PAGES = sorted(DOCS.glob("*.md"))


def generate():
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_options_is_what_the_yaml_files_say():
    assert (DOCS / "options.md").read_text(encoding="utf-8") == generate().page(), "run docs/generate.py"


def test_every_option_of_micro_has_its_row():
    page = (DOCS / "options.md").read_text(encoding="utf-8")
    section = page.partition("\n## MICRO\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    assert rows == list(options.plugin_defaults("model/MICRO.yaml")) and len(rows) > 20


def test_the_site_lists_every_page():
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    nav = yaml.safe_load(text)["nav"]
    assert sorted(name for entry in nav for name in entry.values()) == [page.name for page in PAGES]


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *PAGES], ids=lambda p: p.name)
def test_links_and_pictures_of_a_page_exist(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), f"{page.name} names {target}"
