"""What a feature matrix has to be: two-dimensional, of real numbers, without NaN and infinity."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dataset_tools.errors import DataError


def check_matrix(path: Path, shape: tuple[int, ...], dtype: np.dtype) -> None:
    """Refuse what is not a matrix of real numbers."""
    if dtype.hasobject:
        raise DataError(f"{path} holds Python objects, which are never opened; save plain numbers instead.")
    if dtype.kind not in "fiub":
        raise DataError(f"{path} holds {dtype} values; features must be real numbers.")
    if len(shape) != 2:
        raise DataError(f"{path} has the shape {shape}; features must be a matrix [items, columns].")


def check_finite(tokens: Sequence[str], values: np.ndarray, what: str) -> None:
    """Refuse NaN and infinity in `values` [r, d], naming the first items that hold them."""
    finite = np.isfinite(values)
    if not finite.all():
        rows = np.flatnonzero(~finite.all(axis=1))
        first = ", ".join(str(tokens[int(row)]) for row in rows[:3])
        raise DataError(
            f"NaN or infinity in {what} of {len(rows)} item(s), first {first}: "
            "repair these rows or leave them out (--skip-bad where the command has it)."
        )


def finite_rows(tokens: Sequence[str], values: np.ndarray) -> tuple[list[str], np.ndarray]:
    """The rows of `values` [r, d] without NaN and infinity as float32, with their ids."""
    with np.errstate(over="ignore"):
        finite = np.logical_and.reduce(np.isfinite(values.astype(np.float32, copy=False)), axis=1)
    return [token for token, there in zip(tokens, finite, strict=True) if there], values[finite]
