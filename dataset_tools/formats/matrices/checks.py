"""What a feature matrix has to be: two-dimensional, of real numbers, finite and not huge."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dataset_tools.errors import DataError

REPAIR = "repair these rows or leave them out with --skip-bad"
LARGEST = float(np.sqrt(np.finfo(np.float32).max))  # whose square is a float32


def check_matrix(path: Path, shape: tuple[int, ...], dtype: np.dtype) -> None:
    """Refuse what is not a matrix of real numbers."""
    if dtype.hasobject:
        raise DataError(f"{path} holds Python objects, which are never opened; save plain numbers instead.")
    if dtype.kind not in "fiub":
        raise DataError(f"{path} holds {dtype} values; features must be real numbers.")
    if len(shape) != 2:
        raise DataError(f"{path} has the shape {shape}; features must be a matrix [items, columns].")


def check_finite(tokens: Sequence[str], values: np.ndarray, what: str, remedy: str = REPAIR) -> None:
    """Refuse NaN, infinity and rows too long for float32 in `values` [r, d], naming the first items."""
    broken = ~np.isfinite(values).all(axis=1)
    if broken.all() and len(broken):
        remedy = "write the file again"
    if broken.any():
        raise DataError(f"NaN or infinity in {what} of {_items(tokens, broken)}: {remedy}.")
    huge = ~usable(values)
    if huge.any():
        cure = "divide all features by a constant"
        if not huge.all():
            cure = f"if these values stand for missing ones, {remedy}; else {cure}"
        raise DataError(
            f"Numbers too large for float32 to square (about {LARGEST:.1e}) in {what} of "
            f"{_items(tokens, huge)}: {cure}."
        )


def usable(values: np.ndarray) -> np.ndarray:
    """Whether float32 can hold the length of a row of `values` [r, d], which NaN and infinity have not."""
    with np.errstate(over="ignore", invalid="ignore"):
        rows = values.astype(np.float32, copy=False)
        return np.isfinite(np.einsum("ij,ij->i", rows, rows))


def finite_rows(tokens: Sequence[str], values: np.ndarray) -> tuple[list[str], np.ndarray]:
    """The rows of `values` [r, d] that `check_finite` would take, with their ids."""
    fine = usable(values)
    return [token for token, there in zip(tokens, fine, strict=True) if there], values[fine]


def _items(tokens: Sequence[str], rows: np.ndarray) -> str:
    first = ", ".join(str(tokens[int(row)]) for row in np.flatnonzero(rows)[:3])
    return f"{int(rows.sum()):,} item(s), first {first}"
