"""What is built from the checkout holds everything and runs outside it."""

import os
import re
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.support.processes import ROOT, run_python
from tests.support.tiny import write_tiny

TOP = ("setup.py", "pyproject.toml", "MANIFEST.in", "LICENSE", "README.md", "CHANGELOG.md")
SHIPPED = ("recbole_micro", "recbole_micro_server", "dataset_tools", "properties")
KINDS = (".py", ".yaml", ".typed", ".html", ".css", ".js")

TRAIN = """
import importlib.resources, pathlib, sys
import dataset_tools, recbole_micro
home = pathlib.Path(sys.argv[1])
assert home in pathlib.Path(recbole_micro.__file__).parents, recbole_micro.__file__
assert home in pathlib.Path(dataset_tools.__file__).parents, dataset_tools.__file__
assert (importlib.resources.files("recbole_micro.properties") / "model" / "MICRO.yaml").is_file()
options = {"epochs": 1, "data_path": ".", "embedding_size": 4, "topk": [5], "valid_metric": "Recall@5"}
assert "recall@5" in recbole_micro.run("BPR", "tiny", config_dict=options)["test_result"]
"""


ASK = "from recbole_micro.options import defaults as d; assert d.model_names(); print(d.properties())"


def run(*command, cwd, **environment):
    """What Python prints; the checkout is not on its path."""
    done = run_python(*command, cwd=cwd, **{"PYTHONPATH": "", **environment})
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of what is shipped: building writes into the folder it builds."""
    copy = tmp_path_factory.mktemp("checkout")
    for file in [*(ROOT / name for name in TOP), *modules_and_yaml(ROOT)]:
        target = copy / file.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    return copy


def modules_and_yaml(root):
    return [path for name in SHIPPED for path in (root / name).rglob("*") if path.suffix in KINDS]


def packaged(checkout):
    """Names, inside a wheel, of every module and YAML file of the checkout."""
    names = (path.relative_to(checkout).as_posix() for path in modules_and_yaml(checkout))
    return {re.sub("^properties/", "recbole_micro/properties/", name) for name in names}


@pytest.fixture(scope="module")
def wheel(checkout, tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir")
    run("-m", "pip", "wheel", *options, folder, checkout, cwd=folder)
    return next(folder.glob("*.whl"))


def installed(path, folder):
    """Install a distribution, without what it depends on, into a folder of its own."""
    target = folder / "site"
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--target")
    run("-m", "pip", "install", *options, target, path, cwd=folder)
    return target


def paths_from(target):
    """`target`, then this environment's packages; -S keeps editable installations of the checkout out."""
    return os.pathsep.join([str(target), *{sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}])


def check_installation(target, folder):
    """Train from an environment of `target` and this environment's other packages, far from the checkout."""
    write_tiny(folder, features=False)
    run("-S", "-c", TRAIN, target, cwd=folder, PYTHONPATH=paths_from(target))
    run("-S", target / "bin" / "recbole-micro", "train", "--help", cwd=folder, PYTHONPATH=paths_from(target))


def test_wheel_holds_everything(wheel, checkout):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {name for name in names if ".dist-info/" not in name} == packaged(checkout)
    assert any(name.endswith("LICENSE") for name in names)


def test_wheel_runs_outside_the_checkout(wheel, tmp_path):
    check_installation(installed(wheel, tmp_path), tmp_path)


def test_metadata_lists_needs_and_extras(wheel):
    with zipfile.ZipFile(wheel) as archive:
        entries = {Path(name).name: name for name in archive.namelist() if ".dist-info/" in name}
        metadata = archive.read(entries["METADATA"]).decode()
        scripts = archive.read(entries["entry_points.txt"]).decode()
    assert "recbole-micro = recbole_micro.cli:main" in scripts
    needs = ("recbole==1.2.0", "kmeans-pytorch", "psutil", "pyarrow", 'setuptools; python_version >= "3.12"')
    for need in needs:
        assert f"Requires-Dist: {need}" in metadata
    for extra in ("ray", "faiss", "encoders", "serve", "onnx", "test", "dev", "docs"):
        assert f"Provides-Extra: {extra}" in metadata
    assert "Requires-Python: >=3.10" in metadata


@pytest.mark.slow
def test_sdist_holds_everything_and_installs(checkout, tmp_path):
    build = "from setuptools import build_meta; build_meta.build_sdist(__import__('sys').argv[1])"
    run("-c", build, tmp_path, cwd=checkout)
    sdist = next(tmp_path.glob("*.tar.gz"))
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {name.replace("recbole_micro/properties/", "properties/") for name in packaged(checkout)} <= names
    assert names.issuperset(TOP)
    check_installation(installed(sdist, tmp_path), tmp_path)


def test_a_checkout_that_is_not_installed_finds_its_yaml_files(checkout, tmp_path):
    told = run("-S", "-c", ASK, cwd=tmp_path, PYTHONPATH=paths_from(checkout))
    assert told.strip() == str(checkout / "properties")


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["lenient", "strict", "compat"])
def test_editable_install_finds_the_yaml_files(checkout, tmp_path, mode):
    environment = tmp_path / "venv"
    run("-m", "venv", "--without-pip", environment, cwd=tmp_path)
    python = environment / ("Scripts" if os.name == "nt" else "bin") / "python"
    site = next(environment.rglob("site-packages"))
    options = ["--no-deps", "--no-build-isolation", f"--config-settings=editable_mode={mode}"]
    (site / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    run("-m", "pip", "--python", python, "install", "--quiet", *options, "-e", checkout, cwd=tmp_path)
    for cwd in (tmp_path, checkout):
        assert str(checkout) in run("-c", ASK, cwd=cwd, program=python)
