"""Amazon 2014 image features, `image_features_X.b`: records of a 10-byte ASIN and 4,096 float32."""

import hashlib
import mmap
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np

from dataset_tools.errors import DataError
from dataset_tools.formats.hashing import source_record
from dataset_tools.formats.matrices.checks import finite_rows
from dataset_tools.progress import byte_bar

WIDTH = 4096
ID_BYTES = 10
RECORD = np.dtype([("asin", f"S{ID_BYTES}"), ("values", "<f4", (WIDTH,))])
PORTION = 4 << 20  # bytes read at once: whole pages, as reading past the page cache wants them
MARGIN = 5 * mmap.PAGESIZE  # room before a portion for the begin of the record that the portion ends
BUFFERS = 4


class ImageFile:
    """Streams the records of wanted items; hashes the file on the way."""

    def __init__(self, path: str | Path, skip_bad: bool = False):
        self.path, self.skipped, self.repeated = Path(path), 0, 0
        self._skip_bad = skip_bad
        if not self.path.is_file():
            raise DataError(f"There is no file {self.path}.")
        self._size = self.path.stat().st_size
        if self._size == 0:
            raise DataError(f"{self.path} is empty.")
        whole, rest = divmod(self._size, RECORD.itemsize)
        if rest and not skip_bad:
            raise DataError(
                f"{self.path} is cut off in record {whole + 1} ({rest} of {RECORD.itemsize} bytes); "
                "download it again, or use what is whole with --skip-bad."
            )
        self.skipped = int(rest > 0)
        self._digest = hashlib.sha256()

    @property
    def record(self) -> dict[str, Any]:
        """The file's entry for the provenance, once it has been read to its end."""
        return source_record(self.path, self._digest.hexdigest())

    def blocks(self, wanted: frozenset[str]) -> Iterator[tuple[list[str], np.ndarray]]:
        """(ids, values [r, 4096]) of the wanted items, each item once, in the file's order."""
        keys = {token.encode() for token in wanted if len(token.encode()) <= ID_BYTES}
        seen: set[bytes] = set()
        for buffer in self._whole_records():
            records = np.frombuffer(buffer, RECORD)
            rows = []
            for row, asin in enumerate(records["asin"].tolist()):
                if asin in seen:
                    self.repeated += 1
                elif asin in keys:
                    seen.add(asin)
                    rows.append(row)
            if rows:
                tokens = [asin.decode() for asin in records["asin"][rows].tolist()]
                values = _values(records, rows)
                if self._skip_bad:
                    tokens, values = finite_rows(tokens, values)
                    self.skipped += len(rows) - len(tokens)
                yield tokens, values

    def _whole_records(self) -> Iterator[memoryview]:
        """The file in portions of whole records, each valid until the next.

        One thread reads ahead, one hashes; what a portion begins but does not end goes before the next one.
        """
        left, begun = self._size, b""

        def read(into: memoryview, hashed: Future | None) -> int:
            nonlocal left
            if hashed is not None:
                hashed.result()
            found = file.readinto(into) if left else 0
            left -= found
            return found

        with (
            _open(self.path) as file,
            byte_bar(self.path.name, self._size) as bar,
            ThreadPoolExecutor(1) as reader,
            ThreadPoolExecutor(1) as hasher,
        ):
            buffers = [memoryview(mmap.mmap(-1, MARGIN + PORTION)) for _ in range(BUFFERS)]
            reading = deque((view, reader.submit(read, view[MARGIN:], None)) for view in buffers)
            while reading:
                view, found = reading.popleft()
                if not (size := found.result()):
                    break
                hashed = hasher.submit(self._digest.update, view[MARGIN : MARGIN + size])
                start = MARGIN - len(begun)
                view[start:MARGIN] = begun
                end = MARGIN + size - (len(begun) + size) % RECORD.itemsize
                begun = bytes(view[end : MARGIN + size])
                bar.update(size)
                yield view[start:end]
                reading.append((view, reader.submit(read, view[MARGIN:], hashed)))
        if left:
            raise DataError(f"{self.path} became shorter while it was read.")


def _open(path: Path) -> FileIO:
    """The file, read past the page cache where system and disk allow it: caching gigabytes takes longer."""
    direct = getattr(os, "O_DIRECT", 0)
    try:
        with open(os.open(path, os.O_RDONLY | direct), "rb", buffering=0) as file:
            file.readinto(mmap.mmap(-1, mmap.PAGESIZE))
    except OSError:
        direct = 0
    return open(os.open(path, os.O_RDONLY | direct), "rb", buffering=0)


def _values(records: np.ndarray, rows: list[int]) -> np.ndarray:
    """The values [r, 4096] of some records, copied as bytes: floats at odd addresses are slow to copy."""
    features = records.view(np.uint8).reshape(len(records), RECORD.itemsize)[:, ID_BYTES:]
    whole = len(rows) == len(records)
    return (np.ascontiguousarray(features) if whole else features[rows]).view("<f4")
