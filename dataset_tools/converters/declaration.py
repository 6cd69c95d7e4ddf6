"""How a converter declares its options: once, as the fields of a frozen dataclass.

From the fields come the arguments of the command line (`add_arguments`), the keywords of the Python function
(`Converter.__call__`) and what `<name>.source.json` records (`recorded`).
"""

import argparse
import inspect
from collections.abc import Callable, Collection
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from dataset_tools.dataset.folder import DatasetFolder


@dataclass(frozen=True)
class Declared:
    """What a field tells beside its name and default."""

    flag: str  # on the command line; "" for the name with dashes
    help: str | Callable[[], str]
    source: bool  # a positional argument of the Python function
    recorded: str | bool  # whether the record of the data set has it, or under which other name
    argument: dict[str, Any]  # what else argparse's `add_argument` takes


def option(
    default: Any = MISSING,
    help: str | Callable[[], str] = "",
    *,
    flag: str = "",
    source: bool = False,
    recorded: str | bool | None = None,
    **argument: Any,
) -> Any:
    """A field for one option: required without a default, a switch where the default is False.

    `help` may be a function, for a text that is known only when the command line is made.  `flag` is the
    option's name on the command line where that is not the field's.  A `source` is taken by position in
    Python, before the data set's name; as a file it is recorded by its hash, so not among the options.
    `recorded` says otherwise, or gives another name.  The rest (`metavar`, `choices`, `type`, ...) is
    argparse's.  A mutable default is given as the class that makes it, such as `dict`.
    """
    kept = not source if recorded is None else recorded
    about = {"option": Declared(flag, help, source, kept, argument)}
    if isinstance(default, type):
        return field(default_factory=default, metadata=about)
    return field(default=default, metadata=about)


class Declares(Protocol):
    """A dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


Options = TypeVar("Options", bound=Declares)


class Converter(Generic[Options]):
    """A published layout: what it is in a few words, its options, and the function that converts it.

    The function gets the data set's folder, which it enters and writes, and the options.
    """

    def __init__(self, what: str, options: type[Options], write: Callable[[DatasetFolder, Options], object]):
        self.what, self.options, self._write = what, options, write
        self.__doc__ = write.__doc__
        self.__signature__ = _signature(options)

    def __call__(self, *sources: Any, **keywords: Any) -> Path:
        """`convert(*sources, name, data_path="dataset", force=False, **options)`; the data set's folder."""
        values = dict(self.__signature__.bind(*sources, **keywords).arguments)
        common = {key: values.pop(key) for key in ("name", "data_path", "force") if key in values}
        return self.run(self.options(**values), **common)

    def run(
        self, options: Options, name: str, data_path: str | Path = "dataset", force: bool = False
    ) -> Path:
        """Convert what the options name into the data set `name`; its folder."""
        folder = DatasetFolder(data_path, name, force)
        self._write(folder, options)
        return folder.target


def converter(
    what: str, options: type[Options]
) -> Callable[[Callable[[DatasetFolder, Options], object]], Converter[Options]]:
    """Make a converter of the function `write(folder, options)`; `what` describes the layout."""
    return lambda write: Converter(what, options, write)


def add_arguments(
    command: argparse.ArgumentParser, options: type[Declares], leave_out: Collection[str] = ()
) -> None:
    """The options as arguments of the command line: sources, the class's own, those that it inherits."""
    own = inspect.get_annotations(options)
    order = sorted(fields(options), key=lambda one: (not one.metadata["option"].source, one.name not in own))
    for declared in order:
        if declared.name not in leave_out:
            about: Declared = declared.metadata["option"]
            argument: dict[str, Any] = {"dest": declared.name, **about.argument}
            argument["help"] = about.help if isinstance(about.help, str) else about.help()
            default = _default(declared)
            if default is False:
                argument["action"] = "store_true"
            elif default is MISSING:
                argument["required"] = True
            else:
                argument["default"] = default
            command.add_argument(about.flag or "--" + declared.name.replace("_", "-"), **argument)


def given(
    options: type[Declares], namespace: argparse.Namespace, leave_out: Collection[str] = ()
) -> dict[str, Any]:
    """The options' values on the command line."""
    names = [declared.name for declared in fields(options)]
    return {name: getattr(namespace, name) for name in names if name not in leave_out}


def recorded(options: Declares) -> dict[str, Any]:
    """What `<name>.source.json` says of the options."""
    found = {}
    for declared in fields(options):
        key = declared.metadata["option"].recorded
        if key:
            found[declared.name if key is True else key] = getattr(options, declared.name)
    return found


def _signature(options: type[Declares]) -> inspect.Signature:
    parameter = inspect.Parameter
    declared = fields(options)
    sources = [one for one in declared if one.metadata["option"].source]
    return inspect.Signature(
        [
            *(_parameter(one, parameter.POSITIONAL_OR_KEYWORD) for one in sources),
            parameter("name", parameter.POSITIONAL_OR_KEYWORD, annotation=str),
            parameter("data_path", parameter.POSITIONAL_OR_KEYWORD, default="dataset", annotation=str | Path),
            *(_parameter(one, parameter.KEYWORD_ONLY) for one in declared if one not in sources),
            parameter("force", parameter.KEYWORD_ONLY, default=False, annotation=bool),
        ],
        return_annotation=Path,
    )


def _parameter(declared: Field[Any], kind: Any) -> inspect.Parameter:
    """A source has no default, so that the name can follow it; None stands for one that is absent."""
    default = MISSING if kind is inspect.Parameter.POSITIONAL_OR_KEYWORD else _default(declared)
    return inspect.Parameter(
        declared.name,
        kind,
        default=inspect.Parameter.empty if default is MISSING else default,
        annotation=declared.type,
    )


def _default(declared: Field[Any]) -> Any:
    if declared.default_factory is not MISSING:
        return declared.default_factory()
    return declared.default
