"""Arrays that take long to compute, kept in files beside the data set: neighbour graphs of features.

A file's name is a hash of all that its content depends on, so nothing in it is ever stale; it is `.npz`
without objects, written whole or not at all.  Of several processes that need the same arrays one computes
them.
"""

import hashlib
import os
import time
import zipfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from logging import getLogger
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dataset_tools.files import PARTIAL, held, replacing, sentence

FOLDER = ".graphs"  # in the data set's folder; what makes data sets leaves hidden names to others
LIMIT = 2 << 30  # bytes of all files together; those that were not read for longest go first
LEFTOVER = 3600  # seconds after which a file that is not whole is one of a killed process
logger = getLogger(__name__)
Arrays = dict[str, np.ndarray]


class ArrayCache:
    """The kept arrays of one data set, in `folder` of its own."""

    def __init__(self, folder: Path):
        self.folder = folder

    def get(
        self, what: str, content: Iterable[np.ndarray], options: Mapping[str, Any], make: Callable[[], Arrays]
    ) -> Arrays:
        """The arrays that `make()` returns, or has returned for the same `content` and `options`.

        `what` names them, for people.  Where nothing can be kept they are made all the same, and a line says
        so.
        """
        path = self.folder / f"{what}-{key_of(content, options)}.npz"
        found = read(path)
        if found is not None:
            logger.info(f"{path} is read in place of a new search; graph_cache=False searches anew.")
            return found
        try:
            self.folder.mkdir(exist_ok=True)
        except OSError as error:
            logger.warning(f"The {what} is not kept: {sentence(error)}")
            return make()
        with held(path.with_suffix(".lock"), path):
            found = read(path)  # somebody may have made it meanwhile
            if found is None:
                found = make()
                self.keep(path, found)
        return found

    def keep(self, path: Path, arrays: Arrays) -> None:
        """Write a file, and make room for it."""
        try:
            with replacing(path) as part, open(part, "wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]  # its second parameter is allow_pickle
            self.make_room(path)
        except OSError as error:
            logger.warning(f"The graph is not kept: {sentence(error)}")

    def make_room(self, newest: Path) -> None:
        """Remove what killed processes have left, and the files that were not read for longest."""
        for part, state in self.states(f".*{PARTIAL}").items():
            if time.time() - state.st_mtime > LEFTOVER:
                part.unlink(missing_ok=True)
        states = self.states("*.npz")
        left = LIMIT - states.pop(newest).st_size if newest in states else LIMIT
        for path in sorted(states, key=lambda path: -states[path].st_mtime):
            left -= states[path].st_size
            if left < 0:
                path.unlink(missing_ok=True)

    def states(self, pattern: str) -> dict[Path, os.stat_result]:
        """The files that are there and their states; another process may remove one at any time."""
        found = {}
        for path in self.folder.glob(pattern):
            with suppress(FileNotFoundError):
                found[path] = path.stat()
        return found


def key_of(content: Iterable[np.ndarray], options: Mapping[str, Any]) -> str:
    """A name for arrays and options, and for the arithmetic of this machine: its last digits differ."""
    machine = torch.__version__, torch.backends.cpu.get_cpu_capability()
    digest = hashlib.blake2b(repr((sorted(options.items()), machine)).encode(), digest_size=16)
    for array in content:
        array = np.ascontiguousarray(array)
        digest.update(repr((array.dtype.str, array.shape)).encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def read(path: Path) -> Arrays | None:
    """The arrays of a file; None where it is not there, or not as it was written."""
    try:
        with zipfile.ZipFile(path) as archive:
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
                return None  # none of ours, and it may be larger than it looks
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        if not all(isinstance(array, np.ndarray) for array in arrays.values()):
            return None  # members of an archive that are no arrays are bytes
        os.utime(path)
        return arrays
    except FileNotFoundError:
        return None
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        if isinstance(error, PermissionError):
            return None
        logger.warning(f"{path} cannot be read ({error}); it is made anew.")
        return None
