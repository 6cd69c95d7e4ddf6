"""Files of Python objects, of which arrays, SciPy's matrices and plain containers are known and nothing else.

Some layouts publish dictionaries and lists of unequal length only so, as `.npy` of objects or `.pkl`.  No
function that such a file names is called: where it asks for an array, it gets a record of ours that keeps
what is said of it, and NumPy makes the array from plain bytes afterwards.  Any other name is refused.
"""

import io
import pickle
import re
from collections import OrderedDict
from contextlib import nullcontext
from pathlib import Path
from typing import IO, Any

import numpy as np
from scipy import sparse

from dataset_tools.errors import DataError
from dataset_tools.formats.matrices.arrays import read_header

DAMAGES = (ValueError, EOFError, KeyError, IndexError, TypeError, AttributeError, OverflowError, MemoryError)
_CODE = re.compile(r"[biufSUO]\d*")


class _Type:
    """An array's type, as far as it is one of numbers, texts or objects."""

    def __init__(self, code: str, *_: Any):
        if not isinstance(code, str) or not _CODE.fullmatch(code):
            raise pickle.UnpicklingError(f"an array of the type {str(code)[:20]!r}")
        self.code, self.order = code, "="

    def __setstate__(self, state: tuple) -> None:
        self.order = state[1] if state[1] in ("<", ">") else "="

    def __call__(self) -> np.dtype:
        return np.dtype(self.order + self.code)


class _Array:
    """An array: its type, its shape, and its bytes or, of objects, their list."""

    def __init__(self, *_: Any) -> None:
        self.type, self.shape, self.order, self.raw = _Type("f8"), (0,), "C", b""

    def __setstate__(self, state: tuple) -> None:
        _, self.shape, self.type, by_columns, self.raw = state
        self.order = "F" if by_columns else "C"

    def __call__(self) -> np.ndarray:
        if self.type.code.startswith("O"):
            if not isinstance(self.raw, list):
                raise pickle.UnpicklingError("an array of objects without their list")
            values = np.empty(len(self.raw), dtype=object)
            for place, one in enumerate(self.raw):
                values[place] = _plain(one)
        else:
            values = np.frombuffer(self.raw, self.type())
        return values.reshape(self.shape, order=self.order)  # type: ignore[call-overload]


class _Sparse:
    """A sparse matrix: its shape, its values and where they stand."""

    kind = "coo"

    def __setstate__(self, state: dict) -> None:
        self.state = state

    def __call__(self) -> Any:
        state = _plain(self.state)
        if self.kind == "coo":
            places = state.get("coords") or (state["row"], state["col"])
            return sparse.coo_matrix((state["data"], tuple(places)), shape=state["_shape"])
        make = {"csr": sparse.csr_matrix, "csc": sparse.csc_matrix}[self.kind]
        found = make((state["data"], state["indices"], state["indptr"]), shape=state["_shape"])
        found.check_format(full_check=True)
        return found


class _Csr(_Sparse):
    kind = "csr"


class _Csc(_Sparse):
    kind = "csc"


def _from_buffer(raw: bytes, kind: _Type, shape: tuple, order: str) -> _Array:
    found = _Array()
    found.__setstate__((1, shape, kind, order == "F", bytes(raw)))
    return found


def _scalar(kind: _Type, raw: bytes) -> Any:
    return np.frombuffer(raw, kind())[0].item()


def _encode(text: str, codec: str) -> bytes:
    """Bytes as pickles of old wrote them."""
    if codec != "latin1":
        raise pickle.UnpicklingError(f"the codec {codec!r}")
    return text.encode(codec)


def _default(*_: Any) -> dict:
    return {}


_NDARRAY = object()  # an argument of what makes arrays, never a value
KNOWN: dict[tuple[str, str], object] = {
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _Type,
    ("_codecs", "encode"): _encode,
    ("collections", "OrderedDict"): OrderedDict,
    ("collections", "defaultdict"): _default,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _Array for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _scalar for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _from_buffer for core in ("core", "_core")},
    **{
        (f"scipy.sparse.{place}{record.kind}", f"{record.kind}_{what}"): record
        for record in (_Sparse, _Csr, _Csc)
        for place in ("", "_")
        for what in ("matrix", "array")
    },
    **{(module, "set"): set for module in ("builtins", "__builtin__")},
    **{(module, "frozenset"): frozenset for module in ("builtins", "__builtin__")},
    **{(module, "list"): list for module in ("builtins", "__builtin__")},
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in KNOWN:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return KNOWN[module, name]


def read_objects(path: Path, inside: IO[bytes] | None = None) -> Any:
    """The one object in a `.npy` of objects or a `.pkl`, or the array in it; DataError for any other.

    `inside` is such a file where `path` is an archive that has it.
    """
    try:
        with nullcontext(inside) if inside else open(path, "rb") as file:
            if file.read(6) == b"\x93NUMPY":
                file.seek(0)
                if not read_header(file)[2].hasobject:
                    file.seek(0)
                    return np.load(file, allow_pickle=False)
            else:
                file.seek(0)
            found = _plain(_Reader(io.BytesIO(file.read())).load())
    except pickle.UnpicklingError as error:
        raise DataError(
            f"{path} holds more than arrays, numbers, texts and plain containers ({error}): it is not opened."
        ) from None
    except (*DAMAGES, RecursionError) as error:
        raise DataError(f"{path} is damaged or no file of objects ({error}); download it again.") from None
    return found.item() if isinstance(found, np.ndarray) and found.shape == () else found


def _plain(found: Any) -> Any:
    """The same with arrays in the place of their records."""
    if isinstance(found, (_Array, _Sparse)):
        return found()
    if isinstance(found, dict):
        return {key: _plain(value) for key, value in found.items()}
    if isinstance(found, (list, tuple)):
        return type(found)(map(_plain, found))
    if found is _NDARRAY or callable(found):
        raise pickle.UnpicklingError("a type in the place of a value")
    return found
