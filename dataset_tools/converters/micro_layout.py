"""The JSON layout of MICRO, LATTICE and MMSSL: `<core>/{train,val,test}.json`, id lists, feature matrices.

Items and users are numbers there; `item_list.txt` and `user_list.txt` (original id, tab, number) restore
their ids.  Feature matrices hold one row per item number.
"""

import json
from pathlib import Path

from dataset_tools.dataset.catalog import KNOWN
from dataset_tools.dataset.folder import DatasetFolder
from dataset_tools.dataset.interactions import PARTS, Builder, Interactions
from dataset_tools.errors import DataError
from dataset_tools.formats.arrays import NpyFile
from dataset_tools.formats.id_lists import original_ids
from dataset_tools.formats.matrix_checks import finite_rows
from dataset_tools.operations import cold
from dataset_tools.operations.filtering import deduplicate
from dataset_tools.progress import progress

COLD = "0-core"
REPEATED = "interactions repeat a pair of user and item, kept as in the source"
MODALITIES = {"image": "visual", "text": "textual", "audio": "acoustic", "acoustic": "acoustic"}


def convert(
    source: str | Path,
    name: str,
    data_path: str | Path = "dataset",
    *,
    core: str = "5-core",
    half: bool = False,
    force: bool = False,
) -> Path:
    """Write the data set `name` with its fixed split, every item and each `<modality>_feat.npy`; the folder.

    `core` is the folder of the split; `0-core`, the cold-start one, shares ids and features with `5-core`,
    and `<name>.cold.json` lists the items that it withholds from training.
    """
    source = Path(source)
    split = source / core if (source / core).is_dir() else source
    files = [_split_file(split, part) for part in PARTS]
    with DatasetFolder(data_path, name, force) as folder:
        parts = [_read_json(file) for file in files]
        lists = [_id_list(kind, split, source) for kind in ("item_list.txt", "user_list.txt")]
        items = original_ids(
            lists[0], 1 + max((i for p in parts for row in p.values() for i in row), default=-1)
        )
        users = original_ids(lists[1], 1 + max((user for p in parts for user in p), default=-1))
        interactions = _interactions(parts, users, items)
        folder.write_interactions(interactions)
        folder.note(REPEATED, deduplicate(interactions)[1])
        if core == COLD:
            cold.write(folder.path, name, cold.withheld(interactions))
        folder.write_items(items)
        folder.write_users(users)
        features = feature_files(split, source)
        for file in features:
            write_in_order(folder, NpyFile(file), items, modality_of(file), half)
        sources = [*files, *(path for path in lists if path), *features]
        folder.record("convert micro", {"core": core, "half": half}, sources, KNOWN.get(name))
    return folder.target


def _interactions(parts: list[dict[int, list[int]]], users: list[str], items: list[str]) -> Interactions:
    builder = Builder(part=True)
    for item in items:
        builder.add_item(item)
    for number, part in enumerate(parts):
        for user, row in part.items():
            for item in row:
                builder.add(users[user], items[item], part=number)
    return builder.build()


def feature_files(*folders: Path) -> list[Path]:
    """The `<modality>_feat.npy` of the first folder that has any."""
    for folder in folders:
        files = sorted(folder.glob("*_feat.npy"))
        if files:
            return files
    return []


def modality_of(file: Path) -> str:
    stem = file.stem.removesuffix("_feat")
    return MODALITIES.get(stem, stem)


def write_in_order(
    folder: DatasetFolder,
    matrix: NpyFile,
    items: list[str],
    modality: str,
    half: bool,
    skip_bad: bool = False,
) -> int:
    """A modality whose row i belongs to `items[i]`; the number of rows that `skip_bad` left out for NaN."""
    if matrix.rows != len(items):
        raise DataError(
            f"{matrix.path} has {matrix.rows:,} rows for {len(items):,} items; it needs one for each number."
        )
    start = 0
    with folder.features(modality, matrix.width, half) as writer:
        for block in progress(matrix.blocks(), modality):
            tokens = items[start : start + len(block)]
            start += len(block)
            writer.write(*(finite_rows(tokens, block) if skip_bad else (tokens, block)))
        return start - writer.rows


def _split_file(folder: Path, part: str) -> Path:
    names = ("val.json", "valid.json") if part == "valid" else (f"{part}.json",)
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise DataError(
        f"{folder} has no {names[0]}; --from must name the folder that holds the split or its parent."
    )


def _read_json(file: Path) -> dict[int, list[int]]:
    try:
        pairs = json.loads(file.read_text(encoding="utf-8"), object_pairs_hook=list)
        if not isinstance(pairs, list) or not all(isinstance(pair, tuple) for pair in pairs):
            raise ValueError(f"a {type(pairs).__name__} instead of an object")
        found = {_number(user): [_number(item) for item in items] for user, items in pairs}
    except (ValueError, TypeError, RecursionError) as error:
        raise DataError(f'{file} is not a JSON object of the form {{"user": [items]}} ({error}).') from None
    if len(found) < len(pairs):
        raise DataError(f"{file} has a user twice; every user may have one list of items.")
    return found


def _number(value: object) -> int:
    """A user's or item's number; ValueError for anything else, also for the likes of 1.5 or True."""
    if not isinstance(value, (int, str)) or isinstance(value, bool) or int(value) < 0:
        raise ValueError(f"{value!r} is not the number of a user or item")
    return int(value)


def _id_list(name: str, split: Path, source: Path) -> Path | None:
    """The id list beside the split; the cold-start split `0-core` uses that of its sibling `5-core`."""
    for folder in (split, source, *sorted(source.glob("*-core"))):
        if (folder / name).is_file():
            return folder / name
    return None
