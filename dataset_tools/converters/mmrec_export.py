"""`export mmrec`: a data set with a fixed split in MMRec's layout."""

import csv
import os
import shutil
from pathlib import Path

import numpy as np

from dataset_tools.converters.mmrec_layout import FLOATS, ITEM, MAPPINGS, PART, USER
from dataset_tools.dataset.folder import lock_of, put_in_place, refuse_foreign
from dataset_tools.dataset.reading import Dataset
from dataset_tools.errors import DataError
from dataset_tools.files import PARTIAL, held, naming
from dataset_tools.formats.atomic import number
from dataset_tools.progress import progress

FILES = {"visual": "image_feat", "textual": "text_feat"}


def export_mmrec(dataset: Dataset, target: str | Path, force: bool = False) -> tuple[Path, dict[str, int]]:
    """Write a data set with a fixed split in MMRec's layout; the folder, and items without features.

    Numbers follow `<name>.item` and `<name>.user`.  MMRec knows no missing features: such items get rows of
    zeros, counted by modality.
    """
    target = Path(target)
    found = dataset.interactions
    if found.part is None:
        raise DataError(f"{dataset.name} has no fixed split; make one with python -m dataset_tools split.")
    if target.exists() and not force:
        raise DataError(f"{target} is there already; replace it with --force or choose another --to.")
    refuse_foreign(target, lambda file: file.endswith(".inter"))
    target.parent.mkdir(parents=True, exist_ok=True)
    partial, old = (target.with_name(f".{target.name}{end}") for end in (PARTIAL, ".old"))
    with held(lock_of(target), target):
        if target.exists() and not force:  # by now
            raise DataError(f"{target} is there already; replace it with --force or choose another --to.")
        for leftover in (partial, old):
            shutil.rmtree(leftover, ignore_errors=True)
        partial.mkdir()
        try:
            _write_inter(partial / f"{dataset.name}.inter", dataset)
            for kind, tokens in ((ITEM, dataset.items), (USER, dataset.users)):
                _write_mapping(partial / MAPPINGS[kind], kind, tokens)
            missing = {modality: _write_npy(partial, dataset, modality) for modality in dataset.modalities}
            put_in_place(partial, target, old)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
            if target.exists():
                shutil.rmtree(old, ignore_errors=True)
    return target, missing


def _write_inter(path: Path, dataset: Dataset) -> None:
    found = dataset.interactions
    part = np.array(found.part)
    item_number = {token: place for place, token in enumerate(dataset.items)}
    user_number = {token: place for place, token in enumerate(dataset.users)}
    items = np.array([item_number[token] for token in found.items])[found.item]
    users = np.array([user_number[token] for token in found.users])[found.user]
    floats = [name for name in FLOATS if getattr(found, name) is not None]
    with naming(path), open(path, "w", encoding="utf-8") as file:
        file.write("\t".join([USER, ITEM, *floats, PART]) + "\n")
        for row in progress(np.argsort(users, kind="stable"), path.name, unit="row"):
            values = [number(getattr(found, name)[row]) for name in floats]
            file.write("\t".join([str(users[row]), str(items[row]), *values, str(part[row])]) + "\n")


def _write_mapping(path: Path, kind: str, tokens: list[str]) -> None:
    with naming(path), open(path, "w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, delimiter="\t", lineterminator="\n")
        table.writerow([f"original_{kind}", kind])
        table.writerows(zip(tokens, range(len(tokens)), strict=True))


def reserve(path: Path) -> None:
    """Take a file's room on the disk now: without it, writing to the mapped file would kill the process."""
    if hasattr(os, "posix_fallocate"):
        with open(path, "r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def _write_npy(folder: Path, dataset: Dataset, modality: str) -> int:
    """One modality as `.npy` in item order, a row group at a time; the number of items without a row."""
    source, place = dataset.features(modality), {token: i for i, token in enumerate(dataset.items)}
    path, shape = folder / f"{FILES.get(modality, modality)}.npy", (len(place), source.width)
    with naming(path):
        matrix = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
        reserve(path)
    written = 0
    for tokens, values in progress(source.blocks(), modality):
        known = [(place[token], row) for row, token in enumerate(tokens.to_pylist()) if token in place]
        for target, row in known:
            matrix[target] = values[row]
        written += len(known)
    matrix.flush()
    return len(place) - written
