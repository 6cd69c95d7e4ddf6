"""What setup.py, noxfile.py, the table of mends and the pages say of versions is the same."""

import itertools
import os
import re
import shutil
import subprocess

import pytest
import setuptools  # before distutils, which is setuptools' own from Python 3.12 on

from recbole_micro.recbole_patches.table import KNOWN_VERSIONS
from tests.support.processes import ROOT

if not (ROOT / "noxfile.py").is_file():
    pytest.skip("an installed package has no noxfile.py", allow_module_level=True)

SETS = ("oldest", "newest")


@pytest.fixture(scope="module")
def setup():
    """What setup.py hands to setuptools."""
    from distutils.core import run_setup

    found = run_setup(ROOT / "setup.py", stop_after="init")
    assert isinstance(found, setuptools.Distribution)
    return found


@pytest.fixture(scope="module")
def pythons(setup):
    lines = setup.metadata.classifiers
    return [line.rpartition(" ")[2] for line in lines if line.startswith("Programming Language")]


@pytest.fixture(scope="module")
def bounds(setup):
    """The lowest release of each need that names one."""
    matches = (re.fullmatch(r"([\w-]+)[>=]=([\d.]+)", need) for need in setup.install_requires)
    return dict(match.groups() for match in matches if match)


def test_the_oldest_python_is_one_everywhere(setup, pythons):
    assert setup.python_requires == f">={pythons[0]}"
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'target-version = "py{pythons[0].replace(".", "")}"' in project


def test_the_matrix_has_a_session_for_each_combination(pythons):
    nox = shutil.which("nox")
    if nox is None:
        pytest.skip("nox is of the extra dev")
    command = [nox, "--list", "--noxfile", str(ROOT / "noxfile.py")]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"})
    assert done.returncode == 0, done.stderr
    names = set(re.findall(r"^[*-] (\S+)", done.stdout, re.MULTILINE))
    for python, versions, kind in itertools.product(pythons, SETS, ("tests", "core")):
        assert f"{kind}-{python}({versions})" in names
    for python, release in itertools.product(pythons, KNOWN_VERSIONS[1:]):
        assert f"recbole-{python}({release})" in names
    assert {"lint", "types", "docs", *(f"readme-{python}" for python in pythons)} <= names


def test_recbole_is_pinned_to_the_first_release_that_the_mends_were_written_for(bounds):
    assert bounds["recbole"] == KNOWN_VERSIONS[0]


def test_the_pages_name_the_bounds_of_setup_py(pythons, bounds):
    faq = " ".join((ROOT / "docs" / "faq.md").read_text(encoding="utf-8").split())
    assert (
        f"Python {pythons[0]} to {pythons[-1]}, NumPy {bounds['numpy']}, pandas {bounds['pandas']}, "
        f"SciPy {bounds['scipy']}, PyTorch {bounds['torch']} or newer, and RecBole {bounds['recbole']}."
    ) in faq


def test_the_table_of_runs_has_each_combination(pythons):
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| (3\.\d+) \| (\w+) \|", text, re.MULTILINE))
    assert rows == set(itertools.product(pythons, SETS))
