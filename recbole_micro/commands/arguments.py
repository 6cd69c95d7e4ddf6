"""Arguments of subcommands that have options of their own."""

from collections.abc import Mapping
from pathlib import Path

from recbole_micro import options
from recbole_micro.errors import UserError, hint


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
        near = hint(name_and_value(rest[0])[0], (*names, *flags), "")
        raise UserError(
            f"The argument {rest[0]!r} is unknown{near}; recbole-micro {command} --help lists them."
        )
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
