"""Options: declared once, as comments in the YAML files; here they become checks and help.

`name: default  # (kind) help`, where kind is one or several (joined by `or`) of bool, int, float, str, dict,
list, `list of KIND`, `choice a|b|c` and null; numbers may have a range: `int >= 0`, `float > 0`,
`float 0..1`.  An option whose default is `~` may be null.  Keys of a dict are declared below it, indented.
"""

import math
import numbers
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from recbole_micro.errors import UserError, hint
from recbole_micro.options.values import load_yaml, parse, parse_strings, without_tuples

DECLARATION = re.compile(
    r"(?P<indent> *)(?P<name>[A-Za-z_][\w-]*) *:(?:.*?\s# *\((?P<kind>[^)]*)\)\s*(?P<help>.*))?"
)
RANGE = re.compile(r"(?P<relation>>=?) *(?P<bound>\S+)|(?P<low>\S+?)\.\.(?P<high>\S+)")
WORDS = {  # kinds in messages and help
    "bool": "True or False",
    "int": "whole number",
    "float": "number",
    "str": "text",
    "dict": "{key: value, ...}",
    "null": "~",
}
LARGEST = 2**63 - 1  # of PyTorch's whole numbers
# RecBole's own comments give no ranges.
AT_LEAST = {"embedding_size": 1, "n_layers": 0, "loss_decimal_place": 0}


class Refused(Exception):
    """A value is not of a kind."""


@dataclass(frozen=True)
class Kind:
    """One kind of value: its name and, where it has them, bounds, choices and the kind of its items.

    Beside the declared kinds there are `number` and `text`, of which RecBole's options are.
    """

    name: str
    low: float = -math.inf
    high: float = math.inf
    above_low: bool = False
    choices: tuple[str, ...] = ()
    item: "Kind | None" = None

    def __str__(self) -> str:
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        name = WORDS.get(self.name, self.name)
        if self.item:
            return f"{name} of {self.item}"
        if math.isfinite(self.high):
            return f"{name} {self.low:.12g}..{self.high:.12g}"
        return f"{name} {'>' if self.above_low else '>='} {self.low:g}" if math.isfinite(self.low) else name

    def read(self, value: Any) -> Any:
        """The value as this kind; raises Refused."""
        if isinstance(value, np.generic):
            value = value.item()
        return getattr(self, f"_read_{self.name}")(value)

    def _read_bool(self, value):
        value = parse(value) if isinstance(value, str) else value
        if value not in (True, False):
            raise Refused
        return bool(value)

    def _read_number(self, value):
        return self._number(value)

    def _read_text(self, value):
        return value if value is None or isinstance(value, bool) else self._read_str(value)

    def _read_int(self, value):
        value = self._number(value)
        if value != int(value) or abs(value) > LARGEST:
            raise Refused
        return self._within(int(value))

    def _read_float(self, value):
        return self._within(float(self._number(value)))

    def _number(self, value):
        value = parse(value) if isinstance(value, str) else value
        if isinstance(value, bool) or not isinstance(value, numbers.Real) or not math.isfinite(value):
            raise Refused
        return value

    def _within(self, value):
        if not (self.low < value if self.above_low else self.low <= value) or value > self.high:
            raise Refused
        return value

    def _read_str(self, value):
        if isinstance(value, os.PathLike):
            return os.fspath(value)
        text = str(value)
        if not isinstance(value, (str, int, float)) or "\0" in text:  # no file can be named so
            raise Refused
        quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
        return text[1:-1] if quoted else text

    def _read_choice(self, value):
        if str(value) not in self.choices:
            raise Refused
        return str(value)

    def _read_list(self, value):
        if isinstance(value, str):
            value = self._list_in(value)
        elif isinstance(value, (tuple, list, set, np.ndarray)):
            value = without_tuples(list(value))
        elif isinstance(value, dict) or value is None:
            raise Refused
        else:
            value = [value]
        return [self.item.read(item) for item in value] if self.item else value

    def _list_in(self, text):
        if self.item and self.item.name in ("str", "choice"):
            return parse_strings(text)
        value = parse(text)
        return value if isinstance(value, list) else [parse(item) for item in parse_strings(text)]

    def _read_null(self, value):
        if (parse(value) if isinstance(value, str) else value) is not None:
            raise Refused

    def _read_dict(self, value):
        value = parse(value) if isinstance(value, str) else value
        if not isinstance(value, dict):
            raise Refused
        return value


