"""Feature matrices in NumPy files, read block by block so that a file of any size takes little memory."""

import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from dataset_tools.errors import DataError
from dataset_tools.formats.matrices.checks import check_matrix

BLOCK_BYTES = 8 << 20
MOST_NAMES = 8  # in a message


class NpyFile:
    """A two-dimensional `.npy` of real numbers: `rows`, `width`, and `blocks()` of float rows."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        try:
            with open(self.path, "rb") as file:
                shape, self._fortran, self._dtype = read_header(file)
                self._offset = file.tell()
        except (ValueError, KeyError) as error:
            raise DataError(f"{self.path} is not a NumPy file ({error}).") from None
        check_matrix(self.path, shape, self._dtype)
        self.rows, self.width = shape
        expected = self._offset + self.rows * self.width * self._dtype.itemsize
        if self.path.stat().st_size < expected:
            raise DataError(f"{self.path} is cut off: it has {self.path.stat().st_size} of {expected} bytes.")

    def blocks(self) -> Iterator[np.ndarray]:
        """Rows [r, width] in order; float64 and whole numbers stay as they are until they are written."""
        step = max(1, BLOCK_BYTES // (self.width * self._dtype.itemsize))
        if self._fortran:
            matrix = np.load(self.path, mmap_mode="r", allow_pickle=False)
            for start in range(0, self.rows, step):
                yield np.ascontiguousarray(matrix[start : start + step])
            return
        with open(self.path, "rb") as file:
            file.seek(self._offset)
            for start in range(0, self.rows, step):
                rows = min(step, self.rows - start)
                block = np.fromfile(file, dtype=self._dtype, count=rows * self.width)
                yield block.reshape(rows, self.width)


def read_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """(shape, whether by columns, type) of an open `.npy`; ValueError or KeyError where it is none."""
    version = np.lib.format.read_magic(file)
    headers = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}
    try:
        shape, fortran, dtype = headers[version[0]](file)
    except (tokenize.TokenError, SyntaxError, TypeError, OverflowError, MemoryError, RecursionError) as error:
        raise ValueError(f"its header makes no sense: {str(error)[:60]}") from None
    if any(size < 0 for size in shape):
        raise ValueError(f"its header has the shape {shape}")
    return shape, fortran, dtype


def only(path: Path, names: list[str], key: str | None, flag: str = "--key") -> str:
    """The name `key`, or without one the only name there is; `flag` is the option that chooses."""
    if key is None and len(names) == 1:
        return names[0]
    if key in names:
        return key
    if not names:
        raise DataError(f"{path} has nothing that fits; name another file.")
    more = f" and {len(names) - MOST_NAMES:,} more" if len(names) > MOST_NAMES else ""
    raise DataError(f"{path} has {', '.join(names[:MOST_NAMES])}{more}; choose one with {flag}.")
