"""Modality feature files as matrices in RecBole's internal item order."""

import glob
from logging import getLogger
from pathlib import Path

import numpy as np
import torch
from recbole.config import Config as RecBoleConfig
from recbole.data.dataset import Dataset

from dataset_tools.errors import DataError
from dataset_tools.features.feature_file import ID_COLUMN, FeatureFile, feature_column, feature_path
from dataset_tools.features.feature_text import TextFeatureFile, is_text_form
from dataset_tools.features.join import ItemIndex, Joined, join
from recbole_micro.data.dataset import in_place
from recbole_micro.data.lacking import Modality, filled, groups, removed
from recbole_micro.errors import UserError, tool

# Files of a data set that are no features in text form.
RECBOLE_SUFFIXES = frozenset({"inter", "item", "user", "kg", "link", "net", "parquet", "json"})
logger = getLogger(__name__)


def load(config: RecBoleConfig, dataset: Dataset) -> dict[str, Modality]:
    """The features of `config["modalities"]`, or of every feature file found, in that order.

    Sets `config["modalities"]` to the names of what is loaded, and logs rows, width and coverage of each.
    Items lose theirs by `missing_share`, and get others by `missing`; `dataset` is the training data set.
    Raises UserError for a modality without a file, a file that covers no item, a misnamed column, a duplicate
    id, vectors of unequal width, NaN or infinity.  Ids that are not in the data set are ignored and counted.
    """
    folder, name = Path(config["data_path"]), dataset.dataset_name
    tokens = dataset.field2id_token[dataset.iid_field]
    paths = choose(folder, name, config["modalities"])
    config["modalities"] = list(paths)  # so a checkpoint knows them, whatever files come later
    gone = removed(config, list(paths), tokens)
    with in_place(config, getattr(dataset, "place", None)):
        try:
            found = {
                modality: _load(path, modality, tokens, dataset.iid_field, gone.get(modality))
                for modality, path in paths.items()
            }
        except DataError as error:
            raise UserError(str(error)) from error
    return filled(found, config["missing"], dataset)


def item_groups(config: RecBoleConfig, dataset: Dataset) -> dict[str, np.ndarray]:
    """Items with all, with some and without any of the features that `load` would find, bool [n_items] each.

    Errors as there, but that no values are read.
    """
    tokens = dataset.field2id_token[dataset.iid_field]
    paths = choose(Path(config["data_path"]), dataset.dataset_name, config["modalities"])
    gone, index, has = removed(config, list(paths), tokens), ItemIndex(tokens[1:].tolist()), {}
    try:
        for modality, path in paths.items():
            has[modality] = np.zeros(len(tokens), dtype=bool)
            for ids in opened(path, modality, dataset.iid_field).ids():
                has[modality][index.match(ids.combine_chunks())[1] + 1] = True
            if modality in gone:
                has[modality] &= ~gone[modality]
    except DataError as error:
        raise UserError(str(error)) from error
    return groups(has)


def widths(config: RecBoleConfig, dataset: Dataset) -> dict[str, int]:
    """How many numbers an item has in each modality that `load` would read; errors as there."""
    paths = choose(Path(config["data_path"]), dataset.dataset_name, config["modalities"])
    try:
        return {m: opened(path, m, dataset.iid_field).width for m, path in paths.items()}
    except DataError as error:
        raise UserError(str(error)) from error


def opened(path: Path, modality: str, iid_field: str) -> FeatureFile | TextFeatureFile:
    """A feature file in either form; DataError where it is none."""
    if path.suffix == ".parquet":
        return FeatureFile(path, modality, (ID_COLUMN, f"{iid_field}:token"))
    return TextFeatureFile(path, modality)


def find(folder: Path, name: str) -> dict[str, Path]:
    """Feature files of the data set `name` by modality, sorted; Parquet goes before RecBole's text form."""
    found = {}
    for path in sorted(folder.glob(f"{glob.escape(name)}.*")):
        modality = path.name[len(name) + 1 :]
        if modality.endswith(".parquet"):
            found[modality.removesuffix(".parquet")] = path
        elif "." not in modality and modality not in RECBOLE_SUFFIXES and is_text_form(path, modality):
            found.setdefault(modality, path)
    return dict(sorted(found.items()))


def choose(folder: Path, name: str, modalities: list[str] | str | None) -> dict[str, Path]:
    """The feature files of the chosen modalities in their order, or of all.

    Raises UserError where one is missing, or has a name that a modality cannot have.
    """
    found = find(folder, name)
    for modality in found:
        if hasattr(torch.nn.ModuleDict, modality):
            raise UserError(
                f"The modality of {found[modality]} has a name that PyTorch keeps to itself: rename the file "
                f"and its column, such as {modality}_features."
            )
    if not modalities:
        if not found:
            raise UserError(
                f"{folder} has no feature file ({name}.<modality>.parquet); make one with "
                f"{tool(f'features --input F --ids LIST --modality visual --name {name}', folder)}."
            )
        return found
    chosen = [modalities] if isinstance(modalities, str) else list(modalities)
    if len(set(chosen)) < len(chosen):
        raise UserError(f"modalities names one twice ({', '.join(chosen)}): name each once.")
    for modality in chosen:
        if modality not in found:
            present = ", ".join(found) or "none"
            raise UserError(
                f"The modality {modality!r} has no feature file {feature_path(folder, name, modality)}; "
                f"set modalities to those that are there ({present}), or make the file with "
                f"{tool(f'features --input F --ids LIST --modality {modality} --name {name}', folder)}."
            )
    return {modality: found[modality] for modality in chosen}


def _load(path: Path, modality: str, tokens: np.ndarray, iid_field: str, gone: np.ndarray | None) -> Modality:
    file = opened(path, modality, iid_field)
    if isinstance(file, TextFeatureFile):
        logger.warning(
            f"{path} is RecBole's text form, which reads slowly; convert it with "
            f"python -m dataset_tools features --input {path} --modality {modality} --name {path.stem}."
        )
    joined = join(file, ItemIndex(tokens[1:].tolist()), padding=1)
    _report(file, joined, tokens)
    if gone is not None:
        lost = int((joined.mask & gone).sum())
        joined.values[gone], joined.mask[gone] = 0, False
        if not joined.mask.any():
            raise UserError(f"missing_share leaves no item with {modality} features: choose a smaller one.")
        logger.info(f"Modality {modality}: {lost:,} items lose their row (missing_share)")
    return Modality(torch.from_numpy(joined.values), torch.from_numpy(joined.mask))


def _report(file: FeatureFile | TextFeatureFile, joined: Joined, tokens: np.ndarray) -> None:
    """One line per modality; a file that covers no item is an error."""
    covered, n_items = int(joined.mask.sum()), len(tokens) - 1
    if not covered:
        first_items = ", ".join(tokens[1:4])
        raise UserError(
            f"{file.path}, column {feature_column(file.modality)!r}: none of its {joined.rows:,} ids "
            f"(first: {', '.join(joined.first)}) is an item of the data set (first: {first_items}); "
            "write it with the data set's item ids."
        )
    unknown = f", {joined.rows - covered:,} ids of other items ignored" if joined.rows > covered else ""
    logger.info(
        f"Modality {file.modality}: {joined.rows:,} rows x {file.width:,}, "
        f"{covered:,} of {n_items:,} items covered ({covered / n_items:.1%}){unknown}"
    )
