"""What the commands share: the parser, the arguments that several have, what they print at the end."""

import argparse
import sys
from pathlib import Path
from typing import Any

from dataset_tools.dataset import provenance, summary

Options = argparse.Namespace
Commands = Any  # argparse's subparsers, whose class it keeps to itself


class Parser(argparse.ArgumentParser):
    """Takes underscores for dashes in every option's name: `--data_path` is `--data-path`."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        given = sys.argv[1:] if args is None else list(args)
        end = given.index("--") if "--" in given else len(given)
        return super().parse_known_args([*map(_dashed, given[:end]), *given[end:]], namespace)


def _dashed(argument: str) -> str:
    name, equals, value = argument.partition("=")
    return name.replace("_", "-") + equals + value if name.startswith("--") else argument


def add(commands: Commands, name: str, what: str, example: str = "") -> argparse.ArgumentParser:
    """A command, its one line of description, and what an example of it has behind the command's name."""
    epilog = f"Example: %(prog)s {example}" if example else None
    return commands.add_parser(name, help=what, description=f"{what[0].upper()}{what[1:]}.", epilog=epilog)


def named(command: argparse.ArgumentParser) -> None:
    command.add_argument("--name", required=True, help="name of the data set")


def data_path(command: argparse.ArgumentParser) -> None:
    command.add_argument("--data-path", default="dataset", help="where data sets are (default: %(default)s)")


def target(command: argparse.ArgumentParser) -> None:
    """Where something is written, and whether it may replace what is there."""
    data_path(command)
    command.add_argument("--force", action="store_true", help="replace what is there")


def half(command: argparse.ArgumentParser) -> None:
    command.add_argument("--half", action="store_true", help="store features as float16")


def show(folder: Path) -> None:
    """Print a data set's folder and what the last step of its record counts."""
    print(folder)
    for line in summary.lines(provenance.read_steps(folder, folder.name)[-1]["summary"]):
        print(f"  {line}")
