"""`split --missing`: a data set in which a share of the items lacks one modality, some or all."""

import hashlib
import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dataset_tools.dataset import provenance, summary
from dataset_tools.dataset.folder import DatasetFolder
from dataset_tools.dataset.reading import Dataset
from dataset_tools.errors import DataError
from dataset_tools.features.feature_file import FeatureFile, FeatureWriter, feature_path
from dataset_tools.features.feature_text import is_text_form
from dataset_tools.files import write_text
from dataset_tools.operations.splitting.resplit import take_along


def chosen(items: Collection[str], share: float, seed: int = 0) -> set[str]:
    """The given share of the items, at random: those whose hashes with the seed are the smallest.

    A larger share chooses the same items and more; the items' order does not matter.
    """
    keys = {item: hashlib.blake2b(f"{seed} {item}".encode(), digest_size=8).digest() for item in items}
    return set(sorted(keys, key=lambda item: (keys[item], item))[: round(share * len(keys))])


def remove_features(
    dataset: Dataset,
    share: float,
    *,
    modalities: Sequence[str] = (),
    seed: int = 0,
    name: str | None = None,
    force: bool = False,
) -> Path:
    """Write the data set `name` (default: NAME-missing), in which a share of the items lacks `modalities`.

    All modalities where none is named.  Everything else is as it was, the split of the interactions too.
    `<name>.missing.json` says which items lack what now, those that did before among them.  Returns the
    folder.
    """
    target = name or f"{dataset.name}-missing"
    if not 0 < share < 1:
        raise DataError(f"The share {share} of items without features must lie between 0 and 1.")
    if target == dataset.name:
        raise DataError(f"{dataset.name} would lose its features: choose another --to-name.")
    affected = list(dict.fromkeys(modalities)) or known_modalities(dataset)
    files = {modality: dataset.features(modality) for modality in affected}
    gone = chosen(dataset.items, share, seed)
    if not gone:
        raise DataError(f"A share of {share} of {len(dataset.items)} items is none: choose a larger one.")
    lacking = {m: lacking_items(dataset, m) | (gone if m in files else set()) for m in dataset.modalities}
    for modality in affected:
        if len(lacking[modality]) == len(dataset.items):
            raise DataError(f"No item would have {modality} features: choose a smaller share.")
    left_out = {f"{dataset.name}.{modality}" for modality in affected}  # the text form
    left_out |= {feature_path("", dataset.name, modality).name for modality in affected}
    with DatasetFolder(dataset.folder.parent, target, force) as folder:
        take_along(dataset, folder, {*left_out, f"{dataset.name}.missing.json"})
        for modality, file in files.items():
            with folder.features(modality, file.width, file.half) as writer:
                write_rest(file, writer, gone)
        record = {"share": share, "seed": seed, "modalities": affected}
        write(folder.path, target, record | {"lacking": {m: sorted(items) for m, items in lacking.items()}})
        counts = summary.of_dataset(dataset)
        for modality, items in lacking.items():
            counts["features"][modality]["items"] = len(dataset.items) - len(items)
        provenance.record_step(folder.path, target, f"split {dataset.name}", record, [], counts)
    return folder.target


def known_modalities(dataset: Dataset) -> list[str]:
    """All modalities of a data set; DataError where there are none, or some that would keep their rows."""
    modalities = dataset.modalities
    for path in sorted(dataset.folder.glob(f"{dataset.name}.*")):
        modality = path.name[len(dataset.name) + 1 :]
        if "." not in modality and modality not in modalities and is_text_form(path, modality):
            raise DataError(
                f"{path} is RecBole's text form, which is not rewritten; convert it with python -m "
                f"dataset_tools features --input {path} --modality {modality} --name {dataset.name}."
            )
    if not modalities:
        raise DataError(f"{dataset.folder} has no features; add them with python -m dataset_tools features.")
    return modalities


def lacking_items(dataset: Dataset, modality: str) -> set[str]:
    """The items without a row of this modality."""
    there = {token for tokens in dataset.features(modality).ids() for token in tokens.to_pylist()}
    return set(dataset.items) - there


def write_rest(file: FeatureFile, writer: FeatureWriter, gone: Collection[str]) -> None:
    """Write the rows of a feature file but those of the items that are `gone`."""
    for tokens, values in file.blocks():
        names = tokens.to_pylist()
        keep = np.array([name not in gone for name in names], dtype=bool)
        writer.write([name for name, kept in zip(names, keep, strict=True) if kept], values[keep])


def write(folder: Path, name: str, record: dict[str, Any]) -> None:
    """Write `<name>.missing.json`."""
    write_text(folder / f"{name}.missing.json", json.dumps(record, indent=1, ensure_ascii=False) + "\n")
