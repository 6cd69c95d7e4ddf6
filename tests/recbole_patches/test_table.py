"""The table of mends: written for this source, one change a target, applied once, and told in the docs."""

import ast
import inspect
import json
import sys
import warnings
from pathlib import Path

import pytest
import recbole

from recbole_micro.recbole_patches import table
from recbole_micro.recbole_patches.mechanism import MARK, Patch, apply, edited, source_hash
from tests.support.processes import ROOT, run_code, run_warm

KINDS = ("wrap", "replace", "edit", "set", "call")
METHODS = [row for row in table.PATCHES if row.how in ("wrap", "replace", "edit") and row.applies()]


def test_no_target_is_changed_twice():
    keys = [patch.key for section in table.SECTIONS.values() for patch in section]
    assert len(set(keys)) == len(keys)
    assert set(table.PATCHES) | set(table.BEFORE_IMPORT) == {
        patch for section in table.SECTIONS.values() for patch in section
    }


@pytest.mark.parametrize("patch", [*table.BEFORE_IMPORT, *table.PATCHES], ids=lambda patch: patch.key)
def test_a_row_says_what_it_needs_to_say(patch):
    assert patch.how in KINDS and patch.cause.endswith(".")
    assert patch.release in ("", *table.KNOWN_VERSIONS)
    assert bool(patch.source) == (patch.how in ("wrap", "replace", "edit"))


@pytest.mark.parametrize("patch", METHODS, ids=lambda patch: patch.key)
def test_a_change_is_applied_once_to_the_source_it_was_written_for(patch):
    changed = getattr(patch.target(), patch.name)
    assert getattr(changed, MARK) == patch.key
    if patch.how == "edit":
        # Compiled anew under the file and the lines of the original, whose text `inspect` therefore reads.
        assert source_hash(changed) in patch.source.split()
        assert all(old in inspect.getsource(changed) for old, _ in patch.change), "the fault is still there"
    else:
        original = changed.__wrapped__
        assert source_hash(original) in patch.source.split()
        assert not hasattr(original, MARK), "a wrap of a wrap"


def runs_code(call):
    """Whether a call of RecBole's source evaluates a text, or opens a file that may hold objects."""
    options = [ast.unparse(word) for word in call.keywords]
    objects = "allow_pickle=True" in options or "weights_only=False" in options
    return objects or ast.unparse(call.func) in ("eval", "exec", "pickle.load", "pickle.loads")


@pytest.mark.filterwarnings("ignore")  # of escapes in its texts
def test_no_line_of_recbole_runs_what_a_file_or_an_option_says():
    """`torch.load` opens weights alone unless it is told otherwise."""
    root, found = Path(recbole.__file__).parent, set()
    for file in root.rglob("*.py"):
        module = ".".join(file.relative_to(root.parent).with_suffix("").parts)
        top = ast.parse(file.read_text(encoding="utf-8")).body
        classes = [node for node in top if isinstance(node, ast.ClassDef)]
        places = [("", node) for node in top if node not in classes]
        places += [(f":{one.name}", node) for one in classes for node in one.body]
        for owner, node in places:
            if any(isinstance(part, ast.Call) and runs_code(part) for part in ast.walk(node)):
                found.add(f"{module}{owner}.{getattr(node, 'name', node.lineno)}")
    mended = {patch.key for patch in table.PATCHES if patch.how in ("replace", "edit")}
    assert len(found) >= 6 and found <= mended


