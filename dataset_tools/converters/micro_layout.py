"""The JSON layout of MICRO, LATTICE and MMSSL: `<core>/{train,val,test}.json`, id lists, feature matrices.

Items and users are numbers there; `item_list.txt` and `user_list.txt` (original id, tab, number) restore
their ids.  Feature matrices hold one row per item number.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataset_tools.converters.declaration import converter, option, recorded
from dataset_tools.converters.numbered_items import (
    REPEATED,
    Numbering,
    check_rows,
    matrices,
    modality_of,
    numbering,
    remark_unread,
    write_all,
)
from dataset_tools.converters.recipes.files import check_folder
from dataset_tools.converters.shared_options import FolderOptions
from dataset_tools.dataset.catalog import KNOWN
from dataset_tools.dataset.folder import DatasetFolder
from dataset_tools.dataset.interactions import PARTS, Builder, Interactions
from dataset_tools.errors import DataError
from dataset_tools.formats.text_file import reading
from dataset_tools.operations.filtering import deduplicate
from dataset_tools.operations.splitting import cold

COLD = "0-core"
SWAPPED = ("train", "test", "valid")


@dataclass(frozen=True, kw_only=True)
class MicroOptions(FolderOptions):
    """Options of `convert micro`."""

    core: str = option("5-core", "folder of the split; 0-core is the cold-start one")


@converter("the JSON layout of MICRO, LATTICE and MMSSL", MicroOptions)
def convert(folder: DatasetFolder, options: MicroOptions) -> None:
    """Write a data set with its fixed split, every item and each `<modality>_feat*.npy` or `.pt`.

    `core` is the folder of the split; `0-core`, the cold-start one, shares ids and features with `5-core`,
    and `<name>.cold.json` lists the items that it withholds from training.
    """
    write(folder, options)


Titles = Callable[[Numbering], dict[str, list[str]]]


def write(
    folder: DatasetFolder,
    options: MicroOptions,
    command: str = "convert micro",
    recipe: Mapping[str, Any] | None = None,
    swapped: bool = False,
    titles: tuple[Path, Titles] | None = None,
    counts: Callable[[Interactions], object] = lambda found: None,
) -> None:
    """What `convert` does, for recipes too, whose options are `recipe`.

    `swapped` takes the validation part for the test part and the other way round.  `titles` is a file and
    what makes columns of `<name>.item` of it; `counts` compares the interactions with what is published.
    """
    source = check_folder(options.source)
    split = source / options.core if (source / options.core).is_dir() else source
    files = [_split_file(split, part) for part in (SWAPPED if swapped else PARTS)]
    with folder:
        parts = [_read_json(file) for file in files]
        lists = [_id_list(kind, split, source) for kind in ("item_list.txt", "user_list.txt")]
        found = matrices(feature_files(split, source))
        used = frozenset(item for part in parts for row in part.values() for item in row)
        most, rows = max(used, default=-1) + 1, found.rows
        if lists[0] is None and rows is not None and most > rows:
            check_rows(found, most, gaps=len(used) < most)
        items = numbering(lists[0], used, rows)
        check_rows(found, len(items.tokens), gaps=False)
        users = numbering(lists[1], frozenset(user for part in parts for user in part))
        interactions = _interactions(parts, users, items)
        folder.write_interactions(interactions)
        folder.note(REPEATED, deduplicate(interactions)[1])
        if options.core == COLD:
            cold.write(folder.path, folder.name, cold.withheld(interactions))
        about = titles[1](items) if titles else {}
        folder.write_items(items.tokens, about, items.in_order_of)
        folder.write_users(users.tokens)
        names = [modality_of(path) for path in found.files]
        write_all(folder, found, items.tokens, names, options.half, options.skip_bad, interactions)
        sources = [*files, *(path for path in lists if path), *found.files, *(titles[:1] if titles else ())]
        remark_unread(folder, source, sources, found.remarks)
        counts(interactions)
        options_recorded = recorded(options) if recipe is None else recipe
        folder.record(command, options_recorded, sources, KNOWN.get(folder.name))


def _interactions(parts: list[dict[int, list[int]]], users: Numbering, items: Numbering) -> Interactions:
    builder = Builder(part=True)
    for item in items.tokens:
        builder.add_item(item)
    for number, part in enumerate(parts):
        for user, used in part.items():
            for item_number in used:
                token = items.tokens[items.place[item_number]]
                builder.add(users.tokens[users.place[user]], token, part=number)
    return builder.build()


def feature_files(*folders: Path) -> list[Path]:
    """The `<modality>_feat*.npy` and `.pt` of the first folder that has any."""
    for folder in folders:
        files = [path for path in folder.iterdir() if re.fullmatch(r".+_feat.*\.(npy|pt)", path.name)]
        if files:
            return sorted(files)
    return []


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
        with reading(file) as text:
            pairs = json.load(text, object_pairs_hook=list)
        if not isinstance(pairs, list) or not all(isinstance(pair, tuple) for pair in pairs):
            raise ValueError(f"a {type(pairs).__name__} instead of an object")
        found = {_number(user): [_number(item) for item in items] for user, items in pairs}
    except DataError:
        raise
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
