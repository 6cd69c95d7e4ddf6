"""What the layouts share in which items are numbers: ids by number, matrices with one row per number."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dataset_tools.dataset import alignment
from dataset_tools.dataset.folder import DatasetFolder
from dataset_tools.dataset.interactions import Interactions
from dataset_tools.errors import DataError
from dataset_tools.features.feature_file import feature_path
from dataset_tools.formats.id_lists import original_ids
from dataset_tools.formats.matrices.archives import Torch
from dataset_tools.formats.matrices.arrays import NpyFile, read_header
from dataset_tools.formats.matrices.checks import finite_rows
from dataset_tools.progress import progress

REPEATED = "interactions repeat a pair of user and item, kept as in the source"
MODALITIES = {"image": "visual", "text": "textual", "audio": "acoustic", "acoustic": "acoustic"}
FEATURE = "_feat"
NO_FEATURES = [  # files beside the features, and why nobody needs them here
    (r"user_graph_dict.*\.npy", "the users most alike, at which no model here looks"),
    (r"item_graph_dict.*\.npy", "the items most alike; the models here make their own graphs"),
    (r"missing_items.*\.npy", "`convert dgmrec` takes away the features that it names"),
    (r".*_adj.*\.(npy|pt)", "a graph that a model kept; the models here make their own"),
]


class Numbering(NamedTuple):
    """The ids of all numbers, in their order; `place` finds a number's id, `in_order_of` says whose order.

    `in_order_of` is "" where numbers are missing, so that row n of a matrix is not the n-th id.
    """

    tokens: list[str]
    place: dict[int, int] | range
    in_order_of: str


def numbering(
    path: Path | None, used: Collection[int], rows: int | None = None, column: str = ""
) -> Numbering:
    """The ids by the list `path`; without one the numbers: `rows` of them, or those that occur."""
    most = max(used, default=-1) + 1
    if path is not None:
        tokens = original_ids(path, most, column)
        return Numbering(tokens, range(len(tokens)), f"the numbers in {path.name}")
    if rows is not None:
        return Numbering([str(number) for number in range(rows)], range(rows), "the item numbers")
    numbers = sorted(set(used))
    dense = len(numbers) == most
    return Numbering(
        [str(number) for number in numbers],
        {number: place for place, number in enumerate(numbers)},
        "the item numbers" if dense else "",
    )


def modality_of(file: Path) -> str:
    """The modality of `image_feat.npy` and the like, `textual_v2` of `text_feat_v2.npy`.

    It is the name itself where that is none of the usual ones.
    """
    start, feature, rest = file.stem.partition(FEATURE)
    return MODALITIES.get(start, start) + rest if feature else MODALITIES.get(file.stem, file.stem)


@dataclass
class Matrices:
    """The feature matrices among a layout's files, and a line on every file that is none."""

    found: list[NpyFile | Torch] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def files(self) -> list[Path]:
        return [matrix.path for matrix in self.found]

    @property
    def rows(self) -> int | None:
        """The number of rows, None without a matrix; DataError where two differ."""
        for matrix in self.found[1:]:
            first = self.found[0]
            if matrix.rows != first.rows:
                raise DataError(
                    f"{matrix.path} has {matrix.rows:,} rows, {first.path.name} has {first.rows:,}; "
                    "each needs one for every item number."
                )
        return self.found[0].rows if self.found else None


def matrices(files: Iterable[Path]) -> Matrices:
    """Open every `.npy` and `.pt` that is a matrix; one called a feature that is none raises DataError."""
    result = Matrices()
    paths = sorted(files)
    for path in paths:
        reason = _no_feature(path)
        if not reason and path.suffix == ".pt" and path.with_suffix(".npy") in paths:
            reason = f"{path.with_suffix('.npy').name} is read"
        if reason:
            result.remarks.append(f"{path.name} is not read: {reason}")
            continue
        try:
            result.found.append(NpyFile(path) if path.suffix == ".npy" else Torch(path, None))
        except DataError as error:
            if FEATURE in path.stem or path.suffix == ".npy":
                raise
            result.remarks.append(f"{path.name} is not read: {str(error).removeprefix(f'{path} ')}")
    return result


