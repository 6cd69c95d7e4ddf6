"""Modality feature files as matrices in RecBole's internal item order."""

from logging import getLogger
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from recbole.config import Config as RecBoleConfig
from recbole.data.dataset import Dataset

from dataset_tools.errors import DataError
from dataset_tools.features.feature_file import ID_COLUMN, FeatureFile, feature_column, feature_path
from dataset_tools.features.feature_text import TextFeatureFile, is_text_form
from dataset_tools.formats.matrix_checks import check_finite
from recbole_micro.errors import UserError

# Files of a data set that are no features in text form.
RECBOLE_SUFFIXES = frozenset({"inter", "item", "user", "kg", "link", "net", "parquet", "json"})
logger = getLogger(__name__)


class Modality(NamedTuple):
    """One modality's features: `values` float32 [n_items, d] and `mask` bool [n_items].

    The mask is true where an item has a row; all other rows are zeros, row 0 (RecBole's padding) among them.
    """

    values: torch.Tensor
    mask: torch.Tensor


def load(config: RecBoleConfig, dataset: Dataset) -> dict[str, Modality]:
    """The features of `config["modalities"]`, or of every feature file found, in that order.

    Sets `config["modalities"]` to the names of what is loaded, and logs rows, width and coverage of each.
    Raises UserError for a modality without a file, a file that covers no item, a misnamed column, a duplicate
    id, vectors of unequal width, NaN or infinity.  Ids that are not in the data set are ignored and counted.
    """
    folder, name = Path(config["data_path"]), dataset.dataset_name
    tokens = dataset.field2id_token[dataset.iid_field]
    paths = choose(folder, name, config["modalities"])
    config["modalities"] = list(paths)  # so a checkpoint knows them, whatever files come later
    try:
        return {
            modality: _load(path, modality, tokens, dataset.iid_field) for modality, path in paths.items()
        }
    except DataError as error:
        raise UserError(str(error)) from error


def find(folder: Path, name: str) -> dict[str, Path]:
    """Feature files of the data set `name` by modality, sorted; Parquet goes before RecBole's text form."""
    found = {}
    for path in sorted(folder.glob(f"{name}.*")):
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
                f"python -m dataset_tools features --input F --ids LIST --modality visual --name {name}."
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
                f"python -m dataset_tools features --modality {modality} --name {name}."
            )
    return {modality: found[modality] for modality in chosen}


def _load(path: Path, modality: str, tokens: np.ndarray, iid_field: str) -> Modality:
    if path.suffix == ".parquet":
        file: FeatureFile | TextFeatureFile = FeatureFile(path, modality, (ID_COLUMN, f"{iid_field}:token"))
    else:
        file = TextFeatureFile(path, modality)
        logger.warning(
            f"{path} is RecBole's text form, which reads slowly; convert it with "
            f"python -m dataset_tools features --input {path} --modality {modality} --name {path.stem}."
        )
    items = pa.array(tokens[1:].tolist(), pa.string())
    values = np.zeros((len(tokens), file.width), dtype=np.float32)
    mask = np.zeros(len(tokens), dtype=bool)
    rows = 0
    first: list[str] = []
    for names, block in file.blocks():
        rows += len(names)
        first = first or names[:3].to_pylist()
        known, ids = _internal_ids(names, items)
        if len(known) < len(names):
            names, block = names.take(pa.array(known)), block[known]
        _check_duplicates(path, modality, names, ids, mask)
        check_finite(names, block, f"column {feature_column(modality)!r} of {path}, row(s)")
        values[ids] = block
        mask[ids] = True
    _report(file, rows, int(mask.sum()), first, items)
    return Modality(torch.from_numpy(values), torch.from_numpy(mask))


def _internal_ids(names: pa.Array, items: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """(positions in `names` of ids that the data set has, their internal ids)."""
    index = pc.index_in(names, value_set=items)
    known = np.flatnonzero(index.is_valid().to_numpy(zero_copy_only=False))
    return known, index.drop_null().to_numpy() + 1


def _check_duplicates(path: Path, modality: str, names: pa.Array, ids: np.ndarray, mask: np.ndarray) -> None:
    again = mask[ids]
    _, first = np.unique(ids, return_index=True)
    if len(first) < len(ids):
        again[np.setdiff1d(np.arange(len(ids)), first)] = True
    if again.any():
        twice = [names[int(i)].as_py() for i in np.flatnonzero(again)[:3]]
        raise UserError(
            f"{path}, column {feature_column(modality)!r}: item id(s) {', '.join(twice)} have more than one "
            "row; keep one row per item."
        )


def _report(
    file: FeatureFile | TextFeatureFile, rows: int, covered: int, first: list[str], items: pa.Array
) -> None:
    """One line per modality; a file that covers no item is an error."""
    if not covered:
        first_items = ", ".join(items[:3].to_pylist())
        raise UserError(
            f"{file.path}, column {feature_column(file.modality)!r}: none of its {rows:,} ids "
            f"(first: {', '.join(first)}) is an item of the data set (first: {first_items}); "
            "write it with the data set's item ids."
        )
    unknown = f", {rows - covered:,} ids of other items ignored" if rows > covered else ""
    logger.info(
        f"Modality {file.modality}: {rows:,} rows x {file.width:,}, "
        f"{covered:,} of {len(items):,} items covered ({covered / len(items):.1%}){unknown}"
    )
