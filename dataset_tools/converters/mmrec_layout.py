"""MMRec's layout: `X.inter` with a column `x_label` for the split, features in item order, id mappings.

Items and users are numbers there; `i_id_mapping.csv` and `u_id_mapping.csv` restore their ids.
"""

import argparse
from array import array
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dataset_tools.converters import shared_options as shared
from dataset_tools.converters.declaration import converter, option, recorded
from dataset_tools.converters.numbered_items import (
    REPEATED,
    Matrices,
    Numbering,
    check_rows,
    matrices,
    modality_of,
    numbering,
    remark_unread,
    write_all,
)
from dataset_tools.converters.recipes.files import check_folder
from dataset_tools.dataset.catalog import KNOWN
from dataset_tools.dataset.folder import DatasetFolder
from dataset_tools.dataset.interactions import Builder, Interactions
from dataset_tools.dataset.item_table import ItemTable
from dataset_tools.errors import DataError
from dataset_tools.formats.atomic import finite
from dataset_tools.formats.id_lists import MOST
from dataset_tools.formats.text_file import BadRows, csv_rows
from dataset_tools.operations.filtering import deduplicate
from dataset_tools.operations.splitting import splits
from dataset_tools.progress import progress

USER, ITEM, PART = "userID", "itemID", "x_label"
FLOATS = ("rating", "timestamp")
UNTRAINED = "users have no training interaction, whom MMRec's code leaves out of validation and test"
MAPPINGS = {ITEM: "i_id_mapping.csv", USER: "u_id_mapping.csv"}

LARGEST = 1 << 62  # of a number that is an original id

Columns = dict[str, array]


class Pairs(argparse.Action):
    """STEM=NAME ... as a dictionary."""

    def __call__(
        self, parser: object, namespace: argparse.Namespace, values: Any, flag: object = None
    ) -> None:
        found = dict(pair.partition("=")[::2] for pair in values)
        if not all(found.values()):
            raise DataError("--rename takes pairs STEM=NAME, such as vggish=audio.")
        setattr(namespace, self.dest, found)


@dataclass(frozen=True, kw_only=True)
class MMRecOptions(shared.FolderOptions):
    """Options of `convert mmrec`."""

    rename: Mapping[str, str] = option(
        dict, "names of modalities by feature file", action=Pairs, nargs="+", metavar="STEM=NAME"
    )
    seed: int = shared.seed("for a split where x_label is missing")
    items: str | Path | None = shared.items("table of items with a column itemID")
    title: str | None = shared.title(recorded=False)
    texts: Sequence[str] = shared.texts(recorded=False)
    image: str | None = shared.image(recorded=False)


@converter("MMRec's layout: X.inter with x_label, features in item order", MMRecOptions)
def convert(folder: DatasetFolder, options: MMRecOptions) -> None:
    """Write a data set with the source's split, every item and each `.npy` and `.pt` that is a matrix.

    Without a list of ids the numbers are the ids: as many as the features have rows, or without features
    those that occur.
    Where `x_label` is missing, the paper's split is made with `seed`.  `rename` maps a feature file's stem to
    the modality's name; `items` is a table with a column itemID.
    """
    write(folder, options)


Missing = Mapping[str, Collection[int]]


@dataclass(frozen=True)
class Recipe:
    """What a data set in this layout has besides.

    `missing` tells of each of the modalities, given their names and the number of items, which rows to leave
    out; `ids` the ids of users and items by number, given the numbers in use; `about` further columns of
    `<name>.item`, given the ids; `more` writes further features and returns their files; `files` were read.
    """

    command: str
    options: Mapping[str, Any]
    files: Sequence[Path] = ()
    missing: Callable[[Sequence[str], int], Missing] = lambda names, items: {}
    ids: Callable[[Columns], Mapping[str, list[str]]] = lambda rows: {}
    about: Callable[[Sequence[str]], dict[str, list[str]]] = lambda items: {}
    more: Callable[[Interactions], Sequence[Path]] = lambda found: ()


