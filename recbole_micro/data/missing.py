"""Missing data sets: made where that needs no download, else refused with the command to get them."""

import os
from logging import getLogger
from pathlib import Path

from recbole.config import Config as RecBoleConfig

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
        near = hint(name, catalog.KNOWN, ".")
        raise UserError(
            f"The data set {name} is not in {folder} (no {name}.inter): convert your files with python -m "
            f"dataset_tools convert, or pass --data_path=FOLDER where FOLDER/{name} holds it{near}"
        )
    if catalog.KNOWN[name].needs_download:
        raise UserError(f"The data set {name} is not in {folder}: get it with {command(name, folder)}.")


def provide(name: str, folder: Path) -> None:
    """Make a data set that is not in `folder`; UserError where that is not possible without a download."""
    check_available(name, folder)
    getLogger().info(f"The data set {name} is not in {folder}: {command(name, folder)}")
    try:
        catalog.prepare(name, folder.parent)
    except DataError as error:
        if not (folder / f"{name}.inter").is_file():  # another process may have made it meanwhile
            raise UserError(str(error)) from error


def command(name: str, folder: Path) -> str:
    """The command that makes a known data set."""
    return f"python -m dataset_tools prepare {name} --data-path {folder.parent}"
