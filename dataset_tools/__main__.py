"""`python -m dataset_tools`: converters to RecBole atomic files."""

import argparse
import sys

from dataset_tools import micro
from dataset_tools.errors import DataError


def main(arguments: list[str] | None = None) -> int:
    """Run one command; a reader's mistake is printed as `error: ...` and returns 2."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except (DataError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dataset_tools", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    convert = commands.add_parser("convert", help="turn a published layout into atomic files")
    layouts = convert.add_subparsers(required=True, metavar="layout")
    layout = layouts.add_parser("micro", help="JSON layout of MICRO, LATTICE and MMSSL")
    layout.add_argument("--from", dest="source", required=True, metavar="DIR")
    layout.add_argument("--name", required=True)
    layout.add_argument("--core", default="5-core")
    layout.add_argument("--data-path", default="dataset")
    layout.add_argument("--half", action="store_true")
    layout.add_argument("--force", action="store_true")
    layout.set_defaults(run=_micro)
    return parser


def _micro(options: argparse.Namespace) -> None:
    folder = micro.convert(
        options.source,
        options.name,
        options.data_path,
        core=options.core,
        half=options.half,
        force=options.force,
    )
    print(folder)


if __name__ == "__main__":
    sys.exit(main())
