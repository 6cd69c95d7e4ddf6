"""The command line, one command a file; `main(argv, prog)` runs it."""

from dataset_tools.commands.command_line import main

__all__ = ["main"]
