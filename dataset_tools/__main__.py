"""Make RecBole data sets with modality features: prepare, convert, add features, inspect, export."""

import argparse
import sys
from pathlib import Path

from dataset_tools import catalog, inspection, joining, micro, provenance, summary
from dataset_tools.dataset import Dataset
from dataset_tools.errors import DataError


def main(arguments: list[str] | None = None) -> int:
    """Run one command; a reader's mistake is printed as `error: ...` and returns 2."""
    options = parser().parse_args(arguments)
    try:
        options.run(options)
    except (DataError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="python -m dataset_tools", description=__doc__)
    commands = top.add_subparsers(required=True, metavar="command")
    _prepare(commands)
    _convert(commands)
    _features(commands)
    _inspect(commands)
    return top


def _prepare(commands) -> None:
    command = commands.add_parser(
        "prepare", help="make a known data set", description="Make a known data set."
    )
    command.add_argument("name", help="ml-100k, baby, sports, clothing, or a category name of Amazon 2014")
    _target(command)
    command.set_defaults(run=_run_prepare)


def _run_prepare(options: argparse.Namespace) -> None:
    _show(catalog.prepare(options.name, options.data_path, half=options.half, force=options.force))


def _convert(commands) -> None:
    convert = commands.add_parser("convert", help="turn a published layout into a data set")
    layouts = convert.add_subparsers(required=True, metavar="layout")
    layout = layouts.add_parser("micro", help="the JSON layout of MICRO, LATTICE and MMSSL")
    layout.add_argument("--from", dest="source", required=True, metavar="DIR", help="folder of the layout")
    layout.add_argument("--core", default="5-core", help="folder of the split; 0-core is the cold-start one")
    _named(layout)
    _target(layout)
    layout.set_defaults(run=_run_micro)


def _run_micro(options: argparse.Namespace) -> None:
    folder = micro.convert(
        options.source,
        options.name,
        options.data_path,
        core=options.core,
        half=options.half,
        force=options.force,
    )
    _show(folder)


def _features(commands) -> None:
    command = commands.add_parser("features", help="add a modality's features to a data set")
    command.add_argument("--input", "--npy", metavar="F", help="the matrix, in any of the known formats")
    command.add_argument("--modality", required=True, help="its name: visual, textual, ...")
    whose = command.add_mutually_exclusive_group()
    whose.add_argument("--ids", metavar="LIST", help="one item id per line, in the order of the rows")
    whose.add_argument("--mapping", metavar="FILE", help="item id and row number, tab or comma between")
    whose.add_argument("--row-order", action="store_true", help="row i belongs to line i of NAME.item")
    command.add_argument("--key", help="the array of an archive, or the id column of a table")
    command.add_argument("--skip-bad", action="store_true", help="leave out and count rows that do not fit")
    command.add_argument(
        "--as-text", action="store_true", help="write RecBole's text form of a modality there is"
    )
    _named(command)
    _target(command)
    command.set_defaults(run=_run_features)


def _run_features(options: argparse.Namespace) -> None:
    dataset = Dataset(options.name, options.data_path)
    if options.as_text:
        print(joining.export_text(dataset, options.modality, options.force))
        return
    if not options.input:
        raise DataError("--input is missing; name the file that holds the features.")
    joining.add_features(
        dataset,
        options.modality,
        options.input,
        ids=options.ids,
        mapping=options.mapping,
        row_order=options.row_order,
        key=options.key,
        half=options.half,
        skip_bad=options.skip_bad,
        force=options.force,
    )
    _show(dataset.folder)


def _inspect(commands) -> None:
    command = commands.add_parser("inspect", help="statistics, coverage, nearest neighbours, pilot studies")
    command.add_argument("name", help="the data set")
    command.add_argument("--data-path", default="dataset", help="where data sets are (default: %(default)s)")
    command.set_defaults(run=_run_inspect)


def _run_inspect(options: argparse.Namespace) -> None:
    for line in inspection.report(Dataset(options.name, options.data_path)):
        print(line)


def _named(command: argparse.ArgumentParser) -> None:
    command.add_argument("--name", required=True, help="name of the data set")


def _target(command: argparse.ArgumentParser) -> None:
    command.add_argument("--data-path", default="dataset", help="where data sets are (default: %(default)s)")
    command.add_argument("--half", action="store_true", help="store features as float16")
    command.add_argument("--force", action="store_true", help="replace what is there")


def _show(folder: Path) -> None:
    print(folder)
    for line in summary.lines(provenance.read_steps(folder, folder.name)[-1]["summary"]):
        print(f"  {line}")


if __name__ == "__main__":
    sys.exit(main())
