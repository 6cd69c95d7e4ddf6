"""MMGCN's Movielens, Tiktok and Kwai: `train.npy`, `val_full.npy`, `test_full.npy`, features.

https://github.com/weiyinwei/MMGCN; code under the GPL, data on request, a toy part lies there.  Movielens
55,485 users x 5,986 items x 1.24 M interactions, Tiktok 36,656 x 76,085 x 726 K, Kwai 22,611 x 329,510 x
1.66 M.  An item is its number plus the number of users, everywhere.  Validation, test and
`user_item_dict.npy` are NumPy files of Python objects, opened by a reader that knows arrays and plain
containers alone.  Tiktok's `feat_t.pt` has indices of words.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dataset_tools.converters.declaration import converter, option, recorded
from dataset_tools.converters.numbered_items import Matrices, numbering, remark_unread
from dataset_tools.converters.recipes import files
from dataset_tools.converters.recipes.numbered import pairs
from dataset_tools.converters.shared_options import FolderOptions
from dataset_tools.dataset.folder import DatasetFolder
from dataset_tools.errors import DataError
from dataset_tools.formats.matrices.archives import Torch, load_tensors
from dataset_tools.formats.matrices.arrays import NpyFile
from dataset_tools.formats.matrices.plain_objects import read_objects

COUNTS = {"movielens": (55_485, 5_986), "tiktok": (36_656, 76_085), "kwai": (22_611, 329_510)}  # users, items
PARTS = (("train",), ("val_full", "val"), ("test_full", "test"))
USER_ITEMS = "user_item_dict.npy"
MODALITIES = [
    (r"FeatureVideo.*|v_feat|feat_v", "visual"),
    (r"FeatureAudio.*|a_feat|feat_a", "acoustic"),
    (r"FeatureText.*|t_feat|feat_t", "textual"),
]


@dataclass(frozen=True, kw_only=True)
class MmgcnOptions(FolderOptions):
    users: int | None = option(
        None, "number of users, by which items are shifted (default: told by the files)", type=int
    )


@converter("MMGCN's layout: train.npy, val_full.npy, test_full.npy, features", MmgcnOptions)
def convert(folder: DatasetFolder, options: MmgcnOptions) -> None:
    """Write the split, items and users by their numbers, and every feature matrix."""
    source = files.check_folder(options.source)
    paths = [_part(source, names) for names in PARTS]
    with folder:
        parts = [_pairs(path) for path in paths]
        found = _matrices(source)
        both = np.concatenate(parts)
        rows = found.rows
        users = options.users or _users(source, both, rows)
        _check(source, both, users, rows)
        _compare_dictionary(source / USER_ITEMS, parts[0])
        items = numbering(None, frozenset((both[:, 1] - users).tolist()), rows)
        names = [str(_modality(path)) for path in found.files]
        pairs.write(folder, [part - [0, users] for part in parts], users, items, found, names, options)
        known = COUNTS.get(source.resolve().name.lower())
        if known:
            verdict = (
                "as published" if known == (users, len(items.tokens)) else "DIFFERENT from what is published"
            )
            folder.remark("{} of {}: {:,} users, {:,} items".format(verdict, source.resolve().name, *known))
        read = [*paths, *found.files, source / USER_ITEMS]
        remark_unread(folder, source, read, found.remarks)
        sources = [path for path in read if path.is_file()]
        folder.record("convert mmgcn", recorded(options), sources)


def _part(source: Path, names: tuple[str, ...]) -> Path:
    for name in names:
        if (source / f"{name}.npy").is_file():
            return source / f"{name}.npy"
    raise DataError(f"{source} has no {names[0]}.npy; --from names the folder of MMGCN's files.")


def _pairs(path: Path) -> np.ndarray:
    """(user, shifted item) [n, 2] of an array of pairs, or of one [user, item, item, ...] a row."""
    content = read_objects(path)
    if isinstance(content, np.ndarray) and content.dtype.kind in "iu" and content.shape[1:] == (2,):
        return content.astype(np.int64)
    if isinstance(content, dict):
        content = [[user, *items] for user, items in content.items()]
    try:
        pairs = np.array([pair for row in content for pair in _row(row)], dtype=np.int64).reshape(-1, 2)
    except (TypeError, ValueError, IndexError):
        raise DataError(
            f"{path} holds no pairs of user and item and no rows [user, item, item, ...] of whole numbers."
        ) from None
    return pairs


def _row(row: Any) -> Iterator[tuple[int, int]]:
    user, *items = np.asarray(row).tolist()
    for number in (user, *items):
        if type(number) is not int:
            raise ValueError(number)
    yield from ((user, item) for item in items)


def _users(source: Path, pairs: np.ndarray, rows: int | None) -> int:
    """The number of users: items begin there, and end where the features do."""
    if not len(pairs):
        raise DataError(f"{source} has no interactions.")
    least, most = int(pairs[:, 0].max()) + 1, int(pairs[:, 1].min())
    if rows is not None:
        least = max(least, int(pairs[:, 1].max()) + 1 - rows)
    if least == most:
        return least
    if least > most:
        raise DataError(
            f"{source}: the item {most} is none that is shifted by {least} users or more, as MMGCN's items "
            "are by the number of users; these are other files."
        )
    raise DataError(
        f"{source}: items are shifted by the number of users, which may be {least:,} to {most:,} here; "
        "say it with --users."
    )


def _check(source: Path, pairs: np.ndarray, users: int, rows: int | None) -> None:
    odd = (pairs[:, 0] < 0) | (pairs[:, 0] >= users) | (pairs[:, 1] < users)
    if rows is not None:
        odd |= pairs[:, 1] >= users + rows
    if odd.any():
        user, item = pairs[np.flatnonzero(odd)[0]]
        raise DataError(
            f"{source}: the pair {user}, {item} is none of {users:,} users and an item from {users:,}"
            f"{f' to {users + rows - 1:,}' if rows else ''}; check --users and the features."
        )


def _compare_dictionary(path: Path, train: np.ndarray) -> None:
    """Refuse a `user_item_dict.npy` that lacks a training pair: then the files are of two data sets."""
    if not path.is_file():
        return
    known = read_objects(path)
    if not isinstance(known, dict):
        raise DataError(f"{path} holds no dictionary of users and their items.")
    sets = {user: frozenset(np.asarray(list(items)).tolist()) for user, items in known.items()}
    for user, item in train.tolist():
        if item not in sets.get(user, ()):
            raise DataError(
                f"{path} lacks the training pair {user}, {item} of train.npy: the files are of two data sets."
            )


def _modality(path: Path) -> str | None:
    return next((name for pattern, name in MODALITIES if re.fullmatch(pattern, path.stem)), None)


def _matrices(source: Path) -> Matrices:
    result = Matrices()
    for path in sorted(source.iterdir()):
        if path.suffix not in (".npy", ".pt") or _modality(path) is None:
            continue
        if path.suffix == ".npy":
            result.found.append(NpyFile(path))
            continue
        content = load_tensors(path)
        if getattr(content, "ndim", 0) == 2 and len(content) == 2 and not content.is_floating_point():
            result.remarks.append(f"{path.name} is not read: it holds indices of items and words, no vectors")
        else:
            result.found.append(Torch(path, None, content))
    return result
