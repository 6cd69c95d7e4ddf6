"""`recbole-micro train`: train, select, test; the help that lists a model's options."""

import shutil
import textwrap
from typing import Any

from recbole_micro import options
from recbole_micro.commands.arguments import config_files, read_arguments
from recbole_micro.errors import UserError, hint
from recbole_micro.models.registry import MODELS
from recbole_micro.options.config import own_command_line
from recbole_micro.options.values import read_yaml
from recbole_micro.training import quick_start

# Options of `recbole_micro.run` rather than of Config.
LAUNCH = ("nproc", "world_size", "ip", "port", "group_offset")
# Headings in the help by file of options.
SECTIONS = {"overall.yaml": "Every model", "dataset/sample.yaml": "Data", "launch.yaml": "Launch"}


def main(argv: list[str]) -> int:
    """`recbole-micro train`; the exit code."""
    if {"-h", "--help"} & set(argv):
        print(train_help([argument for argument in argv if argument not in ("-h", "--help")]))
        return 0
    given = read_arguments(argv)
    files = config_files(given.pop("config_files", ""))
    launch = launch_options(files, given)
    with own_command_line(given):
        quick_start.run(config_file_list=files, **launch)
    return 0


def launch_options(files: list[str], given: dict[str, str]) -> dict[str, Any]:
    """Arguments of `run` from the files and the command line, whose own are taken out of `given`."""
    declared = options.declared("", "")
    values = {}
    for file in files:
        content = read_yaml(file)
        values.update({name: (content[name], f"in {file}") for name in LAUNCH if name in content})
    values.update({name: (given.pop(name), "on the command line") for name in LAUNCH if name in given})
    return {name: declared[name].read(value, where) for name, (value, where) in values.items()}


def train_help(argv: list[str]) -> str:
    """The options of the chosen model: names, defaults, what is allowed, what they do."""
    given = read_arguments(argv)
    model, dataset = given.get("model", "MICRO"), given.get("dataset", "")
    if model not in options.model_names():
        raise UserError(f"There is no model {model!r}{hint(model, options.model_names())}")
    sections: dict[str, list[str]] = {}
    for option in options.declared(model, dataset).values():
        sections.setdefault(option.source, []).append(describe(option))
    own, presets = f"model/{model}.yaml", ", ".join(options.stems("preset"))
    lines = [
        "usage: recbole-micro train --model=NAME --dataset=NAME [--option=value ...]",
        "",
        f"Models: {', '.join(MODELS)}, and RecBole's.  Presets: {presets}.",
    ]
    for source in (own, *(source for source in sections if source != own)):
        title = model if source == own else SECTIONS.get(source, source)
        lines += ["", f"{title}:", *sections.get(source, [])]
    lines += ["", "Example:", "  recbole-micro train --model=MICRO --dataset=ml-100k --epochs=20"]
    return "\n".join(lines)


def describe(option: options.Option) -> str:
    """An option's lines in the help."""
    default = "" if option.default is None else f" = {option.default}"
    head = f"  --{option.name}{default}"
    allowed = f"({option.allowed}) " if option.kinds else ""
    width = max(60, min(shutil.get_terminal_size().columns, 110))
    indent = " " * 8
    text = textwrap.fill(f"{allowed}{option.help}", width, initial_indent=indent, subsequent_indent=indent)
    return f"{head}\n{text}" if text.strip() else head
