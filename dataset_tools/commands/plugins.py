"""Files of the user's own that register converters and encoders."""

import argparse
import sys
from collections.abc import Sequence
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from dataset_tools.errors import DataError

_loaded: set[Path] = set()


def load_plugins(argv: Sequence[str] | None) -> None:
    """Run the files that `--plugins FILE` before the command names, each once in a process."""
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    early.add_argument("--plugins", action="append", nargs="?", default=[])
    early.add_argument("rest", nargs=argparse.REMAINDER)
    for file in early.parse_known_args(argv)[0].plugins:
        if file is not None:  # the whole command line's parser says that a name is missing
            run_plugin(Path(file))


def run_plugin(file: Path) -> None:
    """Run a Python file, unless it has been run; DataError where there is none."""
    if not file.is_file():
        raise DataError(f"There is no file {file}; --plugins names a Python file.")
    place = file.resolve()
    if place in _loaded:
        return
    name = str(place)
    spec = spec_from_file_location(name, place)
    if spec is None or spec.loader is None:
        raise DataError(f"{file} is no Python file; its name must end in .py.")
    module = module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    _loaded.add(place)
