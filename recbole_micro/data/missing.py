"""Missing data sets: made where that needs no download, else refused with the command to get them."""

import os
import sys
from logging import getLogger
from pathlib import Path

from recbole.config import Config as RecBoleConfig

from dataset_tools.converters.registry import LAYOUTS
from dataset_tools.dataset import catalog
from dataset_tools.errors import DataError
from recbole_micro.errors import UserError, hint


def interaction_files(config: RecBoleConfig) -> list[str]:
    """Paths of the interaction files that the configuration asks for: one, or the parts of a fixed split."""
    names = [f"{part}.inter" for part in config["benchmark_filename"] or []] or ["inter"]
    return [os.path.join(config["data_path"], f"{config['dataset']}.{name}") for name in names]


def missing_files(config: RecBoleConfig) -> list[str]:
    """The interaction files that the configuration asks for and that are not there."""
    return [path for path in interaction_files(config) if not os.path.isfile(path)]


def check_available(name: str, folder: Path) -> None:
    """Raise UserError, which says how to get it, for a data set that takes a download.

    `folder`: where the data set would be.
    """
    if (folder / f"{name}.inter").is_file():
        raise UserError(
            f"benchmark_filename asks for parts of {name} that are not in {folder}, where {name}.inter is: "
            "leave the option out, or make parts with python -m dataset_tools split "
            f"{name} --data-path {folder.parent}."
        )
    if not catalog.is_known(name):
        layout = max((one for one in LAYOUTS if name.lower().startswith(one)), key=len, default="")
        near = "." if layout else hint(name, catalog.KNOWN, ".")
        raise UserError(
            f"The data set {name} is not in {folder} (no {name}.inter): convert your files with python -m "
            f"dataset_tools convert {layout or 'LAYOUT'}, or pass --data_path=FOLDER where FOLDER/{name} "
            f"holds it{near}"
        )
    if catalog.KNOWN[name].needs_download:
        raise UserError(
            f"The data set {name} is not in {folder}: add --download, which fetches and prepares it first, "
            f"or get it with {command(name, folder)}."
        )


def downloaded(config: RecBoleConfig, ask: bool) -> bool:
    """Fetch and prepare a known data set that is not there, with the option `download` or after a yes.

    True where that was done: then what the configuration has read of the folder is out of date.  `ask`:
    whether a question on the terminal is in place.  UserError where the download fails; the next one goes on
    where it stopped.
    """
    name, folder = config["dataset"], Path(config["data_path"])
    if (
        not missing_files(config)
        or not catalog.is_known(name)
        or not catalog.KNOWN[name].needs_download
        or (folder / f"{name}.inter").is_file()
    ):
        return False
    if not config["single_spec"]:
        if config["download"]:
            raise UserError(
                f"The data set {name} is not in {folder}, and several processes fetch nothing: "
                f"get it first with {command(name, folder)}."
            )
        return False
    terminal = ask and sys.stdin.isatty() and sys.stderr.isatty()
    if not config["download"] and not terminal:
        return False
    try:
        size = catalog.to_download(name, folder.parent)
        print(
            f"The data set {name} ({catalog.KNOWN[name].title}) is not in {folder}: {size}.", file=sys.stderr
        )
        if not config["download"] and not _yes("Download and prepare it? [y/N] "):
            return False
        _prepare(name, folder)
    except DataError as error:
        raise UserError(str(error)) from error
    return True


def _yes(question: str) -> bool:
    print(question, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def provide(name: str, folder: Path, download: bool = False) -> None:
    """Make a data set that is not in `folder`; UserError where that takes a download without `download`."""
    if not (download and catalog.is_known(name)):
        check_available(name, folder)
    getLogger().info(f"The data set {name} is not in {folder}: {command(name, folder)}")
    try:
        _prepare(name, folder)
    except DataError as error:
        raise UserError(str(error)) from error


def _prepare(name: str, folder: Path) -> None:
    try:
        catalog.prepare(name, folder.parent)
    except DataError:
        made = (folder / f"{name}{part}.inter" for part in ("", ".train"))
        if not any(path.is_file() for path in made):  # another process may have made it meanwhile
            raise


def command(name: str, folder: Path) -> str:
    """The command that makes a known data set."""
    return f"python -m dataset_tools prepare {name} --data-path {folder.parent}"
