"""Feature matrices in archives, `.npz`, `.pt` and `.safetensors`: rows without ids, read block by block."""

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dataset_tools.errors import DataError
from dataset_tools.formats.arrays import BLOCK_BYTES, only, read_header
from dataset_tools.formats.matrix_checks import check_matrix

Block = tuple[None, np.ndarray]


class Npz:
    """One array of a `.npz`, unpacked as it is read."""

    def __init__(self, path: Path, key: str | None):
        self.path = path
        try:
            with zipfile.ZipFile(path) as archive:
                names = [name.removesuffix(".npy") for name in archive.namelist()]
                self._member = only(path, names, key) + ".npy"
                with archive.open(self._member) as file:
                    shape, self._fortran, self._dtype = read_header(file)
        except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, KeyError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"{path} is damaged or no .npz archive ({error}); write it again.") from None
        check_matrix(path, shape, self._dtype)
        self.rows, self.width = shape

    def blocks(self) -> Iterator[Block]:
        size = self._dtype.itemsize * self.width
        try:
            if self._fortran:  # stored by columns: only the whole has rows
                with np.load(self.path, allow_pickle=False) as archive:
                    yield from slices(archive[self._member.removesuffix(".npy")], self.rows, self.width)
                return
            with zipfile.ZipFile(self.path) as archive, archive.open(self._member) as file:
                read_header(file)
                step = max(1, BLOCK_BYTES // size)
                for start in range(0, self.rows, step):
                    rows = min(step, self.rows - start)
                    content = file.read(rows * size)
                    yield None, np.frombuffer(content, self._dtype).reshape(rows, self.width)
        except (zipfile.BadZipFile, zlib.error, EOFError, ValueError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"{self.path} is damaged ({error}); write it again.") from None


class Torch:
    """One tensor of a `.pt`, opened with `weights_only` and mapped, not loaded, where the file allows it."""

    def __init__(self, path: Path, key: str | None):
        import torch

        self.path, content = path, _load_tensors(torch, path)
        if isinstance(content, dict):
            tensors = {str(name): value for name, value in content.items() if torch.is_tensor(value)}
            content = tensors[only(path, list(tensors), key)]
        if not torch.is_tensor(content):
            raise DataError(f"{path} holds a {type(content).__name__}; save a tensor [items, columns].")
        if content.layout != torch.strided or content.is_complex() or content.is_quantized:
            raise DataError(
                f"{path} holds a sparse, complex or quantized tensor; save a plain one of numbers."
            )
        check_matrix(path, tuple(content.shape), np.dtype(np.float32))
        self.rows, self.width = content.shape
        self._tensor = content.detach()

    def blocks(self) -> Iterator[Block]:
        for _, part in slices(self._tensor, self.rows, self.width):
            yield None, part.float().numpy()


def _load_tensors(torch: Any, path: Path) -> Any:
    import pickle
    import warnings

    reason = ""
    for mapped in (True, False):  # files of old PyTorch versions cannot be mapped
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
        except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, ValueError, IndexError) as error:
            reason = "it asks for other objects" if "WeightsUnpickler" in str(error) else "it is damaged"
    raise DataError(f"{path} is not a whole file of tensors only, so it is not opened ({reason}).")


class Safetensors:
    """One tensor of a `.safetensors` file."""

    def __init__(self, path: Path, key: str | None):
        try:
            from safetensors import SafetensorError, safe_open
        except ImportError:
            raise DataError(f"{path} needs the package safetensors; run pip install safetensors.") from None
        self.path = path
        try:
            with safe_open(path, framework="numpy") as file:
                name = only(path, list(file.keys()), key)
                kind = file.get_slice(name).get_dtype()
            # NumPy has no bfloat16
            self._torch = kind == "BF16"
            self._file = safe_open(path, framework="pt" if self._torch else "numpy")
            self._slice = self._file.get_slice(name)
            shape = tuple(self._slice.get_shape())
            dtype = np.dtype(np.float32)
            if len(shape) == 2 and shape[0] and not self._torch:
                dtype = self._slice[:1].dtype
        except (SafetensorError, TypeError) as error:
            raise DataError(f"{path} is damaged or holds no plain numbers ({error}).") from None
        check_matrix(path, shape, dtype)
        self.rows, self.width = shape

    def blocks(self) -> Iterator[Block]:
        for _, part in slices(self._slice, self.rows, self.width):
            yield None, part.float().numpy() if self._torch else part


def slices(matrix: Any, rows: int, width: int) -> Iterator[tuple[None, Any]]:
    """Portions of anything that slices like a matrix."""
    step = max(1, BLOCK_BYTES // (4 * max(1, width)))
    for start in range(0, rows, step):
        yield None, matrix[start : min(start + step, rows)]
