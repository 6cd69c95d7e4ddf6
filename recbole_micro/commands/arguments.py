"""Arguments of subcommands that have options of their own."""

from collections.abc import Mapping
from itertools import zip_longest
from pathlib import Path

from recbole_micro import options
from recbole_micro.errors import UserError, hint
from recbole_micro.options import user_models
from recbole_micro.options.effects import instead
from recbole_micro.options.values import parse_strings


def split_arguments(argv: list[str], names: tuple[str, ...]) -> tuple[dict[str, str], list[str]]:
    """A subcommand's own `--name=value` and `--name value`, and the other arguments."""
    own, rest, position = {}, [], 0
    while position < len(argv):
        name, equals, text = name_and_value(argv[position])
        if name not in names:
            rest.append(argv[position])
        elif name in own:
            raise UserError(f"--{name} is given twice: keep one.")
        elif equals or position + 1 < len(argv):
            position += not equals
            own[name] = text if equals else argv[position]
        else:
            raise UserError(f"--{name} needs a value: write --{name}=VALUE.")
        position += 1
    return own, rest


def name_and_value(argument: str) -> tuple[str, str, str]:
    """Name, `=` and value of `--name=value`, dashes in the name as underscores; else the name is empty."""
    name, equals, text = argument.partition("=")
    return (name[2:].replace("-", "_") if name.startswith("--") else ""), equals, text


def positive(own: Mapping[str, str], name: str) -> int | None:
    """A whole number above 0 among a subcommand's own arguments; None where it is not given."""
    if name not in own:
        return None
    return options.Option(name, (options.parse_kind("int > 0"),)).read(own[name], "on the command line")


def read_own(
    command: str, argv: list[str], names: tuple[str, ...], flags: tuple[str, ...] = ()
) -> dict[str, str]:
    """Arguments of a command that has no others: `--name=value`, and `flags` without a value.

    `-k N` is `--topk N`.  Raises UserError for any other argument.
    """
    argv = ["--topk" if argument == "-k" else argument for argument in argv]
    given = [
        name_and_value(argument)[0] for argument in argv if argument.startswith("--") and "=" not in argument
    ]
    marked = {name: "" for name in flags if name in given}
    rest = [
        argument for argument in argv if name_and_value(argument)[:2] not in [(name, "") for name in marked]
    ]
    own, rest = split_arguments(rest, names)
    if rest:
        otherwise = f"; recbole-micro {command} --help lists them."
        near = hint(name_and_value(rest[0])[0], (*names, *flags), otherwise)
        raise UserError(f"The argument {rest[0]!r} is unknown{near}")
    return own | marked


def needed(command: str, own: Mapping[str, str], name: str, what: str) -> str:
    """The value of an argument that a command cannot do without; UserError where it is not given."""
    if not own.get(name):
        raise UserError(f"{command} needs {what}.")
    return own[name]


def out_file(own: Mapping[str, str], suffixes: tuple[str, ...]) -> Path | None:
    """The path of `--out`, or None; UserError for another kind of file, or a folder that is not there."""
    if "out" not in own:
        return None
    path = Path(own["out"])
    if path.suffix not in suffixes:
        among = ", ".join(suffixes[:-1]) + f" or {suffixes[-1]}" if len(suffixes) > 1 else suffixes[0]
        raise UserError(f"--out is {path}: choose a {among} file.")
    if not path.parent.is_dir():
        raise UserError(f"There is no folder {path.parent} for --out={path}: make it first.")
    return path


def read_arguments(argv: list[str]) -> dict[str, str]:
    """The options in `--key=value`, `--key value` and (for booleans) `--key`, as strings.

    Raises UserError for anything else, for unknown names, for an option given twice with different values.
    """
    given: dict[str, str | None] = {}
    load_plugins(argv)
    position = 0
    while position < len(argv):
        argument = argv[position]
        if not argument.startswith("--"):
            raise UserError(f"The argument {argument!r} belongs to no option: write --option=value.")
        name, equals, text = name_and_value(argument)
        check_name(name)
        if not equals and position + 1 < len(argv) and not argv[position + 1].startswith("--"):
            position += 1
            equals, text = "=", argv[position]
        value = text if equals else None
        if given.setdefault(name, value) != value:
            raise UserError(f"--{name} is given twice, as {given[name]!r} and {value!r}: keep one.")
        position += 1
    return with_flags(given)


def load_plugins(argv: list[str]) -> None:
    """Load the files of `--plugins` before the names of options are looked up: they bring their own."""
    for argument, following in zip_longest(argv, argv[1:], fillvalue=""):
        if argument == "--plugins" or argument.startswith("--plugins="):
            user_models.load(argument.partition("=")[2] or following)


def check_name(name: str) -> None:
    """Raise UserError, with the nearest name, where there is no such option."""
    if name not in options.known_names():
        otherwise = instead(name) or hint(name, options.known_names())
        raise UserError(f"There is no option --{name}{otherwise}")


def with_flags(given: Mapping[str, str | None]) -> dict[str, str]:
    """The options with `True` for booleans without a value, `last` for resume; UserError for others."""
    declared = options.declared(given.get("model") or "", given.get("dataset") or "")
    given = {name: "last" if (name, value) == ("resume", None) else value for name, value in given.items()}
    for name, value in given.items():
        kinds = declared[name].kinds if name in declared else ()
        if value is None and "bool" not in [kind.name for kind in kinds]:
            raise UserError(f"--{name} needs a value: write --{name}=VALUE.")
    return {name: "True" if value is None else value for name, value in given.items()}


def config_files(text: str) -> list[str]:
    """The files of `--config_files`: one path, or several between commas or, as in RecBole, spaces."""
    if not text or Path(text).is_file():
        return [text] if text else []
    return [file for part in parse_strings(text) for file in part.split()]
