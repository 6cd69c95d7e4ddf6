"""The command line; `main(argv, prog)` runs it.

One command a file: `add(commands)` declares its arguments, `run(options)` does what they say.
"""

from dataset_tools.commands.command_line import main

__all__ = ["main"]
