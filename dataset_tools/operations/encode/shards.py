"""Encoded portions of a data set's items, kept on disk so that a stopped run goes on where it was."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from dataset_tools.features.encoded import SHARD
from dataset_tools.features.encoders.contract import Encoder
from dataset_tools.files import replacing, write_text
from dataset_tools.progress import progress


class Shards:
    """Encoded portions on disk, kept until all are there; those of other inputs are thrown away."""

    def __init__(self, folder: Path, options: dict, inputs: Sequence[str]):
        self._folder, self._inputs = folder, inputs
        key = json.dumps([options, list(inputs), [_stamp(path) for path in inputs]])
        self._key = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()

    def encoded(self, load: Callable[[], Encoder]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Every portion in order; the encoder is loaded only if one is missing."""
        key = self._folder / "key"
        if not key.is_file() or key.read_text(encoding="utf-8") != self._key:
            self.remove()
            self._folder.mkdir()
            write_text(key, self._key)
        encode = None
        starts = range(0, len(self._inputs), SHARD)
        for start in progress(starts, "encoding", len(starts), "shard"):
            path = self._folder / f"{start}.npz"
            if not path.is_file():
                encode = encode or load()
                values, ok = encode(self._inputs[start : start + SHARD])
                with replacing(path) as part, open(part, "wb") as file:
                    np.savez(file, values=values, ok=ok)
            with np.load(path, allow_pickle=False) as shard:
                yield shard["values"], shard["ok"]

    def remove(self) -> None:
        """Throw all portions away."""
        shutil.rmtree(self._folder, ignore_errors=True)


def _stamp(path: str) -> list[int]:
    """Size and time of a file, nothing for a text."""
    try:
        found = os.stat(path) if path else None
    except (OSError, ValueError):
        return []
    return [found.st_size, found.st_mtime_ns] if found else []
