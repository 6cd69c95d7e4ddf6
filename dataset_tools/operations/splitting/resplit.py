"""`split`: another split of a data set that is there."""

import os
import shutil
from collections.abc import Collection
from pathlib import Path

from dataset_tools.dataset import provenance, summary
from dataset_tools.dataset.folder import DatasetFolder
from dataset_tools.dataset.interactions import PARTS
from dataset_tools.dataset.reading import Dataset
from dataset_tools.errors import DataError
from dataset_tools.files import PARTIAL
from dataset_tools.formats.atomic import read_header
from dataset_tools.operations.splitting import cold, splits

COLUMNS = ("user_id", "item_id", "rating", "timestamp")
HOW = ("paper", "ratio", "time", "cold", "none")


def split_dataset(
    dataset: Dataset,
    how: str,
    *,
    ratios: tuple[float, float, float] = (0.8, 0.1, 0.1),
    cold_share: float = splits.WITHHELD,
    keep_warm: bool = False,
    seed: int = 0,
    name: str | None = None,
    force: bool = False,
) -> Path:
    """Split all interactions anew, into the data set `name` or in place; returns the folder.

    `how`: paper (80/10/10 per user, 1 + 1 of fewer than 10), ratio (shares per user at random, rounded as
    RecBole does), time (the same, the latest in the test set), cold (a share of the items withheld;
    `keep_warm` leaves all other interactions in training), none (RecBole splits).
    """
    if how not in HOW:
        raise DataError(f"There is no split {how!r}; choose {', '.join(HOW)}.")
    target = name or dataset.name
    if name is None and dataset.interactions.part is not None and not force:
        raise DataError(f"{dataset.name} has a fixed split; replace it with --force or choose a --to-name.")
    in_place = target == dataset.name
    if in_place and not force:
        refuse_columns(dataset)
    found, record = dataset.interactions, None
    if how in ("ratio", "time"):
        found = splits.by_ratio(found, ratios, seed, by_time=how == "time")
    elif how == "cold":
        found, record = cold.split(found, seed, cold_share, keep_warm)
    else:
        found = splits.apply(found, how, seed)
    replace = force or name is None
    with DatasetFolder(dataset.folder.parent, target, replace, foreign=in_place) as folder:
        parts = {f"{dataset.name}.{part}.inter" for part in PARTS}
        left_out = {*parts, f"{dataset.name}.inter", f"{dataset.name}.cold.json"}
        take_along(dataset, folder, left_out, everything=in_place)
        folder.write_interactions(found)
        if record:
            cold.write(folder.path, target, record)
        options = {"how": how, "ratios": list(ratios), "cold_share": cold_share, "seed": seed}
        options |= {"keep_warm": keep_warm}
        counts = summary.of_dataset(dataset)
        provenance.record_step(folder.path, target, f"split {dataset.name}", options, [], counts)
    return folder.target


def refuse_columns(dataset: Dataset) -> None:
    """Raise DataError where the interactions have columns that a split does not carry over."""
    others = [name for name, _ in read_header(dataset.inter_files[0]) if name not in COLUMNS]
    if others:
        raise DataError(
            f"{dataset.inter_files[0]} has the column(s) {', '.join(others)}, which a split leaves out: "
            "choose a --to-name, or lose them with --force."
        )


def take_along(
    dataset: Dataset, folder: DatasetFolder, left_out: Collection[str], everything: bool = False
) -> None:
    """The data set's files but those `left_out`, or all that its folder has: linked, or copied elsewhere."""
    for path in dataset.folder.iterdir():
        if path.suffix in (PARTIAL, ".lock"):  # what a killed run left behind
            continue
        mine = path.is_file() and path.name.startswith(f"{dataset.name}.")
        if mine and path.name not in left_out:
            _link(path, folder.path / (folder.name + path.name[len(dataset.name) :]))
        elif not mine and everything and path.is_dir():
            shutil.copytree(path, folder.path / path.name, symlinks=True, copy_function=_link)
        elif not mine and everything:
            _link(path, folder.path / path.name)


def _link(path: str | Path, target: str | Path) -> None:
    try:
        os.link(path, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(path, target, follow_symlinks=False)
