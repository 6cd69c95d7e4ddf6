"""`recbole-micro explore`: the server's page as one file."""

from recbole_micro_server import explore


def main(argv: list[str]) -> int:
    """The exit code."""
    try:
        return explore.main(argv)
    except SystemExit as left:  # argparse has said what is wrong, or printed the help
        return int(left.code or 0)
