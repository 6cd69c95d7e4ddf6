"""Make RecBole data sets with modality features: prepare, convert, add features, inspect, export."""

import argparse
import sys

from dataset_tools import commands
from dataset_tools.errors import DataError


def main(arguments: list[str] | None = None) -> int:
    """Run one command; a reader's mistake is printed as `error: ...` and returns 2."""
    options = parser().parse_args(arguments)
    try:
        options.run(options)
    except (DataError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted: what was there before is unchanged", file=sys.stderr)
        return 130
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="python -m dataset_tools", description=__doc__)
    subparsers = top.add_subparsers(required=True, metavar="command")
    for add in commands.ALL:
        add(subparsers)
    return top


if __name__ == "__main__":
    sys.exit(main())
