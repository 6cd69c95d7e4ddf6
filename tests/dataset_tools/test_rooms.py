"""The rooms of dataset_tools: a lower one never imports a higher one, and no modules import each other."""

import ast
from pathlib import Path

import dataset_tools

ROOT = Path(dataset_tools.__file__).parent
ROOMS = [  # from low to high
    "errors",
    "progress",
    "files",
    "formats",
    "features",
    "dataset",
    "operations",
    "converters",
    "inspection",
    "commands",
    "__main__",
]
MOST_FILES = 11


def modules():
    """Name of every module -> its file; the package's own face, which shows names of all rooms, aside."""
    files = {file.relative_to(ROOT.parent).with_suffix(""): file for file in ROOT.rglob("*.py")}
    named = {".".join(path.parts).removesuffix(".__init__"): file for path, file in files.items()}
    del named["dataset_tools"]
    return named


MODULES = modules()


def imports(file):
    """The modules of this package that a file imports, also inside functions."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative imports hide which room they reach"
            if node.module and node.module.split(".")[0] == ROOT.name:
                inside = [f"{node.module}.{alias.name}" for alias in node.names]
                yield from (name if name in MODULES else node.module for name in inside)


GRAPH = {name: set(imports(file)) for name, file in MODULES.items()}


def room(module):
    return ROOMS.index(module.split(".")[1])


def test_every_module_is_in_a_room():
    assert {module.split(".")[1] for module in MODULES} == set(ROOMS)


def test_no_room_imports_a_higher_one():
    wrong = [
        f"{module} imports {other}"
        for module, others in GRAPH.items()
        for other in others
        if other == ROOT.name or room(other) > room(module)
    ]
    assert wrong == []


def test_no_module_imports_itself_on_a_detour():
    done = set()

    def visit(module, path):
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module not in done:
            for other in sorted(GRAPH[module]):
                visit(other, [*path, module])
            done.add(module)

    for module in GRAPH:
        visit(module, [])


def test_a_room_is_small_enough_to_survey():
    folders = {file.parent for file in MODULES.values()}
    crowded = {folder.name: len(list(folder.glob("*.py"))) for folder in folders}
    assert {name: count for name, count in crowded.items() if count > MOST_FILES} == {}


def test_the_package_s_face_tells_type_checkers_and_python_the_same():
    tree = ast.parse((ROOT / "__init__.py").read_text(encoding="utf-8"))
    (typed,) = (node for node in tree.body if isinstance(node, ast.If))
    told = {alias.asname: node.module for node in typed.body for alias in node.names}
    assert told == dataset_tools._HOMES
    for name in dataset_tools.__all__:
        assert getattr(dataset_tools, name).__doc__
