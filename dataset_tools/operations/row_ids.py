"""Whose the rows of a matrix are: by a list of ids, by row numbers, or by the order of the source."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from dataset_tools.dataset import provenance
from dataset_tools.dataset.reading import Dataset
from dataset_tools.errors import DataError
from dataset_tools.features.sources.contract import Source
from dataset_tools.formats import content
from dataset_tools.formats.id_lists import original_ids, read_list
from dataset_tools.formats.matrices.archives import Npz, id_array
from dataset_tools.formats.tables.table_file import TableForm, read_rows
from dataset_tools.formats.text_file import BadRows

NUMBERED = ("convert micro", "convert mmrec")  # whose records of old do not tell the order of the items


class Rows(NamedTuple):
    """How the rows' ids are given: one of these, or none."""

    ids: str | Path | None = None
    ids_key: str | None = None
    mapping: str | Path | None = None
    row_order: bool = False


def row_ids(matrix: Source, dataset: Dataset, given: Rows) -> list[str] | None:
    """The id of every row, or None where the source brings its own."""
    flags = (("--ids", given.ids), ("--mapping", given.mapping), ("--row-order", given.row_order))
    asked = [flag for flag, value in flags if value]
    if matrix.rows is None:
        if asked:
            raise DataError(f"{matrix.path} has ids of its own; leave out {asked[0]}.")
        return None
    if len(asked) != 1:
        raise DataError(
            f"{matrix.path} has rows without ids; say whose they are with --ids, --mapping or --row-order."
        )
    if given.ids:
        found, where = listed(Path(given.ids), given.ids_key), f"ids in {given.ids}"
    elif given.mapping:
        found, where = original_ids(Path(given.mapping), 0, "itemID"), f"numbers in {given.mapping}"
    else:
        found, where = in_source_order(dataset), f"items in {dataset.name}"
    if len(found) != matrix.rows:
        raise DataError(
            f"{matrix.path} has {matrix.rows:,} rows for {len(found):,} {where}; they must agree."
        )
    return found


def listed(path: Path, key: str | None) -> list[str]:
    """The ids in a text file, in the column `key` of a table, or in an array of NumPy's."""
    if not path.is_file():
        raise DataError(f"There is no file {path}.")
    kind = content.file_kind(path).name
    if kind == "npy":
        try:
            return id_array(path, path.name, {path.name: np.load(path, allow_pickle=False)})
        except ValueError as error:
            raise DataError(f"{path} holds no ids ({error}).") from None
    if kind == "zip":
        return Npz(path, None).ids(key or "")
    if key is not None:
        form = TableForm(ids=[key])
        return [row[0] for _, row in read_rows(path, [key], BadRows(False), form=form)]
    return read_list(path)


def in_source_order(dataset: Dataset) -> list[str]:
    """The items in the order of `<name>.item`; DataError where that is not the order of the source's rows."""
    where = f"The items of {dataset.name}"
    extra = len(dataset.items) - len(dataset.listed_items)
    if not dataset.listed_items or extra:
        raise DataError(
            f"{where} are not all in {dataset.item_file.name} ({extra:,} only have interactions), so no "
            "row's place tells its item: give the ids in the order of the rows with --ids LIST."
        )
    steps = provenance.read_steps(dataset.folder, dataset.name)
    if not steps:
        return dataset.items  # a file of the user's own: it is the source
    told = [step for step in steps if "item_order" in step["summary"]] or steps[:1]
    last = told[-1]
    if last["summary"].get("item_order") or (
        "item_order" not in last["summary"] and last["command"].startswith(NUMBERED)
    ):
        return dataset.items
    raise DataError(
        f"{where} are sorted by id, not in the order of their source, so no row's place tells its item: "
        f"give the ids in the order of the rows with {_advice(last)}."
    )


def _advice(step: dict) -> str:
    """The option that gives the ids, by the table of items that the data set was made of, if there is one."""
    options, sources = step["options"], step["sources"]
    if step["command"] == "convert table" and options.get("items_key") and len(sources) > 1:
        return f"--ids {sources[1]['file']} --ids-key {options['items_key']} (that table), or with --ids LIST"
    return "--ids LIST, one id per line"
