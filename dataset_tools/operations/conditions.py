"""Conditions on the columns of a table, such as `played_ratio >= 50 and event != "skip"`.

A grammar of its own, so that nothing is ever evaluated as code: columns, numbers, texts in quotes,
`+ - * /`, `= == != < <= > >=`, `in ("a", "b")`, `and`, `or`, `not` and parentheses.  A column whose name is
no plain word stands in backticks.
"""

import operator
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from dataset_tools.errors import DataError

Value = float | str | bool
Row = Mapping[str, str]
Part = Callable[[Row], Value]

DEEPEST = 50  # parentheses and `not` in each other
_TOKEN = re.compile(
    r"""\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?![\w.])|(?P<text>"[^"]*"|'[^']*')|`(?P<column>[^`]+)`"""
    r"""|(?P<word>[^\W\d]\w*)|(?P<mark><=|>=|==|!=|<>|[-+*/()<>=,]))"""
)
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_EQUAL = {"=": True, "==": True, "!=": False, "<>": False}


class Token(NamedTuple):
    kind: str
    text: str


class Condition:
    """A condition that was read; `columns` are those that it looks at, and a call decides about a row.

    Texts are compared with texts only by `=` and `!=`; a comparison of a number with what is none, such as an
    empty cell, is false.  `option`: what the text was given to, for the sentence about a mistake in it.
    """

    def __init__(self, text: str, option: str = "--where"):
        self._option = option
        self.text, self.columns = text, list[str]()
        self._tokens, self._place, self._depth = _tokens(text, option), 0, 0
        self._decide = self._either()
        if self._place < len(self._tokens):
            raise self._wrong(f"{self._tokens[self._place].text!r} is not expected there")

    def __call__(self, row: Row) -> bool:
        """Whether the row, text by column, fulfils the condition."""
        return bool(self._decide(row))

    def _wrong(self, reason: str) -> DataError:
        return _wrong(self.text, reason, self._option)

    def _taken(self, *texts: str) -> str:
        """The next token where it is one of these marks or words, else ""."""
        if self._place < len(self._tokens):
            token = self._tokens[self._place]
            if token.kind in ("mark", "word") and token.text.lower() in texts:
                self._place += 1
                return token.text.lower()
        return ""

    def _either(self) -> Part:
        left = self._both()
        while self._taken("or"):
            left = _either(self._condition(left), self._condition(self._both()))
        return self._condition(left) if self._depth == 0 else left

    def _both(self) -> Part:
        left = self._not()
        while self._taken("and"):
            left = _both(self._condition(left), self._condition(self._not()))
        return left

    def _not(self) -> Part:
        if not self._taken("not"):
            return self._comparison()
        self._deeper()
        inner = self._condition(self._not())
        self._depth -= 1
        return _marked(lambda row: not inner(row))

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise self._wrong(f"more than {DEEPEST} parentheses stand in each other")

    def _comparison(self) -> Part:
        left = self._sum()
        if self._taken("in"):
            return _among(left, self._list())
        mark = self._taken(*_COMPARE, *_EQUAL)
        if not mark:
            return left
        right = self._sum()
        return _equal(left, right, _EQUAL[mark]) if mark in _EQUAL else _ordered(left, right, _COMPARE[mark])

    def _list(self) -> list[Part]:
        if not self._taken("("):
            raise self._wrong('after "in" a list such as ("a", "b") is expected')
        found = [self._sum()]
        while self._taken(","):
            found.append(self._sum())
        if not self._taken(")"):
            raise self._wrong("a list is not closed")
        return found

    def _sum(self) -> Part:
        left = self._product()
        while mark := self._taken("+", "-"):
            left = _computed(left, self._product(), operator.add if mark == "+" else operator.sub)
        return left

    def _product(self) -> Part:
        left = self._single()
        while mark := self._taken("*", "/"):
            left = _computed(left, self._single(), operator.mul if mark == "*" else operator.truediv)
        return left

    def _single(self) -> Part:
        if self._place >= len(self._tokens):
            raise self._wrong("it ends where a column or a value is expected")
        if self._taken("-"):
            self._deeper()
            value = self._single()
            self._depth -= 1
            return _computed(lambda row: 0.0, value, operator.sub)
        if self._taken("("):
            self._deeper()
            inner = self._either()
            self._depth -= 1
            if not self._taken(")"):
                raise self._wrong("a parenthesis is not closed")
            return inner
        kind, text = self._tokens[self._place]
        self._place += 1
        if kind == "number":
            return lambda row: float(text)
        if kind == "text":
            return lambda row: text[1:-1]
        if kind == "word" and text.lower() in ("true", "false"):
            return lambda row: float(text.lower() == "true")
        if kind == "mark" or (kind == "word" and text.lower() in ("and", "or", "not", "in")):
            raise self._wrong(f"a column or a value is expected where {text!r} stands")
        self.columns += [text] if text not in self.columns else []
        return lambda row: row[text]

    def _condition(self, part: Part) -> Part:
        if not getattr(part, "decides", False):
            raise self._wrong("a comparison such as rating >= 4 is expected")
        return part


def _wrong(text: str, reason: str, option: str) -> DataError:
    return DataError(
        f"{option} {text[:80]!r}: {reason}; write comparisons such as 'rating >= 4 and kind = \"like\"', "
        "columns with odd names in backticks."
    )


def _tokens(text: str, option: str) -> list[Token]:
    found, place = [], 0
    while text[place:].strip():
        match = _TOKEN.match(text, place)
        if match is None:
            raise _wrong(text, f"{text[place:].strip()[:20]!r} is not understood", option)
        kind = str(match.lastgroup)
        found.append(Token(kind, match[kind]))
        place = match.end()
    return found


def _marked(part: Callable[[Row], bool]) -> Part:
    """A part that decides, so that it can stand beside `and`, `or` and `not`."""
    part.decides = True  # type: ignore[attr-defined]
    return part


def _either(left: Part, right: Part) -> Part:
    return _marked(lambda row: bool(left(row)) or bool(right(row)))


def _both(left: Part, right: Part) -> Part:
    return _marked(lambda row: bool(left(row)) and bool(right(row)))


def _number(value: Value) -> float | None:
    if not isinstance(value, str):
        return float(value)
    try:
        return float(value)
    except ValueError:
        return {"true": 1.0, "false": 0.0}.get(value.strip().lower())


def _computed(left: Part, right: Part, compute: Callable[[float, float], float]) -> Part:
    def value(row: Row) -> Value:
        one, other = _number(left(row)), _number(right(row))
        if one is None or other is None:
            return ""
        try:
            return compute(one, other)
        except (ZeroDivisionError, OverflowError):
            return ""

    return value


def _ordered(left: Part, right: Part, compare: Callable[[float, float], bool]) -> Part:
    def decide(row: Row) -> bool:
        one, other = _number(left(row)), _number(right(row))
        return one is not None and other is not None and compare(one, other)

    return _marked(decide)


def _same(one: Value, other: Value) -> bool | None:
    """Whether texts are equal as they stand, or numbers by their value; None where only one is a number."""
    if isinstance(one, str) and isinstance(other, str):
        return one == other
    left, right = _number(one), _number(other)
    return None if left is None or right is None else left == right


def _equal(left: Part, right: Part, wanted: bool) -> Part:
    return _marked(lambda row: _same(left(row), right(row)) is wanted)


def _among(left: Part, choices: list[Part]) -> Part:
    return _marked(lambda row: any(_same(left(row), choice(row)) is True for choice in choices))
