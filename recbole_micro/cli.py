"""The command `recbole-micro`: a table of subcommands; options of models come from the YAML files."""

import os
import sys
from importlib import import_module

from dataset_tools.files import FULL, sentence
from dataset_tools.formats.names import from_system
from dataset_tools.progress import show_any_character
from recbole_micro import __version__, distributed
from recbole_micro.commands.arguments import name_and_value
from recbole_micro.errors import UserError, hint, install_command

# By name: its module in `recbole_micro.commands`, imported when it is asked for, and what it does.
COMMANDS = {
    "train": ("train", "train a model on a data set, select on validation, test once"),
    "recommend": ("recommend", "the best items of each user, from a checkpoint, with original ids"),
    "similar": ("similar", "the items nearest to one, by features and by what was learned"),
    "explain": ("explain", "why an item is recommended: its score taken apart"),
    "evaluate": ("evaluate", "metrics of anybody's lists or scores, beside those of a comparison"),
    "compare": ("studies.compare", "several models, settings and seeds side by side, in one report"),
    "reproduce": ("studies.reproduce", "a table or figure of the paper, its numbers beside ours"),
    "tune": ("studies.tune", "search for a model's best options on the validation set, test the winner"),
    "export": ("export", "a checkpoint as a folder that serves: vectors, neighbours, reasons"),
    "serve": ("serve", "an exported folder as an HTTP service, with a page"),
    "explore": ("explore", "the page as one file, with what some users had and get"),
    "doctor": ("doctor", "versions, mends, devices, disk, data sets: what is wrong, what to do"),
    "data": ("data", "make, convert, split and inspect data sets; data --help lists how"),
}
# Options that name files and folders.
FILES = {
    *("data_path", "checkpoint_dir", "config_files", "plugins", "resume", "checkpoint", "init_from"),
    *("new_items", "out", "to", "space", "tuned", "users_file", "items", "without", "images", "lists"),
    "scores",
}


def main(argv: list[str] | None = None) -> int:
    """Run a subcommand; the exit code.

    What the user can mend (UserError, a path that cannot be read or written, an absent package) becomes one
    line on stderr and code 2, an interrupt one line and code 130.
    """
    argv = as_typed(sys.argv[1:]) if argv is None else argv
    code = 0
    show_any_character()
    try:
        if not argv or argv[0] in ("-h", "--help", "help"):
            print(usage())
        elif argv[0] == "--version":
            print(f"recbole_micro {__version__}")
        elif argv[0] in COMMANDS:
            if argv[0] != "train" and distributed.torchrun():
                raise UserError(f"{argv[0]} is one process, which may start others: leave out torchrun.")
            module, _ = COMMANDS[argv[0]]
            code = import_module(f"recbole_micro.commands.{module}").main(argv[1:])
        else:
            raise UserError(f"There is no subcommand {argv[0]!r}{hint(argv[0], COMMANDS)}")
        sys.stdout.flush()
    except UserError as error:
        return refuse(error)
    except BrokenPipeError:  # whoever read the output has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        if error.filename is None and error.errno not in FULL:
            raise
        return refuse(sentence(error))
    except ModuleNotFoundError as error:
        if error.name is None:
            return refuse(error)
        return refuse(f"The package {error.name} is not installed: {install_command(error.name)}.")
    except ImportError as error:
        if error.name is not None:  # a bug; what RecBole says about an absent package has no name
            raise
        return refuse(error)
    except KeyboardInterrupt as error:
        print(f"\nInterrupted. {error}".rstrip(), file=sys.stderr)
        return 130
    return code


def refuse(sentence: object) -> int:
    """Say on stderr what is wrong; the exit code."""
    print(f"error: {sentence}", file=sys.stderr)
    return 2


def usage() -> str:
    """The text of `recbole-micro --help`."""
    lines = [f"  {name:10}{help}" for name, (_, help) in COMMANDS.items()]
    return "\n".join(
        [
            "usage: recbole-micro SUBCOMMAND [--option=value ...]",
            "",
            *lines,
            "",
            "recbole-micro train --model=MICRO --help lists a model's options; --version prints the version.",
        ]
    )


def as_typed(argv: list[str]) -> list[str]:
    """The process's words as the text that they stand for in any locale; names of files as they are."""
    parts = [name_and_value(word) for word in argv]
    waiting = ["", *("" if equals else name for name, equals, _ in parts)]  # for a value in the next word
    return [
        word if {name, before} & FILES else from_system(word)
        for word, (name, *_), before in zip(argv, parts, waiting, strict=False)
    ]
