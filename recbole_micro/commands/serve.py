"""`recbole-micro serve`: the server of an exported folder, in a process without PyTorch."""

import os
import subprocess
import sys
from pathlib import Path

import recbole_micro_server
from recbole_micro_server.__main__ import parser

MODULE = "recbole_micro_server"


def main(argv: list[str]) -> int:
    """Become the server, which needs none of what this process has loaded; on Windows, wait for it."""
    try:
        parser("recbole-micro serve").parse_args(argv)
    except SystemExit as left:  # it has said what is wrong, or printed the help
        return int(left.code or 0)
    command = [sys.executable, "-m", MODULE, *argv]
    home = Path(recbole_micro_server.__file__).parents[1]  # a checkout is on no other process's path
    paths = os.pathsep.join(filter(None, [str(home), os.environ.get("PYTHONPATH")]))
    variables = {**os.environ, "PYTHONPATH": paths}
    sys.stdout.flush()
    if sys.platform == "win32":
        return subprocess.call(command, env=variables)  # nosec B603 # this Python and a module of ours
    os.execve(sys.executable, command, variables)  # nosec B606 # the same
