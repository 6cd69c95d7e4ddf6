"""The command `recbole-micro`."""

import sys

from recbole_micro.errors import UserError


def main(argv: list[str] | None = None) -> int:
    """Run a subcommand; a UserError becomes one line on stderr and exit code 2."""
    from recbole_micro import quick_start
    from recbole_micro.config import own_command_line

    argv = sys.argv[1:] if argv is None else argv
    try:
        given = dict(argument.removeprefix("--").split("=", 1) for argument in argv[1:])
        files = given.pop("config_files", "").replace(",", " ").split()
        with own_command_line():
            quick_start.run(given.pop("model"), given.pop("dataset"), files, given)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0
