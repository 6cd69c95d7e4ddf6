"""`recbole-micro data`: what `python -m dataset_tools` does."""

from dataset_tools.commands import main as data_main


def main(argv: list[str]) -> int:
    """`recbole-micro data`; the exit code."""
    try:
        return data_main(argv, prog="recbole-micro data")
    except SystemExit as left:  # argparse has said what is wrong, or printed the help
        return int(left.code or 0)