def test_nothing_else_of_recbole_is_changed(tmp_path):
    """What differs between RecBole with the plugin and without is what the table names."""
    code = """
import inspect, json, sys
if sys.argv[1] == "with":
    import recbole_micro
else:  # what RecBole needs to be imported at all
    import types
    package = types.ModuleType("recbole_micro")
    package.__path__ = [sys.argv[2]]
    sys.modules["recbole_micro"] = package
    from recbole_micro.recbole_patches.libraries import BEFORE_IMPORT
    from recbole_micro.recbole_patches.mechanism import apply_one
    for patch in BEFORE_IMPORT:
        apply_one(patch)
    for name in sys.argv[3:]:
        __import__(name)
import recbole.quick_start, recbole.trainer.hyper_tuning

def text(code):
    return [code.co_filename, code.co_code.hex(), repr(code.co_names), repr(code.co_consts)]

found = {}
for name, module in sorted(sys.modules.items()):
    if not name.startswith("recbole."):
        continue
    for attribute, value in vars(module).items():
        if getattr(value, "__module__", None) != name and not inspect.isfunction(value):
            continue
        if inspect.isclass(value):
            for method, function in vars(value).items():
                function = getattr(function, "__func__", function)
                code = getattr(function, "__code__", None)
                if code is not None:
                    if code.co_filename.endswith("_contextlib.py"):  # torch.no_grad
                        code = inspect.unwrap(function).__code__
                    found[f"{name}:{value.__name__}.{method}"] = text(code)
        elif inspect.isfunction(value) and value.__module__.startswith("recbole"):
            found[f"{value.__module__}.{value.__name__}"] = text(value.__code__)
print(json.dumps([sorted(name for name in sys.modules if name.startswith("recbole.")), found]))
"""
    with_plugin = run_warm("-c", code, "with", cwd=tmp_path)
    assert with_plugin.returncode == 0, with_plugin.stderr
    names, ours = json.loads(with_plugin.stdout)
    own = str(ROOT / "recbole_micro")
    real = [name for name in names if "general_recommender.micro" not in name]
    without = run_code(code, "without", own, *real, cwd=tmp_path)
    assert without.returncode == 0, without.stderr
    _, theirs = json.loads(without.stdout)

    def comparable(value):
        return [part for part in value if " at 0x" not in part and "frozenset(" not in part]

    differing = {
        name for name in theirs if name in ours and comparable(ours[name]) != comparable(theirs[name])
    }
    gone = {name for name in theirs if name not in ours}
    replaced = {patch.key for patch in table.PATCHES}
    assert gone <= replaced, gone - replaced
    assert differing <= replaced, differing - replaced
    assert {patch.key for patch in METHODS if patch.how == "edit" and ":" in patch.owner} <= differing


def test_an_edit_keeps_module_name_lines_and_super():
    class Base:
        def double(self, x):
            return 2 * x

    class Child(Base):
        def double(self, x):
            wrong = 1
            return super().double(x) + wrong

    changed = edited(Child.double, (("wrong = 1", "wrong = 0"),), Child)
    assert changed(Child(), 4) == 8 and Child().double(4) == 9
    assert changed.__module__ == __name__ and changed.__qualname__ == Child.double.__qualname__
    assert changed.__code__.co_firstlineno == Child.double.__code__.co_firstlineno
    assert edited(Child.double, (("not there", "x"),), Child) is None


def module_function():
    return "as it was"


def test_another_source_is_told_in_one_sentence():
    here, version = sys.modules[__name__], recbole.__version__
    row = Patch(
        __name__, "module_function", "wrap", lambda original: lambda: "changed", "A test.", "000000000000"
    )
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        apply([row], [version])
    assert [str(one.message) for one in said] == [
        f"recbole_micro was written for recbole {version}, and this is {version}; "
        f"other source than expected: {__name__}.module_function: "
        f"install recbole {version} where results look wrong."
    ]
    assert here.module_function() == "changed"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        apply([row], [version])  # once is enough


def test_another_version_is_told(monkeypatch):
    monkeypatch.setattr("recbole.__version__", "1.3.0")
    with pytest.warns(RuntimeWarning, match=r"written for recbole 1\.2\.0 or 1\.2\.1, and this is 1\.3\.0: "):
        apply([], table.KNOWN_VERSIONS)


def test_two_rows_for_one_target_are_refused():
    row = Patch(__name__, "module_function", "wrap", lambda original: original, "A test.", "0")
    with pytest.raises(ValueError, match="more than one row changes .*module_function"):
        apply([row, row], ["1.2.0"])


def test_the_page_on_internals_prints_the_table():
    text = (ROOT / "docs" / "internals.md").read_text(encoding="utf-8")
    begin, end = "<!-- patches -->\n", "<!-- /patches -->"
    assert text.split(begin)[1].split(end)[0].strip() == table.markdown().strip(), (
        "write it anew: python docs/generate.py"
    )
