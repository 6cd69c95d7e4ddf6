"""The files of an exported folder: their names, and how they are read.

manifest.json                       what was exported, from what, with which versions
users.json, items.json              ids in the order of the rows; titles and other columns of items
user_vectors.npy, item_vectors.npy  float32 [n_users, D] and [n_items, D]: a score is their dot product,
                                    and where the manifest has a `walk`, what `Walk` adds to it
own_starts.npy, own_items.npy       a user's training items, as below; only with a walk, as
walk_starts.npy, walk_items.npy,    what an item hands to others (`Walk`)
walk_values.npy
seen_starts.npy, seen_items.npy     user u has had the items seen_items[seen_starts[u] : seen_starts[u + 1]]
map.npy                             float32 [n_items, 2]: the item vectors' two principal components
neighbours/<by>.items.npy           int32 [n_items, k]: the nearest items, nearest first, -1 where there
neighbours/<by>.cosines.npy         are fewer; float32 [n_items, k]
reasons/                            what explanations are made of (`Reasons`)
images/                             pictures of items, named in items.json
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dataset_tools.errors import DataError

FORMATS = (1, 2)  # of the folder, that are read; 1 knew no walk
FORMAT = 2  # that is written
MANIFEST, USERS, ITEMS = "manifest.json", "users.json", "items.json"
USER_VECTORS, ITEM_VECTORS = "user_vectors.npy", "item_vectors.npy"
SEEN_STARTS, SEEN_ITEMS, MAP = "seen_starts.npy", "seen_items.npy", "map.npy"
OWN_STARTS, OWN_ITEMS = "own_starts.npy", "own_items.npy"
WALK_STARTS, WALK_ITEMS, WALK_VALUES = "walk_starts.npy", "walk_items.npy", "walk_values.npy"
NEIGHBOURS, REASONS, IMAGES = "neighbours", "reasons", "images"
PICTURES = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}


def read_json(path: Path) -> Any:
    """The content of a JSON file; DataError where it is absent or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise missing(path) from None
    except ValueError as error:
        raise DataError(f"{path} is damaged ({error}): export the model again.") from None


def read_array(path: Path, *shape: int | None) -> np.ndarray:
    """An array of this shape (None: any length), mapped and not read; DataError where it is another."""
    try:
        array = np.load(path, mmap_mode="r")
    except FileNotFoundError:
        raise missing(path) from None
    except (ValueError, EOFError, OSError) as error:
        raise DataError(f"{path} is damaged ({error}): export the model again.") from None
    fits = array.ndim == len(shape)
    fits = fits and all(wanted in (None, n) for wanted, n in zip(shape, array.shape, strict=True))
    if not fits:
        wanted = " x ".join("any" if n is None else str(n) for n in shape)
        raise DataError(f"{path} is {array.shape} where {wanted} was expected: export the model again.")
    return np.asarray(array)


def missing(path: Path) -> DataError:
    """The error about a file that an exported folder lacks."""
    return DataError(
        f"{path} is missing: give a folder that recbole-micro export --checkpoint=FILE --to=DIR wrote."
    )


def read_manifest(folder: Path) -> dict[str, Any]:
    """manifest.json; DataError where the folder is none of an export, or of another version's."""
    manifest = read_json(folder / MANIFEST)
    found = manifest.get("format") if isinstance(manifest, dict) else None
    if found not in FORMATS:
        read = " and ".join(map(str, FORMATS))
        raise DataError(f"{folder} has the format {found}, and this version reads {read}: export it again.")
    return manifest


def neighbour_files(by: str) -> tuple[str, str]:
    """The files of the neighbours by one kind of vectors: items and cosines."""
    name = f"{NEIGHBOURS}/{by.replace(':', '.')}"  # a modality has neither in its name
    return f"{name}.items.npy", f"{name}.cosines.npy"


class Rows(NamedTuple):
    """A sparse matrix: row r has `columns[starts[r] : starts[r + 1]]`, with the same slice of `values`."""

    starts: np.ndarray
    columns: np.ndarray
    values: np.ndarray

    def row(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Columns and values of a row."""
        part = slice(self.starts[number], self.starts[number + 1])
        return self.columns[part], self.values[part]
