"""The command line of all commands: what it takes, and how a mistake ends."""

import argparse
import os
import sys
from collections.abc import Sequence

from dataset_tools.commands import (
    add_features,
    convert,
    encode,
    export_dataset,
    inspect_dataset,
    prepare,
    split,
)
from dataset_tools.commands.arguments import Parser
from dataset_tools.commands.plugins import load_plugins
from dataset_tools.errors import DataError
from dataset_tools.files import sentence
from dataset_tools.progress import show_any_character

PROGRAM = "python -m dataset_tools"
WHAT = "Make RecBole data sets with modality features: prepare, convert, add features, inspect, export."
COMMANDS = (prepare, convert, add_features, encode, split, inspect_dataset, export_dataset)


def main(argv: Sequence[str] | None = None, prog: str = PROGRAM) -> int:
    """Run one command and return its exit code; a reader's mistake is printed as `error: ...` and returns 2.

    `argv` are the arguments without the program's name (default: those of this process); `prog` is the name
    that the usage shows.  SystemExit for `--help` and for arguments that argparse refuses.
    """
    show_any_character()
    try:
        load_plugins(argv)
        options = parser(prog).parse_args(argv)
        options.run(options)
    except DataError as error:
        return _failed(error)
    except BrokenPipeError:  # whoever read the output has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        return _failed(sentence(error))
    except UnicodeEncodeError as error:  # a file's name: contents are UTF-8 always
        return _failed(
            f"this locale cannot name a file {ascii(error.object)[:80]}; set LC_ALL=C.UTF-8 or PYTHONUTF8=1."
        )
    except KeyboardInterrupt:
        print("interrupted: what was there before is unchanged", file=sys.stderr)
        return 130
    return 0


def parser(prog: str = PROGRAM) -> argparse.ArgumentParser:
    """The parser of the command line."""
    top = Parser(prog=prog, description=WHAT, epilog="Example: %(prog)s prepare ml-100k")
    top.add_argument(
        "--plugins",
        action="append",
        metavar="FILE",
        help="first run this Python file, which registers a converter or encoder of your own",
    )
    commands = top.add_subparsers(required=True, metavar="command")
    for command in COMMANDS:
        command.add(commands)
    return top


def _failed(reason: object) -> int:
    print(f"error: {reason}", file=sys.stderr)
    return 2
