"""Amazon 2014 image features, `image_features_X.b`: records of a 10-byte ASIN and 4,096 float32."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

from dataset_tools.errors import DataError
from dataset_tools.feature_file import finite_rows
from dataset_tools.progress import byte_bar
from dataset_tools.provenance import source_record

WIDTH = 4096
RECORD = np.dtype([("asin", "S10"), ("values", "<f4", (WIDTH,))])
RECORDS_AT_ONCE = 128  # 2 MB: what was read is still in the processor's cache when it is hashed
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
        keys = {token.encode() for token in wanted if len(token.encode()) <= 10}
        seen: set[bytes] = set()
        for buffer in self._buffers():
            records = np.frombuffer(buffer, RECORD, len(buffer) // RECORD.itemsize)
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

    def _buffers(self) -> Iterator[memoryview]:
        """The file in portions, each valid until the next; a second thread hashes them."""
        buffers = [bytearray(RECORDS_AT_ONCE * RECORD.itemsize) for _ in range(BUFFERS)]
        hashed: list[Future] = []
        with (
            open(self.path, "rb", buffering=0) as file,
            byte_bar(self.path.name, self._size) as bar,
            ThreadPoolExecutor(1) as thread,
        ):
            for buffer in cycle(buffers):
                if len(hashed) == len(buffers):
                    hashed.pop(0).result()
                view = memoryview(buffer)[: _fill(file, buffer)]
                if not view:
                    return
                hashed.append(thread.submit(self._digest.update, view))
                bar.update(len(view))
                yield view


def _values(records: np.ndarray, rows: list[int]) -> np.ndarray:
    """The values [r, 4096] of some records, copied as bytes: floats at odd addresses are slow to copy."""
    features = records.view(np.uint8).reshape(len(records), RECORD.itemsize)[:, RECORD.fields["values"][1] :]
    whole = len(rows) == len(records)
    return (np.ascontiguousarray(features) if whole else features[rows]).view("<f4")


def _fill(file, buffer: bytearray) -> int:
    """Read until the buffer is full or the file ends; the number of bytes."""
    view, filled = memoryview(buffer), 0
    while filled < len(buffer) and (got := file.readinto(view[filled:])):
        filled += got
    return filled
