"""The command `recbole-micro`: a table of subcommands; options of models come from the YAML files."""

import os
import shutil
import sys
import textwrap
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataset_tools.files import FULL, sentence
from dataset_tools.formats.names import from_system
from dataset_tools.progress import show_any_character
from recbole_micro import __version__, distributed, options
from recbole_micro.commands.arguments import (
    config_files,
    name_and_value,
    positive,
    read_arguments,
    split_arguments,
)
from recbole_micro.errors import UserError, hint, install_command
from recbole_micro.evaluation.metrics import with_beyond
from recbole_micro.models.registry import MODELS
from recbole_micro.options.values import parse_strings, read_yaml

if TYPE_CHECKING:  # it would make every command start later
    import pandas as pd

# Options of `recbole_micro.run` rather than of Config.
LAUNCH = ("nproc", "world_size", "ip", "port", "group_offset")
# Options that name files and folders.
FILES = {
    *("data_path", "checkpoint_dir", "config_files", "plugins", "resume"),
    *(
        "checkpoint",
        "init_from",
        "new_items",
        "out",
        "to",
        "space",
        "tuned",
        "users_file",
        "items",
        "without",
        "images",
        "lists",
        "scores",
    ),
}
# Headings in the help by file of options.
SECTIONS = {"overall.yaml": "Every model", "dataset/sample.yaml": "Data", "launch.yaml": "Launch"}


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
            code = COMMANDS[argv[0]][0](argv[1:])
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


def train(argv: list[str]) -> int:
    """`recbole-micro train`: train, select, test."""
    from recbole_micro.options.config import own_command_line
    from recbole_micro.training import quick_start

    if {"-h", "--help"} & set(argv):
        print(train_help([argument for argument in argv if argument not in ("-h", "--help")]))
        return 0
    given = read_arguments(argv)
    files = config_files(given.pop("config_files", ""))
    launch = launch_options(files, given)
    with own_command_line(given):
        quick_start.run(config_file_list=files, **launch)
    return 0


def compare(argv: list[str]) -> int:
    """`recbole-micro compare`: models x settings x seeds into one report."""
    if {"-h", "--help"} & set(argv):
        print(COMPARE_HELP)
        return 0
    from recbole_micro.studies import pool, report, runs
    from recbole_micro.tuning import tuned

    beyond, argv = "--beyond" in argv, [word for word in argv if word != "--beyond"]
    words = ("models", "seeds", "vary", "tuned", "workers", "title", "out", *ON_RAY)
    own, argv = split_arguments(argv, words)
    given = read_arguments(argv)
    fixed = runs.read_options(config_files(given.pop("config_files", "")), given)
    if not own.get("models") or not fixed.get("dataset"):
        raise UserError("compare needs --models=NAME,NAME and --dataset=NAME.")
    if beyond:
        asked = options.declared("", "")["metrics"]
        fixed["metrics"] = with_beyond(asked.read(fixed.get("metrics", asked.default), "as metrics"))
    first = options.declared("", "")["seed"].read(fixed.pop("seed", 2020), "as the first seed")
    seeds = runs.read_seeds(own.get("seeds", "1"), first)
    vary = runs.read_vary(own.get("vary", ""))
    models = parse_strings(own["models"])
    found = tuned.read_tuned(parse_strings(own.get("tuned", "")), models, fixed["dataset"])
    best = {model: one.options for model, one in found.items()}
    grid = runs.grid(models, seeds, vary, best, **fixed)
    out = Path(own.get("out") or f"results/compare-{fixed['dataset']}")
    runs.check_runs(grid)
    results = pool.run_all(grid, out, positive(own, "workers"), engine=engine(own))
    report.write_tuned(out, {model: (one.trials, one.folder) for model, one in found.items()})
    page = report.write(results, out, own.get("title") or fixed["dataset"])
    print((out / "table.md").read_text(encoding="utf-8"))
    print(f"Report: {page}")
    return 0 if (results["status"] == "finished").all() else 1


ON_RAY = ("engine", "threads", "address")
ON_RAY_HELP = """\
  --engine=NAME      local: processes of this machine; ray: tasks of a Ray cluster (default: local)

With --engine=ray:
  --address=HOST:N   a running cluster, or auto (default: Ray on this machine alone)
  --threads=N        threads of a run (default: the cores shared out; 1 on a cluster)
"""


def engine(own: dict[str, str]) -> Any:
    """Where the runs of a study go, from `--engine`, `--address` and `--threads`; None: on this machine."""
    name, threads = own.get("engine", "local"), positive(own, "threads")
    if name == "ray":
        from recbole_micro.studies.cluster import Cluster

        return Cluster(own.get("address"), threads)
    if name != "local":
        raise UserError(f"There is no engine {name!r}: choose local or ray.")
    if alone := [option for option in ON_RAY[1:] if option in own]:
        raise UserError(f"--{alone[0]} belongs to the engine ray: add --engine=ray.")
    return None