def _no_feature(path: Path) -> str:
    """Why a file is no feature matrix, by its name and header, "" where it may be one."""
    for pattern, reason in NO_FEATURES:
        if re.fullmatch(pattern, path.name):
            return reason
    if path.suffix != ".npy" or FEATURE in path.stem:
        return ""
    try:
        with open(path, "rb") as file:
            shape, _, dtype = read_header(file)
    except (ValueError, KeyError):
        return ""
    if dtype.hasobject:
        return "it holds Python objects, which are never opened, and so no feature matrix"
    return "" if len(shape) == 2 else f"it has the shape {shape}, and so is no feature matrix"


def remark_unread(
    folder: DatasetFolder, source: Path, read: Iterable[Path], remarked: Sequence[str] = ()
) -> None:
    """A line on what else lies in `source` and in its folders of files that were `read` or `remarked`."""
    top = source.resolve()
    known = {path.resolve() for path in read}
    folders = {top, *(parent for path in known for parent in path.parents if top in parent.parents)}
    others = []
    for place in sorted(folders):
        for path in sorted(place.iterdir()):
            told = path.name.startswith(".") or any(line.startswith(f"{path.name} ") for line in remarked)
            if path.resolve() not in known | folders and not told:
                others.append(path.relative_to(top).as_posix() + "/" * path.is_dir())
    if others:
        more = f" and {len(others) - 8:,} more" if len(others) > 8 else ""
        folder.remark(f"not read, as not needed: {', '.join(others[:8])}{more}")


def write_in_order(
    folder: DatasetFolder,
    matrix: NpyFile | Torch,
    items: list[str],
    modality: str,
    half: bool,
    skip_bad: bool = False,
    missing: Collection[int] = (),
) -> int:
    """A modality whose row i belongs to `items[i]`; the number of rows that `skip_bad` left out for NaN.

    The rows `missing` are left out as well, and not counted.
    """
    start, lacking = 0, 0
    absent = np.zeros(len(items), dtype=bool)
    absent[list(missing)] = True
    with folder.features(modality, matrix.width, half) as writer:
        for block in progress(_blocks(matrix), modality):
            tokens, here = items[start : start + len(block)], absent[start : start + len(block)]
            start += len(block)
            if here.any():
                lacking += int(here.sum())
                tokens, block = [tokens[row] for row in np.flatnonzero(~here)], block[~here]
            writer.write(*(finite_rows(tokens, block) if skip_bad else (tokens, block)))
        return start - lacking - writer.rows


def _blocks(matrix: NpyFile | Torch) -> Iterator[np.ndarray]:
    for block in matrix.blocks():
        yield block if isinstance(block, np.ndarray) else block[1]


def write_all(
    folder: DatasetFolder,
    found: Matrices,
    items: list[str],
    names: Sequence[str],
    half: bool,
    skip_bad: bool,
    interactions: Interactions,
    missing: Mapping[str, Collection[int]] | None = None,
) -> None:
    """Every matrix as the modality of the same place in `names`, each with a row for each of the items.

    `missing` tells which rows of a modality are to be left out.  A line warns of one whose neighbours are no
    more co-interacted than shuffled items: then its order is another one.
    """
    for place, name in enumerate(names):
        if name in names[:place]:
            both = ", ".join(
                path.name for path, other in zip(found.files, names, strict=True) if other == name
            )
            raise DataError(
                f"{found.files[place].parent} has two files of the modality {name}, {both}; move one away."
            )
    for matrix, name in zip(found.found, names, strict=True):
        absent = (missing or {}).get(name, ())
        left_out = write_in_order(folder, matrix, items, name, half, skip_bad, absent)
        folder.note(f"{name} rows with NaN or infinity left out", left_out)
        shares = alignment.misfit(feature_path(folder.path, folder.name, name), name, interactions)
        if shares:
            folder.remark(alignment.warning(name, shares))
    for remark in found.remarks:
        folder.remark(remark)


def check_rows(found: Matrices, count: int, gaps: bool) -> None:
    """Raise DataError where the matrices do not have `count` rows; `gaps`: the item numbers have some."""
    if found.found and found.rows != count:
        hint = (
            "; the numbers have gaps, as original ids have, but features need 0, 1, 2, ... or a list of ids"
            if gaps
            else "; it needs one for each number"
        )
        raise DataError(f"{found.files[0]} has {found.rows:,} rows for {count:,} items{hint}.")