def write(folder: DatasetFolder, options: MMRecOptions, recipe: Recipe | None = None) -> None:
    """What `convert` does, for recipes too."""
    recipe = recipe or Recipe("convert mmrec", recorded(options))
    source = check_folder(options.source)
    about = ItemTable(options.items, options.title, options.texts, options.image)
    inter = _inter_file(source)
    mappings = {kind: source / file for kind, file in MAPPINGS.items() if (source / file).is_file()}
    with folder:
        bad = BadRows(options.skip_bad)
        read = {path.resolve() for path in recipe.files}
        files = [path for path in source.iterdir() if path.resolve() not in read]
        found = matrices(path for path in files if path.suffix in (".npy", ".pt"))
        rows = _read(inter, bad, MOST if found.found or mappings else LARGEST)
        given = recipe.ids(rows)
        items, users = _numberings(rows, mappings, found, given)
        interactions = _interactions(rows, users, items)
        folder.write_interactions(
            splits.per_user(interactions, options.seed) if interactions.part is None else interactions
        )
        about.read(ITEM, bad)
        columns = about.columns(map(str, items.place)) | recipe.about(items.tokens)
        folder.write_items(items.tokens, columns, items.in_order_of)
        folder.write_users(users.tokens)
        names = [options.rename.get(path.stem, modality_of(path)) for path in found.files]
        absent = recipe.missing(names, len(items.tokens))
        write_all(folder, found, items.tokens, names, options.half, options.skip_bad, interactions, absent)
        folder.note("broken rows left out", bad.skipped)
        folder.note(REPEATED, deduplicate(interactions)[1])
        folder.note(UNTRAINED, _untrained(interactions))
        sources = [inter, *mappings.values(), *found.files, *([about.path] if about.path else [])]
        sources += [*recipe.files, *recipe.more(interactions)]
        remark_unread(folder, source, sources, found.remarks)
        folder.record(recipe.command, recipe.options, sources, KNOWN.get(folder.name))


def _numberings(
    rows: Columns, mappings: Mapping[str, Path], found: Matrices, given: Mapping[str, list[str]]
) -> tuple[Numbering, Numbering]:
    """The ids of items and users; a matrix without a list of ids says how many items there are."""
    if given:
        check_rows(found, len(given[ITEM]), gaps=False)
        ids, of_users = given[ITEM], given[USER]
        return (
            Numbering(ids, range(len(ids)), "the item numbers"),
            Numbering(of_users, range(len(of_users)), ""),
        )
    used, known = frozenset(rows[ITEM]), found.rows
    most = max(used, default=-1) + 1
    if known is not None and ITEM not in mappings and most > known:
        check_rows(found, most, gaps=len(used) < most)
    items = numbering(mappings.get(ITEM), used, known, ITEM)
    check_rows(found, len(items.tokens), gaps=False)
    return items, numbering(mappings.get(USER), frozenset(rows[USER]), column=USER)


def _untrained(found: Interactions) -> int:
    """How many users are in validation or test alone."""
    if found.part is None:
        return 0
    return len(np.setdiff1d(found.user, found.user[found.part == 0]))


def _inter_file(source: Path) -> Path:
    """The only `.inter` file, or `X.inter` where the others are called `X_...inter`; else `inter.csv`."""
    found = sorted(source.glob("*.inter"), key=lambda path: len(path.stem)) or [*source.glob("inter.csv")]
    if not found or not all(path.stem.startswith(f"{found[0].stem}_") for path in found[1:]):
        raise DataError(f"{source} has {len(found)} .inter files; --from must name a folder with one.")
    return found[0]


def _read(path: Path, bad: BadRows, most: int) -> Columns:
    """The columns that are known, in whatever order the file has them; ids are numbers below `most`."""
    table = csv_rows(path, "\t", True, bad)
    _, header = next(table, (1, None))
    if header is None:
        raise DataError(f"{path} is empty.")
    absent = [column for column in (USER, ITEM) if column not in header]
    if absent:
        there = ", ".join(header) or "none"
        raise DataError(f"{path} has no column {absent[0]}; its columns are {there}.")
    kinds: dict[str, Callable[[str], Any]] = {
        USER: int,
        ITEM: int,
        PART: int,
        **dict.fromkeys(FLOATS, finite),
    }
    known = [(place, column) for place, column in enumerate(header) if column in kinds]
    columns = {column: array("d" if column in FLOATS else "q") for _, column in known}
    for line, row in progress(table, path.name, unit="row"):
        try:
            found = {column: kinds[column](row[place]) for place, column in known}
        except (ValueError, IndexError):
            bad(path, line, f"expected numbers, got {row}")
            continue
        ids = found[USER], found[ITEM]
        if len(row) != len(header):
            bad(path, line, f"{len(row)} fields where the header has {len(header)}")
            continue
        if min(ids) < 0 or max(ids) >= most or found.get(PART, 0) not in (0, 1, 2):
            bad(path, line, f"ids run from 0 without large gaps and {PART} is 0, 1 or 2, got {row}")
            continue
        for column, value in found.items():
            columns[column].append(value)
    return columns


def _interactions(rows: Columns, users: Numbering, items: Numbering) -> Interactions:
    builder = Builder("rating" in rows, "timestamp" in rows, PART in rows)
    for item in items.tokens:
        builder.add_item(item)
    floats = [column for column in FLOATS if column in rows]
    for row, (user, item) in enumerate(zip(rows[USER], rows[ITEM], strict=True)):
        values = {column: rows[column][row] for column in floats}
        part = rows[PART][row] if PART in rows else 0
        builder.add(users.tokens[users.place[user]], items.tokens[items.place[item]], part=part, **values)
    return builder.build()
