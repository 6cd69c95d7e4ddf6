"""The rooms of the package: lower ones never import higher ones, and no module imports in a circle."""

import ast
from pathlib import Path

import pytest

from tests.support.processes import ROOT

# From the lowest room to the highest.  Modules beside the rooms count as rooms of their own.
ORDER = (
    "errors", "mixing", "files", "logs", "distributed", "checkpoint", "data", "nn", "evaluation", "models",
    "options", "training", "inference", "recbole_patches", "studies", "tuning", "doctor", "commands", "cli",
)  # fmt: skip
# Most files of a room: about ten, but of the models, where one file each is the rule.
SIZE = {"recbole_micro.models": 24, "recbole_micro.nn": 14}


def modules(package: str) -> dict[str, Path]:
    """Every module of a package by its dotted name."""
    found = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules("recbole_micro")


def imports(name: str, path: Path, at_import: bool = False) -> set[str]:
    """The modules of the package that a module imports anywhere, or (`at_import`) outside functions."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, (ast.FunctionDef, ast.Lambda))
        for node in ast.walk(function)
        if node is not function
    }
    found = set()
    for node in ast.walk(tree):
        if at_import and id(node) in inside:
            continue
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.add(whole if whole in MODULES else node.module)
    return {one for one in found if one in MODULES and one != name}


def room(name: str) -> str:
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else "recbole_micro"


def test_every_room_has_its_place():
    rooms = {room(name) for name in MODULES} - {"recbole_micro"}
    assert rooms == set(ORDER)


@pytest.mark.parametrize("name", sorted(set(MODULES) - {"recbole_micro"}))
def test_a_module_imports_no_higher_room(name):
    mine = ORDER.index(room(name))
    for other in imports(name, MODULES[name]):
        if other == "recbole_micro":
            assert room(name) == "cli", f"{name} imports the package itself"
        else:
            assert ORDER.index(room(other)) <= mine, f"{name} imports {other}, which is above it"


def test_no_circle():
    """Modules of a room may import each other, as long as one of them can be imported first."""
    graph = {name: imports(name, path, at_import=True) for name, path in MODULES.items()}
    done: set[str] = set()
    while len(done) < len(graph):
        ready = {name for name in graph if name not in done and graph[name] - {"recbole_micro"} <= done}
        assert ready, f"a circle among {sorted(set(graph) - done)}"
        done |= ready


def test_a_room_holds_about_ten_files():
    for name, path in MODULES.items():
        if path.name == "__init__.py" and name != "recbole_micro":
            held = [other for other in path.parent.iterdir() if other.suffix == ".py"]
            assert len(held) - 1 <= SIZE.get(name, 12), f"{name} has {len(held) - 1} files"


@pytest.mark.parametrize("package", ["dataset_tools", "recbole_micro_server"])
def test_converters_and_the_server_import_no_torch(package):
    for path in (ROOT / package).rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in tree.body:
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            assert not any(name.split(".")[0] in ("torch", "recbole_micro") for name in names), path
