"""`explore`: the page as one file with the answers for a handful of users."""

import argparse
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path

from dataset_tools.errors import DataError
from recbole_micro_server import page
from recbole_micro_server.arguments import Parser
from recbole_micro_server.model import ExportedModel, UnknownId

MOST = 50  # users of a file: each takes some hundred kilobytes


def parser(prog: str) -> Parser:
    """The arguments of `explore`."""
    found = Parser(
        prog=prog,
        description="Write the page of recbole-micro serve as one file that opens anywhere, with the lists, "
        "neighbours and reasons of some users inside.",
        epilog="Example: recbole-micro explore exported/micro --users=196,186 --out=page.html",
    )
    found.add_argument("folder", metavar="DIR", help="what recbole-micro export --to=DIR wrote")
    found.add_argument("--users", required=True, metavar="A,B", help=f"ids of at most {MOST} users")
    found.add_argument("--out", required=True, type=Path, metavar="FILE", help="the .html file")
    found.add_argument("--beside", metavar="DIR", help="a second exported model, shown beside the first")
    return found


def main(argv: Sequence[str] | None = None, prog: str = "recbole-micro explore") -> int:
    """Write the file; the exit code."""
    arguments = parser(prog).parse_args(argv)
    try:
        write(arguments)
    except (DataError, UnknownId) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def write(arguments: argparse.Namespace) -> None:
    """Write the file whole or not at all; DataError and UnknownId for what the user can mend."""
    users = list(dict.fromkeys(filter(None, (user.strip() for user in arguments.users.split(",")))))
    if not 0 < len(users) <= MOST:
        raise DataError(f"--users names {len(users)} users: name 1 to {MOST}.")
    if not arguments.out.absolute().parent.is_dir():
        raise DataError(f"There is no folder {arguments.out.parent} for {arguments.out}: make it first.")
    models = [ExportedModel(folder) for folder in (arguments.folder, arguments.beside) if folder]
    unknown = [user for user in users if user not in models[0].user_row]
    if unknown:
        raise DataError(f"{arguments.folder} has no user {unknown[0]}: give ids as in the data set.")
    part = arguments.out.with_name(f".{arguments.out.name}.{uuid.uuid4().hex}.part")
    try:
        part.write_text(page.self_contained(models, users), encoding="utf-8")
        part.replace(arguments.out)
    finally:
        part.unlink(missing_ok=True)
    print(f"{arguments.out}: {arguments.out.stat().st_size / 2**20:.1f} MiB")


if __name__ == "__main__":
    sys.exit(main(prog="python -m recbole_micro_server.explore"))