COMPARE_HELP = f"""\
usage: recbole-micro compare --models=NAME,NAME --dataset=NAME [--option=value ...]

Trains every model with every seed, each in a process of its own, and writes tables, plots and report.html.
The same call again goes on where an interrupted one stopped; of a finished study it redraws the report.

  --models=A,B       models of the plugin and of RecBole
  --seeds=N          N seeds from --seed (2020) on, or the seeds themselves: 1,2,3
  --vary=TEXT        settings: "knn_k=5,10; beta=0.01,0.1" runs every combination
  --tuned=DIR,DIR    folders of recbole-micro tune, whose best settings their models take; the report says how
                     many trials each model had
  --workers=N        processes at a time (default: one per core, one with a CUDA device); they share the cores
  --title=TEXT       the data set's name in captions
  --beyond           also ItemCoverage, GiniIndex, AveragePopularity and TailPercentage of the lists
  --out=DIR          folder of the study (default: results/compare-DATASET)
{ON_RAY_HELP}
Other options are those of recbole-micro train and hold for every run.

Example:
  recbole-micro compare --models=MICRO,LightGCN,BPR --dataset=ml-100k --seeds=2 --out=studies/ml"""


def tune(argv: list[str]) -> int:
    """`recbole-micro tune`: search on the validation set, test the winner."""
    if {"-h", "--help"} & set(argv):
        print(TUNE_HELP)
        return 0
    from recbole_micro.studies import runs
    from recbole_micro.tuning import study

    own, argv = split_arguments(argv, ("space", "algo", "trials", "out", "engine", *RAY_ONLY))
    given = read_arguments(argv)
    fixed = runs.read_options(config_files(given.pop("config_files", "")), given)
    if not fixed.get("model") or not fixed.get("dataset"):
        raise UserError("tune needs --model=NAME and --dataset=NAME.")
    model = fixed["model"]
    out = own.get("out") or f"results/tune-{model}-{fixed['dataset']}"
    space = own.get("space") or options.plugin_defaults(f"space/{model}.yaml")
    runs.check_runs(runs.grid([model], [0], **fixed))
    if not space:
        raise UserError(
            f"There is no search space for {model}: write {{shape: {{option: values}}}} into a YAML file and "
            "name it with --space=FILE."
        )
    trials = positive(own, "trials") or 20
    engine = own.get("engine", "hyperopt")
    more: dict[str, Any] = {
        name: positive(own, name) for name in RAY_ONLY if name in own and name != "address"
    }
    more |= {"address": own["address"]} if "address" in own else {}
    if more and engine != "ray":
        raise UserError(f"--{next(iter(more))} belongs to the engine ray: add --engine=ray.")
    winner = study.tune(space, fixed, out, own.get("algo", "bayes"), trials, engine=engine, **more)
    print((Path(out) / study.BEST).read_text(encoding="utf-8"))
    for name in (name for name in winner.columns if name.startswith("test ")):
        print(f"{name}: {winner[name].iloc[0]:.4f} [protocol: {winner['protocol'].iloc[0]}]")
    return 0 if (winner["status"] == "finished").all() else 1


RAY_ONLY = ("workers", "threads", "grace", "address")
TUNE_HELP = """\
usage: recbole-micro tune --model=NAME --dataset=NAME [--option=value ...]

Searches for the options with the best validation score, and tests the winner once.
Writes trials.csv, study.png and best.yaml (for --config_files).  The same call again goes on where an
interrupted one stopped; with more --trials it continues a finished study.

  --space=FILE       YAML file {shape: {option: values}} (default: the model's own search space)
  --algo=NAME        bayes (or tpe), random, exhaustive (default: bayes)
  --trials=N         trials at most (default: 20); an exhaustive search tries every combination
  --engine=NAME      hyperopt: one trial after the other; ray: trials in parallel, and those behind are pruned
                     (ASHA keeps the best third at each rung) (default: hyperopt)
  --out=DIR          folder of the study (default: results/tune-MODEL-DATASET)

With --engine=ray:
  --workers=N        trials at a time (default: as many as the cores or CUDA devices allow)
  --threads=N        threads of a trial (default: the cores shared out; 1 on a cluster)
  --grace=N          epochs before a trial may be pruned (default: 10, or a quarter of --epochs)
  --address=HOST:N   a running cluster, or auto (default: Ray on this machine alone)

Other options are those of recbole-micro train and hold for every trial.

Example:
  recbole-micro tune --model=MICRO --dataset=ml-100k --trials=20 --out=studies/tune"""