@dataclass(frozen=True)
class Option:
    """One declared option; `keys` are those that a dict may have, `source` the file it comes from."""

    name: str
    kinds: tuple[Kind, ...]
    default: Any = None
    help: str = ""
    source: str = ""
    keys: Mapping[str, "Option"] = field(default_factory=dict)
    nullable: bool = False

    @property
    def allowed(self) -> str:
        """What values are allowed, in words."""
        return " or ".join(map(str, self.kinds))

    def read(self, value: Any, where: str) -> Any:
        """The value as declared; raises UserError."""
        null = value is None or isinstance(value, str) and parse(value) is None
        if null and (self.nullable or self.default is None):
            return None
        for kind in self.kinds:
            try:
                value = kind.read(value)
            except Refused:
                continue
            return self._read_keys(value, where) if self.keys and isinstance(value, dict) else value
        raise UserError(f"Option {self.name} is {value!r} ({where}); allowed: {self.allowed}.")

    def _read_keys(self, given, where):
        values = {}
        for key, value in given.items():
            if key not in self.keys:
                near = hint(str(key), self.keys, f"; it has {', '.join(self.keys)}.")
                raise UserError(f"Option {self.name} has no key {key!r} ({where}){near}")
            values[key] = read_value(key, value, self.keys[key], where)
        return values


def read_value(name: str, value: Any, option: Option | None, where: str) -> Any:
    """A user's value: as declared where there is a declaration, else whatever a string stands for.

    `where` the user gave it is for messages, such as "in config.yaml".  Raises UserError for a value that is
    not allowed.
    """
    if option is not None and option.kinds:
        return option.read(value, where)
    return parse(value) if isinstance(value, str) and name not in ("model", "dataset") else value


def parse_kind(text: str) -> Kind:
    """The Kind that a declaration such as `int >= 0` or `list of str` means; ValueError for none."""
    name, _, rest = text.strip().partition(" ")
    if name == "choice":
        return Kind("choice", choices=tuple(rest.split("|")))
    if name == "list" and rest.startswith("of "):
        return Kind("list", item=parse_kind(rest.removeprefix("of ")))
    if name not in ("list", *WORDS) or (rest and name not in ("int", "float")):
        raise ValueError(f"no kind of option: {text!r}")
    if not rest:
        return Kind(name)
    bounds = RANGE.fullmatch(rest)
    if not bounds:
        raise ValueError(f"no range of an option: {text!r}")
    if bounds["bound"]:
        return Kind(name, low=float(bounds["bound"]), above_low=bounds["relation"] == ">")
    return Kind(name, low=float(bounds["low"]), high=float(bounds["high"]))


def parse_declarations(text: str, source: str) -> dict[str, Option]:
    """Every option that a YAML file of ours names, in its order."""
    return read_declarations(
        text, source, lambda kinds, _: tuple(map(parse_kind, kinds.split(" or "))) if kinds else ()
    )


def read_declarations(text: str, source: str, kinds_of: Callable) -> dict[str, Option]:
    """The options of a YAML file; `kinds_of(text in brackets, default)` gives their kinds."""
    defaults = load_yaml(text) or {}
    found: dict[str, Option] = {}
    for line in text.splitlines():
        match = DECLARATION.match(line)
        if not match:
            continue
        name, kind = match["name"], match["kind"] or ""
        if not match["indent"] and name in defaults:
            kinds = kinds_of(kind, defaults[name])
            found[name] = Option(name, kinds, defaults[name], match["help"] or "", source)
        elif match["indent"] and kind and found:
            last = next(reversed(found))
            default = (defaults[last] or {}).get(name)
            key = Option(f"{last}.{name}", kinds_of(kind, default), default, match["help"] or "", source)
            found[last] = replace(found[last], keys={**found[last].keys, name: key})
    return found


def believable_kinds(text: str, default: Any) -> tuple[Kind, ...]:
    """The kinds in one of RecBole's comments; none where it is unclear or its own default contradicts it.

    RecBole does not check: its `int` may be a fraction, its `str` anything.
    """
    kinds = []
    for part in text.split(" or "):
        name = part.split(" ")[0]
        name = {"int": "number", "float": "number", "str": "text", "string": "text"}.get(name, name)
        if name not in ("bool", "number", "text", "list", "dict", "None"):
            return ()
        kinds += [] if name == "None" else [Kind(name)]
    for kind in kinds:
        try:
            kind.read(default)
            return tuple(kinds)
        except Refused:
            continue
    return tuple(kinds) if default is None else ()
