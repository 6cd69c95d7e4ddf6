"""Which items may be recommended: lists of ids, conditions on the columns of the `.item` file."""

from pathlib import Path

import numpy as np
from recbole.data.dataset import Dataset

from dataset_tools.errors import DataError
from dataset_tools.formats.id_lists import read_list
from dataset_tools.operations.conditions import Condition
from recbole_micro.errors import UserError, hint
from recbole_micro.inference.item_columns import ItemColumns


class Words(str):
    """A text of several words, such as genres: it equals each of them, and itself."""

    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return str.__eq__(self, other) is True or other in self.split()

    def __ne__(self, other: object) -> bool:
        return not self == other


def allowed(
    dataset: Dataset,
    tokens: np.ndarray,
    only: str | None = None,
    without: str | None = None,
    condition: str | None = None,
) -> tuple[np.ndarray, list[str]]:
    """Which of the items `tokens` may be listed, bool, and remarks on ids that are none of them.

    `only`, `without`: files of ids, one a line.  `condition`: on the columns of the data set's `.item` file,
    such as `genre == "Drama"`, where a column of several words equals each of them.  Raises UserError for
    files and conditions that cannot be read, and where no item is left.
    """
    left, remarks, asked = np.ones(len(tokens), dtype=bool), [], []
    for path, wanted in ((only, True), (without, False)):
        if path is not None:
            listed = read_ids(path)
            left &= np.isin(tokens, listed) == wanted
            asked.append(f"--{'items' if wanted else 'without'}={path}")
            unknown = sorted(set(listed) - set(tokens))
            if unknown:
                first = ", ".join(unknown[:3])
                remarks.append(f"{path}: {len(unknown):,} of its ids are no items here (first: {first}).")
    if condition is not None:
        left &= np.isin(tokens, list(fulfilling(dataset, condition)))
        asked.append(f"--filter={condition}")
        new = len(tokens) - dataset.item_num
        if new:
            remarks.append(f"--filter leaves out the {new:,} new items: they have no columns.")
    if not left[1:].any():
        raise UserError(f"No item is left to recommend by {' and '.join(asked)}: allow more of them.")
    return left, remarks


def read_ids(path: str | Path) -> list[str]:
    """The ids of a file, one a line; UserError where it cannot be read."""
    if not Path(path).is_file():
        raise UserError(f"There is no file {path}: name one with an id on every line.")
    try:
        return read_list(Path(path))
    except DataError as error:
        raise UserError(str(error)) from error


def fulfilling(dataset: Dataset, text: str) -> set[str]:
    """Ids of the items that fulfil a condition; an item without a row fulfils none."""
    try:
        condition = Condition(text, "--filter")
    except DataError as error:
        raise UserError(str(error)) from error
    table = ItemColumns(dataset)
    for name in condition.columns:
        if name not in table.names:
            known = ", ".join(table.names) or "none"
            raise UserError(
                f"--filter names the column {name!r}, but those of {table.path} are {known}"
                f"{hint(name, table.names, '.')}"
            )
    found = set()
    for item, *values in table.rows(*condition.columns):
        kinds = (
            Words(value) if table.kinds[name] == "token_seq" else value
            for name, value in zip(condition.columns, values, strict=True)
        )
        if condition(dict(zip(condition.columns, kinds, strict=True))):
            found.add(item)
    return found
