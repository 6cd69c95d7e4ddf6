"""Feature matrices in HDF5, read block by block: one matrix among its arrays, or one vector for each id."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dataset_tools.errors import DataError
from dataset_tools.formats.matrices.archives import IDS_FLAG, Block, id_array, slices
from dataset_tools.formats.matrices.arrays import only
from dataset_tools.formats.matrices.checks import check_matrix


class Hdf5:
    """One array of an HDF5 file, named by its path in it."""

    def __init__(self, path: Path, key: str | None):
        self.path, self._arrays = path, _arrays(path)
        matrices = [name for name, array in self._arrays.items() if array.ndim == 2]
        name = only(path, matrices if matrices and key is None else [*self._arrays], key)
        self._matrix = self._arrays[name]
        check_matrix(path, self._matrix.shape, self._matrix.dtype)
        self.rows, self.width = self._matrix.shape
        self.lists = [name for name, array in self._arrays.items() if array.shape == (self.rows,)]

    def ids(self, name: str) -> list[str]:
        """The ids in the one-dimensional array `name`."""
        name = only(self.path, self.lists, name, IDS_FLAG)
        values = self._arrays[name]
        found = values.asstr()[:].tolist() if values.dtype.kind in "OS" else values[:]
        return id_array(self.path, name, {name: found})

    def blocks(self) -> Iterator[Block]:
        try:
            yield from slices(self._matrix, self.rows, self.width)
        except OSError as error:
            raise _damaged(self.path, error) from None


def hdf5_vectors(path: Path) -> Mapping[str, Any]:
    """One vector for each id, where the file holds nothing else; empty for another."""
    arrays = _arrays(path)
    if not all(array.ndim == 1 and array.dtype.kind in "fiu" for array in arrays.values()):
        return {}
    names = {name.rsplit("/", 1)[-1]: array for name, array in arrays.items()}
    lengths = {len(array) for array in names.values()}
    few = len(names) == len(arrays) and len(lengths) == 1
    return {name: array[:] for name, array in names.items()} if few else {}


def _arrays(path: Path) -> dict[str, Any]:
    try:
        import h5py
    except ImportError:
        raise DataError(f"{path} needs the package h5py; run pip install 'recbole_micro[hdf5]'.") from None
    found: dict[str, Any] = {}

    def look(name: str, one: Any) -> None:
        if isinstance(one, h5py.Dataset):
            found[name] = one

    try:
        h5py.File(path, "r").visititems(look)
    except (OSError, RuntimeError, KeyError) as error:
        raise _damaged(path, error) from None
    if not found:
        raise DataError(f"{path} has no arrays.")
    return found


def _damaged(path: Path, error: Exception) -> DataError:
    reason = " ".join(str(error).split())[:100]
    return DataError(f"{path} is damaged or no HDF5 file ({reason}); download it again.")
