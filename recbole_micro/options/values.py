"""Safe reading of option values: YAML 1.2 scalars, no code is ever evaluated."""

import ast
import re
from pathlib import Path
from typing import Any

import yaml

from recbole_micro.errors import UserError


class Loader(yaml.SafeLoader):
    """YAML with the scalars of YAML 1.2, RecBole's `1e-3` floats, and `None` for null.

    YAML 1.1, which PyYAML follows, reads `no` as False, `010` as 8 and `1:30` as 90; here they stay strings.
    """


Loader.yaml_implicit_resolvers = {}
for tag, pattern, first in (
    ("null", r"~|null|Null|NULL|None|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("float", r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", "-+."),
    ("merge", r"<<", "<"),
):
    Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), list(first))


def load_yaml(text: str) -> Any:
    """What a YAML text says: plain values alone, `None` for an empty one; yaml.YAMLError where it is none."""
    return yaml.load(text, Loader=Loader)  # nosec B506 # a SafeLoader, which makes no objects


def parse(text: str) -> Any:
    """The value that a string from the command line or a dictionary stands for.

    `(1, 2)` is a list; what is no YAML (`a: b: c`, `[0,inf)`) stays the string it is.
    """
    stripped = text.strip()
    if not stripped:
        return text
    if "(" in stripped and stripped[0] in "[{(":
        try:
            return without_tuples(ast.literal_eval(stripped))
        except (ValueError, SyntaxError):
            if stripped[0] == "(" and stripped[-1] == ")":
                stripped = f"[{stripped[1:-1]}]"
    elif stripped[0] not in "[{\"'":
        # Only flow collections and quotes need the whole of YAML: `a: b` or `# x` are meant as text.
        tag = Loader("").resolve(yaml.ScalarNode, stripped, (True, False))
        return text if tag.endswith(":str") else load_yaml(stripped)
    try:
        return load_yaml(stripped)
    except yaml.YAMLError:
        return text


def without_tuples(value: Any) -> Any:
    """The same value with every tuple and set a list."""
    if isinstance(value, dict):
        return {key: without_tuples(item) for key, item in value.items()}
    return [without_tuples(item) for item in value] if isinstance(value, (list, tuple, set)) else value


def parse_strings(text: str) -> list[str]:
    """The items of `a,b`, `[a, b]` or `(a, b)`, each as the string that was written."""
    stripped = text.strip()
    if stripped[:1] + stripped[-1:] in ("[]", "()"):
        stripped = stripped[1:-1]
    try:
        items = yaml.load(f"[{stripped}]", Loader=yaml.BaseLoader)  # nosec B506 # it makes strings alone
    except yaml.YAMLError:
        items = None
    if items is None or not all(isinstance(item, str) for item in items):
        raise UserError(f"{text!r} is no list of names: write a,b or [a, b].")
    return items


def read_yaml(path: str | Path) -> dict:
    """The mapping in a YAML file.

    Raises UserError where the file is missing, empty, broken or holds no mapping of names to values.
    """
    try:
        content = load_yaml(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"The file of options {path} cannot be read ({reason}): check the path.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None) or error
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        detail = where + " ".join(str(problem).split())
        raise UserError(f"The file of options {path} is no valid YAML: {detail}.") from error
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        what = "is empty" if content is None else "holds no mapping"
        raise UserError(f"The file of options {path} {what}: write lines of the form `option: value`.")
    return content
