"""Rows of features joined to items by id: the one place where a row finds the item that it belongs to."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataset_tools.errors import DataError
from dataset_tools.features.feature_file import FeatureFile, feature_column
from dataset_tools.features.feature_text import TextFeatureFile
from dataset_tools.formats.matrices.checks import check_finite

REMAKE = "repair these rows or leave them out (python -m dataset_tools features --skip-bad)"


class ItemIndex:
    """Items by id, each known by its position."""

    def __init__(self, items: Sequence[str]):
        self.items = pa.array(list(items), pa.string())

    def __len__(self) -> int:
        return len(self.items)

    def match(self, tokens: pa.Array | Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """(places in `tokens` of ids that an item has, positions of these items), [n] each."""
        if not isinstance(tokens, pa.Array):
            tokens = pa.array(tokens, pa.string())
        position = pc.index_in(tokens, value_set=self.items)
        places = np.flatnonzero(position.is_valid().to_numpy(zero_copy_only=False))
        return places, position.drop_null().to_numpy()


class Joined(NamedTuple):
    """The features of items in the items' order.

    `values` float32 [padding + n_items, width], zeros where an item has no row; `mask` bool, whether it has
    one; `rows`: rows of the file, those of other items included; `first`: its first ids, for messages.
    """

    values: np.ndarray
    mask: np.ndarray
    rows: int
    first: list[str]


def join(file: FeatureFile | TextFeatureFile, items: ItemIndex, padding: int = 0) -> Joined:
    """The rows of a feature file that belong to `items`, behind `padding` rows of zeros.

    Other rows are left out and counted.  Raises DataError for an item with two rows, NaN, infinity or
    huge values.
    """
    values = np.zeros((padding + len(items), file.width), dtype=np.float32)
    mask = np.zeros(len(values), dtype=bool)
    column, rows = f"column {feature_column(file.modality)!r}", 0
    first: list[str] = []
    for tokens, block in file.blocks():
        rows += len(tokens)
        first = first or tokens[:3].to_pylist()
        places, positions = items.match(tokens)
        positions = positions + padding
        if len(places) < len(tokens):
            tokens, block = tokens.take(pa.array(places)), block[places]
        again = repeated(positions, mask)
        if len(again):
            twice = ", ".join(tokens[int(place)].as_py() for place in again[:3])
            raise DataError(
                f"{file.path}, {column}: item id(s) {twice} have more than one row; keep one row per item."
            )
        check_finite(tokens, block, f"{column} of {file.path}, row(s)", REMAKE)
        values[positions] = block
        mask[positions] = True
    return Joined(values, mask, rows, first)


def repeated(positions: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Places in `positions` [n] of items that were seen, bool [n_items], or come a second time."""
    again = seen[positions]
    _, first = np.unique(positions, return_index=True)
    if len(first) < len(positions):
        again[np.setdiff1d(np.arange(len(positions)), first)] = True
    return np.flatnonzero(again)
