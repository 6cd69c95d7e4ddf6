"""The data sets on the disk: whether their files can be read, and whether features and items fit."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from dataset_tools.dataset.interactions import PARTS
from dataset_tools.dataset.reading import Dataset
from dataset_tools.errors import DataError
from dataset_tools.formats.atomic import read_header, read_table
from recbole_micro.doctor.finding import BROKEN, OK, WARNING, Finding

SECTION = "data sets"
ROWS = 100_000  # interactions that are read of each file: the doctor is quick
LITTLE = 0.5  # share of items with features below which one should look


def data_sets(data_path: Path) -> Iterator[Finding]:
    """Every data set in this folder."""
    if not data_path.is_dir():
        yield Finding(
            SECTION, str(data_path), WARNING, "there is no such folder",
            "name the folder of your data sets with --data_path, or make one with recbole-micro data.",
        )  # fmt: skip
        return
    names = sorted(path.name for path in data_path.iterdir() if path.is_dir() and path.name[0] != ".")
    if not names:
        remedy = "make one with recbole-micro data prepare or convert."
        yield Finding(SECTION, str(data_path), WARNING, "it has no data set", remedy)
    for name in names:
        yield from data_set(Dataset(name, data_path))


def data_set(dataset: Dataset) -> Iterator[Finding]:
    """A data set's interactions, then each of its feature files; one sentence for whatever is broken."""
    try:
        items, text, lost = interactions(dataset)
    except (DataError, OSError, UnicodeDecodeError) as error:
        yield Finding(SECTION, dataset.name, BROKEN, sentence(error), f"look into {dataset.folder}.")
        return
    yield Finding(SECTION, dataset.name, OK, text)
    if lost:
        yield Finding(
            SECTION, f"{dataset.name}.item", WARNING, f"no row of the items of {lost:,} interactions, which "
            "training leaves out", "add these items to it, with an empty title where none is known.",
        )  # fmt: skip
    for modality in dataset.modalities:
        yield features(dataset, modality, items)


def interactions(dataset: Dataset) -> tuple[set[str], str, int]:
    """The items that the first rows and `<name>.item` name, what to say, how many rows have no item there.

    DataError for bad files.
    """
    parts = [part for part in PARTS if (dataset.folder / f"{dataset.name}.{part}.inter").is_file()]
    if 0 < len(parts) < len(PARTS) and not (dataset.folder / f"{dataset.name}.inter").is_file():
        there = ", ".join(f"{dataset.name}.{part}.inter" for part in parts)
        raise DataError(
            f"it has {there} but not the other parts of a fixed split: convert or split it again."
        )
    listed, users, rows, lost, more = set(dataset.listed_items), set(), 0, 0, False
    items = set(listed)
    for file in dataset.inter_files:
        names = [name for name, _ in read_header(file)]
        absent = [name for name in ("user_id", "item_id") if name not in names]
        if absent:  # RecBole can be told of other names
            raise DataError(f"{file} has no column {absent[0]}, but {', '.join(names)}: see USER_ID_FIELD.")
        table = read_table(file, ["user_id", "item_id"])
        for user, item in islice(table, ROWS):
            users.add(user)
            items.add(item)
            rows += 1
            lost += bool(listed) and item not in listed
        more |= next(table, None) is not None
    if not rows:
        raise DataError(f"{dataset.inter_files[0]} has no interactions: convert the data set again.")
    least = "at least " if more else ""
    return items, f"{least}{rows:,} interactions, {len(users):,} users, {len(items):,} items", lost


def features(dataset: Dataset, modality: str, items: set[str]) -> Finding:
    """Whether a modality's file opens, has finite values, each id once, and rows of the data set's items."""
    name = f"{dataset.name}.{modality}"
    again = f"write it again: recbole-micro data features --modality {modality} --name {dataset.name}."
    try:
        file = dataset.features(modality)
        ids = [token for part in file.ids() for token in part.to_pylist()]
        values = next((block for _, block in file.blocks()), np.zeros((0, file.width)))
    except (DataError, OSError) as error:
        return Finding(SECTION, name, BROKEN, sentence(error), again)
    known = sum(token in items for token in set(ids))
    text = f"{len(ids):,} rows x {file.width:,}, {known:,} of {len(items):,} items covered"
    if len(set(ids)) < len(ids):
        return Finding(SECTION, name, BROKEN, f"{text}; {len(ids) - len(set(ids)):,} ids come twice", again)
    if not np.isfinite(values).all():
        return Finding(SECTION, name, BROKEN, f"{text}; NaN or infinite values", again)
    if not known:
        example = f" (the file's first: {ids[0]}, the data set's: {min(items)})" if ids else ""
        return Finding(SECTION, name, BROKEN, f"{text}{example}", again)
    if known < LITTLE * len(items):
        return Finding(SECTION, name, WARNING, text, "see whether the ids are those of this data set.")
    return Finding(SECTION, name, OK, text)


def sentence(error: Exception) -> str:
    """What went wrong, on one line."""
    return " ".join(str(error).split())
