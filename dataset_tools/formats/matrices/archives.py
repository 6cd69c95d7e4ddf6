"""Feature matrices in archives, `.npz`, `.pt` and `.safetensors`, read block by block.

`lists` names the arrays beside the matrix that have one entry for each row, and `ids(name)` reads one.
"""

import math
import pickle
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dataset_tools.errors import DataError
from dataset_tools.formats.matrices.arrays import BLOCK_BYTES, only, read_header
from dataset_tools.formats.matrices.checks import check_matrix
from dataset_tools.formats.matrices.plain_objects import read_objects
from dataset_tools.formats.tables.cells import id_text

Block = tuple[None, np.ndarray]
IDS_FLAG = "--ids-key"
# what zipfile and zlib raise over a damaged archive, OSError where they seek to nowhere
DAMAGES: tuple[type[Exception], ...] = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, KeyError)
DAMAGES += (OSError, struct.error, NotImplementedError, RuntimeError)
UNLOADED: tuple[type[Exception], ...] = (
    *DAMAGES,
    pickle.UnpicklingError,
    IndexError,
    TypeError,
    AttributeError,
    MemoryError,
)


class Npz:
    """One array of a `.npz`, unpacked as it is read."""

    def __init__(self, path: Path, key: str | None):
        self.path = path
        try:
            with zipfile.ZipFile(path) as archive:
                headers = {}
                for member in archive.namelist():
                    with archive.open(member) as file:
                        headers[member.removesuffix(".npy")] = read_header(file)
                matrices = [name for name, header in headers.items() if len(header[0]) == 2]
                name = only(path, matrices if matrices and key is None else [*headers], key)
                shape, self._fortran, self._dtype = headers[name]
                self._member = name + ".npy"
                size = archive.getinfo(self._member).file_size
            if size < math.prod(shape) * self._dtype.itemsize:
                raise ValueError(f"{name} is shorter than its shape {shape}")
        except DAMAGES as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"{path} is damaged or no .npz archive ({error}); write it again.") from None
        check_matrix(path, shape, self._dtype)
        self.rows, self.width = shape
        self.lists = [name for name, (shape, _, _) in headers.items() if shape == (self.rows,)]
        self._objects = {name for name, (_, _, kind) in headers.items() if kind.hasobject}

    def ids(self, name: str) -> list[str]:
        """The ids in the one-dimensional array `name`."""
        chosen = only(self.path, self.lists, name, IDS_FLAG)
        try:
            if chosen in self._objects:  # texts as pandas hands them out
                with zipfile.ZipFile(self.path) as archive, archive.open(f"{chosen}.npy") as file:
                    return id_array(self.path, chosen, {chosen: read_objects(self.path, file)})
            with np.load(self.path, allow_pickle=False) as archive:
                return id_array(self.path, chosen, archive)
        except DAMAGES as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"{self.path} is damaged or no .npz archive ({error}); write it again.") from None

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
        except DAMAGES as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"{self.path} is damaged ({error}); write it again.") from None


class Torch:
    """One tensor of a `.pt`, opened with `weights_only` and mapped, not loaded, where the file allows it."""

    def __init__(self, path: Path, key: str | None, content: Any = None):
        """`content` is what `load_tensors` gave, where that was called before."""
        import torch

        self.path, content = path, load_tensors(path) if content is None else content
        beside: dict[str, Any] = {}
        if isinstance(content, dict):
            beside = {str(name): value for name, value in content.items()}
            tensors = [name for name, value in beside.items() if torch.is_tensor(value)]
            matrices = [name for name in tensors if beside[name].ndim == 2]
            content = beside[only(path, matrices if matrices and key is None else tensors, key)]
        if not torch.is_tensor(content):
            raise DataError(f"{path} holds a {type(content).__name__}; save a tensor [items, columns].")
        if content.layout != torch.strided or content.is_complex() or content.is_quantized:
            raise DataError(
                f"{path} holds a sparse, complex or quantized tensor; save a plain one of numbers."
            )
        check_matrix(path, tuple(content.shape), np.dtype(np.float32))
        self.rows, self.width = content.shape
        self._tensor, self._beside = content.detach(), beside
        self.lists = [name for name, value in beside.items() if _length(value) == self.rows]

    def ids(self, name: str) -> list[str]:
        """The ids in the list or one-dimensional tensor `name`."""
        return id_array(self.path, only(self.path, self.lists, name, IDS_FLAG), self._beside)

    def blocks(self) -> Iterator[Block]:
        for _, part in slices(self._tensor, self.rows, self.width):
            yield None, part.float().numpy()


