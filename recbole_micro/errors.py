"""The error that means: the user can mend this."""

import difflib
import os
from collections.abc import Iterable
from pathlib import Path

from dataset_tools.errors import in_one_line

DISTRIBUTIONS = {"faiss": "faiss-cpu", "torch_scatter": "torch-scatter"}  # where the module's name differs


class UserError(ValueError):
    """A mistake in options, files or data: one sentence that says what, where, and what to do."""

    def __init__(self, sentence: object):
        super().__init__(in_one_line(str(sentence)))


def install_command(module: str) -> str:
    """How to install the distribution that brings a module."""
    return f"pip install {DISTRIBUTIONS.get(str(module), module)}"


def tool(words: str, folder: str | os.PathLike[str]) -> str:
    """A command of dataset_tools on a data set, whose own folder is `folder`."""
    return f"python -m dataset_tools {words} --data-path {Path(folder).parent}"


def hint(name: str, names: Iterable[str], otherwise: str = "; --help lists them.") -> str:
    """The end of a sentence about an unknown `name`: `; did you mean X?`, or `otherwise` where none is near.

    Names that begin with `name_` go first; case does not count.
    """
    by_lower, name = {known.lower(): known for known in names}, name.lower()
    begun = [known for known in by_lower if known.startswith(name + "_")]
    near = difflib.get_close_matches(name, begun, n=1, cutoff=0.0) or difflib.get_close_matches(
        name, by_lower, n=1, cutoff=0.5
    )
    return f"; did you mean {by_lower[near[0]]}?" if near else otherwise
