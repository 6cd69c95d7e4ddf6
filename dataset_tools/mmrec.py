"""MMRec's layout: `X.inter` with a column `x_label` for the split, features in item order, id mappings.

Items and users are numbers there; `i_id_mapping.csv` and `u_id_mapping.csv` restore their ids.
"""

import csv
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from dataset_tools import splits
from dataset_tools.arrays import NpyFile
from dataset_tools.atomic import finite, number
from dataset_tools.catalog import KNOWN
from dataset_tools.dataset import Dataset
from dataset_tools.errors import DataError
from dataset_tools.folder import DatasetFolder
from dataset_tools.id_lists import original_ids
from dataset_tools.interactions import Builder, Interactions
from dataset_tools.item_table import Bad, ItemTable
from dataset_tools.micro import modality_of, write_in_order

USER, ITEM, PART = "userID", "itemID", "x_label"
FLOATS = ("rating", "timestamp")
MAPPINGS = {ITEM: "i_id_mapping.csv", USER: "u_id_mapping.csv"}


def convert(
    source: str | Path,
    name: str,
    data_path: str | Path = "dataset",
    *,
    rename: Mapping[str, str] | None = None,
    about: ItemTable | None = None,
    seed: int = 0,
    half: bool = False,
    force: bool = False,
) -> Path:
    """Write the data set `name` with the source's split, every item and each `.npy`; returns the folder.

    Where `x_label` is missing, the paper's split is made with `seed`.  `rename` maps a feature file's stem to
    the modality's name; `about` is a table with a column itemID.
    """
    source = Path(source)
    inter = _inter_file(source)
    files = sorted(source.glob("*.npy"))
    with DatasetFolder(data_path, name, force) as folder:
        rows = list(_rows(inter))
        mappings = {
            kind: source / file if (source / file).is_file() else None for kind, file in MAPPINGS.items()
        }
        matrices = [NpyFile(file) for file in files]
        size = max((row[ITEM] for row in rows), default=-1) + 1
        if mappings[ITEM] is None and matrices:
            size = max(size, matrices[0].rows)
        items = original_ids(mappings[ITEM], size, ITEM)
        users = original_ids(mappings[USER], max((row[USER] for row in rows), default=-1) + 1, USER)
        interactions = _interactions(rows, users, items)
        if interactions.part is None:
            interactions = splits.per_user(interactions, seed)
        folder.write_interactions(interactions)
        columns = {}
        if about is not None:
            about.read(ITEM, Bad(skip=False))
            columns = about.columns(map(str, range(len(items))))
        folder.write_items(items, columns)
        folder.write_users(users)
        for matrix in matrices:
            if matrix.rows != len(items):
                raise DataError(f"{matrix.path} has {matrix.rows:,} rows for {len(items):,} items.")
            modality = (rename or {}).get(matrix.path.stem, modality_of(matrix.path))
            with folder.features(modality, matrix.width, half) as writer:
                write_in_order(writer, matrix, items, modality)
        options = {"rename": dict(rename or {}), "seed": seed, "half": half}
        tables = [about.path] if about is not None and about.path else []
        sources = [inter, *(path for path in mappings.values() if path), *files, *tables]
        folder.record("convert mmrec", options, sources, KNOWN.get(name))
    return folder.target


def _inter_file(source: Path) -> Path:
    found = sorted(source.glob("*.inter"))
    if len(found) != 1:
        raise DataError(f"{source} has {len(found)} .inter files; --from must name a folder with one.")
    return found[0]


def _rows(path: Path):
    """The rows as dictionaries of numbers, whatever the order of the columns."""
    with open(path, encoding="utf-8", newline="") as file:
        table = csv.reader(file, delimiter="\t")
        header = next(table, [])
        absent = [column for column in (USER, ITEM) if column not in header]
        if absent:
            raise DataError(
                f"{path} has no column {absent[0]}; its columns are {', '.join(header) or 'none'}."
            )
        kinds = {USER: int, ITEM: int, PART: int, **dict.fromkeys(FLOATS, finite)}
        known = [(place, column, kinds[column]) for place, column in enumerate(header) if column in kinds]
        for line, row in enumerate(table, 2):
            try:
                found = {column: kind(row[place]) for place, column, kind in known}
            except (ValueError, IndexError):
                raise DataError(f"{path}, line {line}: expected numbers, got {row}.") from None
            if min(found[USER], found[ITEM]) < 0 or found.get(PART, 0) not in (0, 1, 2):
                raise DataError(f"{path}, line {line}: ids start at 0 and {PART} is 0, 1 or 2, got {row}.")
            yield found


def _interactions(rows: list[dict], users: list[str], items: list[str]) -> Interactions:
    columns = rows[0] if rows else {}
    builder = Builder("rating" in columns, "timestamp" in columns, PART in columns)
    for item in items:
        builder.add_item(item)
    for row in rows:
        floats = {column: row[column] for column in FLOATS if column in row}
        builder.add(users[row[USER]], items[row[ITEM]], part=row.get(PART, 0), **floats)
    return builder.build()


def export(dataset: Dataset, target: str | Path, force: bool = False) -> tuple[Path, dict[str, int]]:
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
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        _write_inter(partial / f"{dataset.name}.inter", dataset)
        for kind, tokens in ((ITEM, dataset.items), (USER, dataset.users)):
            _write_mapping(partial / MAPPINGS[kind], kind, tokens)
        missing = {modality: _write_npy(partial, dataset, modality) for modality in dataset.modalities}
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target, missing


def _write_inter(path: Path, dataset: Dataset) -> None:
    found = dataset.interactions
    item_number = {token: place for place, token in enumerate(dataset.items)}
    user_number = {token: place for place, token in enumerate(dataset.users)}
    items = np.array([item_number[token] for token in found.items])[found.item]
    users = np.array([user_number[token] for token in found.users])[found.user]
    floats = [name for name in FLOATS if getattr(found, name) is not None]
    with open(path, "w", encoding="utf-8") as file:
        file.write("\t".join([USER, ITEM, *floats, PART]) + "\n")
        for row in np.argsort(users, kind="stable"):
            values = [number(getattr(found, name)[row]) for name in floats]
            file.write("\t".join([str(users[row]), str(items[row]), *values, str(found.part[row])]) + "\n")


def _write_mapping(path: Path, kind: str, tokens: list[str]) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, delimiter="\t", lineterminator="\n")
        table.writerow([f"original_{kind}", kind])
        table.writerows(zip(tokens, range(len(tokens)), strict=True))


def _write_npy(folder: Path, dataset: Dataset, modality: str) -> int:
    """One modality as `.npy` in item order, a row group at a time; the number of items without a row."""
    names = {"visual": "image_feat", "textual": "text_feat"}
    source, place = dataset.features(modality), {token: i for i, token in enumerate(dataset.items)}
    shape = (len(place), source.width)
    matrix = np.lib.format.open_memmap(
        folder / f"{names.get(modality, modality)}.npy", mode="w+", dtype=np.float32, shape=shape
    )
    written = 0
    for tokens, values in source.blocks():
        known = [(place[token], row) for row, token in enumerate(tokens.to_pylist()) if token in place]
        for target, row in known:
            matrix[target] = values[row]
        written += len(known)
    matrix.flush()
    return len(place) - written
