"""The Pythons and the library versions that setup.py allows, one session for each combination.

    pip install "nox[uv]"
    nox --list
    nox -s core                     # every combination that this machine has a Python for, minutes each
    nox -s "tests-3.10(oldest)"     # the fast suite; words after `--` go to pytest
    nox -s "recbole-3.11(1.2.1)"

"oldest" is the lowest release of every need that setup.py names and that has a wheel for that Python,
"newest" the highest; uv resolves both.  Without a GPU set `UV_TORCH_BACKEND=cpu`, or PyTorch brings
gigabytes of CUDA.
"""

import ast
from pathlib import Path

import nox

ROOT = Path(__file__).parent
NAMES = ("PYTHONS", "CORE", "EXTRAS")


def declared() -> dict:
    """The constants of setup.py, read without running it."""
    body = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8")).body
    constants = {node.targets[0].id: node.value for node in body if isinstance(node, ast.Assign)}
    return {name: ast.literal_eval(constants[name]) for name in NAMES}


SETUP = declared()
EXTRAS = SETUP["EXTRAS"]
PYTHONS = SETUP["PYTHONS"]
VERSIONS = {"oldest": "lowest-direct", "newest": "highest"}
OTHER_RECBOLE = ["1.2.1"]  # known to the table of mends, but not what setup.py takes
WITH_PIP = ["--seed"]  # a test builds a wheel with it
CORE_TESTS = ("test_guest.py", "recbole_patches", "options", "data", "models")

nox.options.default_venv_backend = "uv"
nox.options.sessions = ["lint", "types", "docs", "core"]
nox.options.error_on_missing_interpreters = False


def install(session: nox.Session, versions: str) -> None:
    """Install what setup.py and its extra `test` need in these versions, and the project."""
    wheels = ("--only-binary", ":all:", "--resolution", VERSIONS[versions])
    session.install(*wheels, *SETUP["CORE"], *EXTRAS["test"])
    session.install("--no-deps", ".")
    session.run("python", "-m", "pip", "check")


def train_and_test(session: nox.Session, *tests: str) -> None:
    """Train MICRO for an epoch from the installed project, then run the fast ones of these tests."""
    folder = session.create_tmp()
    with session.chdir(folder):
        session.run("recbole-micro", "train", "--model=MICRO", "--dataset=ml-100k", "--epochs=1")
    words = session.posargs or [f"tests/{name}" for name in tests]
    parallel = ("-n", "logical", "--dist", "loadfile")
    session.run("python", "-m", "pytest", "-q", *parallel, "-m", "not slow", *words)


each_version = nox.parametrize("versions", list(VERSIONS), ids=list(VERSIONS))


@nox.session(python=PYTHONS, venv_params=WITH_PIP)
@each_version
def tests(session: nox.Session, versions: str) -> None:
    """The fast suite."""
    install(session, versions)
    train_and_test(session)


@nox.session(python=PYTHONS, venv_params=WITH_PIP)
@each_version
def core(session: nox.Session, versions: str) -> None:
    """One epoch of MICRO, and the tests of the mends, the options, the data and the models."""
    install(session, versions)
    train_and_test(session, *CORE_TESTS)


@nox.session(python=PYTHONS, venv_params=WITH_PIP)
@nox.parametrize("release", OTHER_RECBOLE, ids=OTHER_RECBOLE)
def recbole(session: nox.Session, release: str) -> None:
    """The same with another RecBole, without the Ray that it asks for."""
    install(session, "newest")
    session.install("--no-deps", f"recbole=={release}")
    train_and_test(session, *CORE_TESTS)


@nox.session(python=PYTHONS, venv_params=WITH_PIP)
def readme(session: nox.Session) -> None:
    """The README's first command in an environment of pip's with nothing but PyTorch in it."""
    session.run(str(ROOT / ".ci" / "run"), "readme", env={"PYTHON": "python"}, external=True)


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff."""
    session.install(*(need for need in EXTRAS["dev"] if need.startswith("ruff")))
    session.run("ruff", "check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """mypy, which reads the libraries' types."""
    session.install(".[dev]")
    session.run("mypy")


@nox.session
def docs(session: nox.Session) -> None:
    """The pages as a site; a link to nowhere is an error."""
    session.install(*EXTRAS["docs"])
    session.run("mkdocs", "build", "--quiet", "--strict", "--site-dir", session.create_tmp())
