"""The one mechanism by which RecBole and the libraries below it are mended in place."""

import ast
import functools
import hashlib
import inspect
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

MARK = "recbole_micro_patch"  # attribute of a patched function: its row's key


def always() -> bool:
    """The condition of a mend that every known environment needs."""
    return True


@dataclass(frozen=True)
class Patch:
    """One row of the table: `owner.name` is changed because of `cause`.

    `owner` is `package.module` or `package.module:Class`.  `how` says what `change` is:

    - `wrap`: a function of the original that returns the new one;
    - `replace`: the new function;
    - `edit`: pairs (lines as they are, lines as they should be) of the original's own source;
    - `set`: a function without arguments that returns the new value of the attribute;
    - `call`: a function without arguments that mends what is no single attribute; `name` is for people.

    `source`: the first 12 digits of the SHA-256 of the source that the change was written for; several, with
    blanks between them, where the known releases differ.  `release`: the one release of RecBole that has the
    fault; empty for every one.  `needed` tells whether this environment's libraries have it; `versions` says
    in words which do, where the fault is not RecBole's alone.
    """

    owner: str
    name: str
    how: str
    change: Any
    cause: str
    source: str = ""
    release: str = ""
    versions: str = ""
    needed: Callable[[], bool] = always

    @property
    def key(self) -> str:
        """What tells this row from the others."""
        return f"{self.owner}.{self.name}"

    def applies(self) -> bool:
        """Whether this environment has the fault."""
        import recbole

        return self.release in ("", recbole.__version__) and self.needed()

    def target(self) -> Any:
        """The module or class that has the attribute."""
        module, _, path = self.owner.partition(":")
        owner = import_module(module)
        for part in filter(None, path.split(".")):
            owner = getattr(owner, part)
        return owner


def apply(patches: Sequence[Patch], known_versions: Iterable[str]) -> None:
    """Apply every row that this environment needs; idempotent.

    Where RecBole is of an unknown version, or a source is not the one that a row was written for, one
    warning names them: such a change may be wrong.  An edit whose lines are not there is left out.
    """
    patches = [patch for patch in patches if patch.applies()]
    check_distinct(patches)
    doubtful = [patch.key for patch in patches if not apply_one(patch)]
    import recbole

    if recbole.__version__ not in known_versions or doubtful:
        versions = " or ".join(known_versions)
        differing = f"; other source than expected: {', '.join(doubtful)}" if doubtful else ""
        warnings.warn(
            f"recbole_micro was written for recbole {versions}, and this is {recbole.__version__}"
            f"{differing}: install recbole {versions} where results look wrong.",
            RuntimeWarning,
            stacklevel=2,
        )


def check_distinct(patches: Sequence[Patch]) -> None:
    """Raise ValueError where two rows change the same thing: the order would decide."""
    keys = [patch.key for patch in patches]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise ValueError(f"more than one row changes {', '.join(twice)}")


def apply_one(patch: Patch) -> bool:
    """Apply one row, unless it is applied; whether the source is the one that it was written for."""
    if patch.how == "call":
        patch.change()
        return True
    owner = patch.target()
    original: Any = getattr(owner, patch.name, None)
    if patch.how == "set":
        setattr(owner, patch.name, patch.change())
        return True
    if original is None:  # another version, without this function
        return False
    if getattr(original, MARK, None) == patch.key:
        return True
    expected = source_hash(original) in patch.source.split()
    if patch.how == "edit":
        changed = edited(original, patch.change, owner)
        if changed is None:
            return False
    else:
        changed = patch.change(original) if patch.how == "wrap" else patch.change
        changed = functools.update_wrapper(changed, original)
    setattr(getattr(changed, "__func__", changed), MARK, patch.key)
    if inspect.ismodule(owner):
        put_everywhere(original, changed)
    else:
        setattr(owner, patch.name, changed)
    return expected


def source_hash(function: Callable) -> str:
    """The first 12 digits of the SHA-256 of a function's source; empty where there is none to read."""
    try:
        source = inspect.getsource(function)
    except (OSError, TypeError):
        return ""
    return hashlib.sha256(textwrap.dedent(source).encode()).hexdigest()[:12]


def edited(function: Callable, edits: Sequence[tuple[str, str]], owner: Any = None) -> Callable | None:
    """The function compiled anew from its own source with these lines exchanged; None where one is missing.

    It lives in the same module and shows the same file and line numbers in tracebacks.  `owner`: the class
    whose method it is, which `super()` needs.
    """
    function = inspect.unwrap(function)
    try:
        lines, first = inspect.getsourcelines(function)
    except (OSError, TypeError):
        return None
    source = textwrap.dedent("".join(lines))
    for old, new in edits:
        if old not in source:
            return None
        source = source.replace(old, new)
    # A method finds its class by the name `__class__` around it.
    around = ast.parse(f"def method_of(__class__):\n    return {function.__name__}")
    definition = ast.increment_lineno(ast.parse(source), first - 1).body
    around.body[0].body[:0] = definition  # type: ignore[attr-defined]
    namespace: dict[str, Any] = {}
    code = compile(around, inspect.getfile(function), "exec")
    exec(code, function.__globals__, namespace)  # nosec B102 # RecBole's source with lines of the table
    changed = namespace["method_of"](owner)
    inner = inspect.unwrap(getattr(changed, "__func__", changed))
    inner.__qualname__, inner.__module__ = function.__qualname__, function.__module__
    return changed


def put_everywhere(original: Callable, ours: Callable) -> None:
    """Put `ours` wherever a module's function was imported by its name."""
    for module in list(sys.modules.values()):
        if getattr(module, "__dict__", {}).get(original.__name__) is original:
            setattr(module, original.__name__, ours)
