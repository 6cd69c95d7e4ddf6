"""Make RecBole data sets with modality features: prepare, convert, add features, inspect, export."""

import argparse
import errno
import os
import sys

from dataset_tools.commands import command_line as commands
from dataset_tools.errors import DataError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; a reader's mistake is printed as `error: ...` and returns 2."""
    options = parser().parse_args(arguments)
    try:
        options.run(options)
    except DataError as error:
        return _failed(error)
    except BrokenPipeError:  # whoever read the output has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        return _failed(_sentence(error))
    except KeyboardInterrupt:
        print("interrupted: what was there before is unchanged", file=sys.stderr)
        return 130
    return 0


def _failed(reason: object) -> int:
    print(f"error: {reason}", file=sys.stderr)
    return 2


def _sentence(error: OSError) -> str:
    """What the system refused, where, and that nothing was changed."""
    where = f"{error.filename}: " if error.filename else ""
    what = error.strerror or " ".join(str(error).split())
    full = error.errno in FULL or "No space left" in what or "File too large" in what
    advice = "free some space" if full else "check the path and its permissions"
    return f"{where}{what}; what was there before is unchanged: {advice}."


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="python -m dataset_tools", description=__doc__)
    subparsers = top.add_subparsers(required=True, metavar="command")
    for add in commands.ALL:
        add(subparsers)
    return top


if __name__ == "__main__":
    sys.exit(main())