def _length(value: Any) -> int:
    """Of a list or a one-dimensional tensor, -1 of anything else."""
    flat = isinstance(value, (list, tuple)) or getattr(value, "ndim", 0) == 1
    return len(value) if flat else -1


def load_tensors(path: Path) -> Any:
    """What a `.pt` holds, tensors and plain values only; DataError for anything that would have to be run."""
    import warnings

    import torch

    reason = ""
    for mapped in (True, False):  # files of old PyTorch versions cannot be mapped
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
        except UNLOADED as error:
            reason = "it asks for other objects" if "WeightsUnpickler" in str(error) else "it is damaged"
    raise DataError(f"{path} is not a whole file of tensors only, so it is not opened ({reason}).")


class Safetensors:
    """One tensor of a `.safetensors` file."""

    def __init__(self, path: Path, key: str | None):
        try:
            from safetensors import SafetensorError, safe_open
        except ImportError:
            raise _no_safetensors(path) from None
        self.path = path
        try:
            with safe_open(path, framework="numpy") as file:
                shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
                matrices = [name for name, shape in shapes.items() if len(shape) == 2]
                name = only(path, matrices if matrices and key is None else [*shapes], key)
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
        self.lists = [name for name, shape in shapes.items() if shape == (self.rows,)]

    def ids(self, name: str) -> list[str]:
        """The ids in the one-dimensional tensor `name`."""
        name = only(self.path, self.lists, name, IDS_FLAG)
        return id_array(self.path, name, {name: self._file.get_tensor(name)})

    def blocks(self) -> Iterator[Block]:
        for _, part in slices(self._slice, self.rows, self.width):
            yield None, part.float().numpy() if self._torch else part


def safetensor_vectors(path: Path) -> dict[str, Any]:
    """One vector for each id, where a `.safetensors` file holds nothing else; empty for another."""
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError:
        raise _no_safetensors(path) from None
    try:
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
            if not all(len(file.get_slice(name).get_shape()) == 1 for name in names):
                return {}
            return {name: file.get_tensor(name) for name in names}
    except (SafetensorError, TypeError):
        return {}


def _no_safetensors(path: Path) -> DataError:
    return DataError(f"{path} needs the package safetensors; run pip install safetensors.")


def id_array(path: Path, name: str, arrays: Mapping[str, Any]) -> list[str]:
    """The ids in an array of texts or whole numbers; DataError for anything else."""
    try:
        values = np.asarray(arrays[name])
    except ValueError:  # objects, or lists of unequal length
        values = np.empty(0, dtype=object)
    plain = values.dtype.kind in "iuUSf" or {*map(type, values.tolist())} <= {str, int}
    if not plain or not len(values):
        raise DataError(f"{path}: {name!r} holds no ids, which are texts or whole numbers.")
    try:
        return [id_text(value) for value in values.tolist()]
    except ValueError as error:
        raise DataError(f"{path}: {name!r} holds no ids ({error}).") from None


def slices(matrix: Any, rows: int, width: int) -> Iterator[tuple[None, Any]]:
    """Portions of anything that slices like a matrix."""
    step = max(1, BLOCK_BYTES // (4 * max(1, width)))
    for start in range(0, rows, step):
        yield None, matrix[start : min(start + step, rows)]