def reproduce(argv: list[str]) -> int:
    """`recbole-micro reproduce`: a table or figure of the paper, its numbers beside ours."""
    if {"-h", "--help"} & set(argv):
        print(REPRODUCE_HELP)
        return 0
    from recbole_micro.studies import runs
    from recbole_micro.studies.paper import tables

    flags = {"--quick", "--literal"} & set(argv)
    argv = [argument for argument in argv if argument not in flags]
    own, argv = split_arguments(argv, ("table", "figure", "seeds", "workers", "title", "out", *ON_RAY))
    given = read_arguments(argv)
    fixed = runs.read_options(config_files(given.pop("config_files", "")), given)
    kinds = [name for name in ("table", "figure") if name in own]
    if len(kinds) != 1 or not fixed.get("dataset"):
        raise UserError("reproduce needs --table=4, 5 or 6 or --figure=3, 4 or 5, and --dataset=NAME.")
    kind, number = kinds[0], positive(own, kinds[0])
    first = options.declared("", "")["seed"].read(fixed.pop("seed", 2020), "as the first seed")
    seeds = runs.read_seeds(own.get("seeds", "1"), first)
    marks = "".join(flag[1:] for flag in sorted(flags))
    out = Path(own.get("out") or f"results/{kind}{number}-{fixed['dataset']}{marks}")
    fixed = {**(tables.QUICK if "--quick" in flags else {}), **fixed}
    studies: dict[str, Callable[..., pd.DataFrame]] = {
        "table": tables.reproduce_table,
        "figure": tables.reproduce_figure,
    }
    more = {"literal": "--literal" in flags, "title": own.get("title"), "workers": positive(own, "workers")}
    more["engine"] = engine(own)
    results = studies[kind](number, fixed, seeds, out, **more)
    print((out / "paper.md").read_text(encoding="utf-8"))
    print(f"Report: {out / 'report.html'}")
    return 0 if (results["status"] == "finished").all() else 1


REPRODUCE_HELP = f"""\
usage: recbole-micro reproduce --table=4|5|6 --dataset=NAME [--quick] [--option=value ...]
       recbole-micro reproduce --figure=3|4|5 --dataset=NAME [--quick] [--option=value ...]

Trains every row of a table of MICRO's paper and shows the paper's numbers beside ours (paper.md, paper.html),
or every point of a figure, whose numbers the paper does not print.  Says first how long it will take.
The same call again goes on where an interrupted one stopped; of a finished study it redraws the report.

  --table=N          4 (models), 5 (backbones and features) or 6 (modalities)
  --figure=N         3 (cold start, on NAME-cold), 4 (k, lambda, beta) or 5 (layers on the item graphs)
  --literal          MICRO with the preset paper, which is slow, instead of its shipped defaults
  --quick            at most 30 epochs: an impression, not the paper's setting
  --seeds=N          N seeds from --seed (2020) on, or the seeds themselves: 1,2,3 (default: 1)
  --workers=N        processes at a time (default: one per core, one with a CUDA device)
  --title=TEXT       the data set's name in captions
  --out=DIR          folder of the study (default: results/tableN-DATASET)
{ON_RAY_HELP}
Other options are those of recbole-micro train and hold for every run.

Example:
  recbole-micro reproduce --table=4 --dataset=baby --out=studies/table4"""


def as_typed(argv: list[str]) -> list[str]:
    """The process's words as the text that they stand for in any locale; names of files as they are."""
    parts = [name_and_value(word) for word in argv]
    waiting = ["", *("" if equals else name for name, equals, _ in parts)]  # for a value in the next word
    return [
        word if {name, before} & FILES else from_system(word)
        for word, (name, *_), before in zip(argv, parts, waiting, strict=False)
    ]


def data(argv: list[str]) -> int:
    """`recbole-micro data`: what `python -m dataset_tools` does."""
    from dataset_tools.commands import main as data_main

    try:
        return data_main(argv, prog="recbole-micro data")
    except SystemExit as left:  # argparse has said what is wrong, or printed the help
        return int(left.code or 0)


def of_module(name: str) -> Callable[[list[str]], int]:
    """The command that a module of `recbole_micro.commands` has, imported when it is asked for."""
    return lambda argv: import_module(f"recbole_micro.commands.{name}").main(argv)


COMMANDS: dict[str, tuple[Callable[[list[str]], int], str]] = {
    "train": (train, "train a model on a data set, select on validation, test once"),
    "recommend": (
        of_module("recommend"),
        "the best items of each user, from a checkpoint, with original ids",
    ),
    "similar": (of_module("similar"), "the items nearest to one, by features and by what was learned"),
    "explain": (of_module("explain"), "why an item is recommended: its score taken apart"),
    "evaluate": (of_module("evaluate"), "metrics of anybody's lists or scores, beside those of a comparison"),
    "compare": (compare, "several models, settings and seeds side by side, in one report"),
    "reproduce": (reproduce, "a table or figure of the paper, its numbers beside ours"),
    "tune": (tune, "search for a model's best options on the validation set, test the winner"),
    "export": (of_module("export"), "a checkpoint as a folder that serves: vectors, neighbours, reasons"),
    "serve": (of_module("serve"), "an exported folder as an HTTP service, with a page"),
    "explore": (of_module("explore"), "the page as one file, with what some users had and get"),
    "doctor": (of_module("doctor"), "versions, mends, devices, disk, data sets: what is wrong, what to do"),
    "data": (data, "make, convert, split and inspect data sets; data --help lists how"),
}


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
