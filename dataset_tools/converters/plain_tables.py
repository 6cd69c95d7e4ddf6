"""Plain tables of interactions and items to a data set."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dataset_tools.converters import shared_options as shared
from dataset_tools.converters.declaration import converter, option, recorded
from dataset_tools.dataset.folder import DatasetFolder
from dataset_tools.dataset.interactions import PARTS, Interactions, used
from dataset_tools.dataset.item_table import ItemTable
from dataset_tools.errors import DataError
from dataset_tools.formats.hashing import hash_files
from dataset_tools.formats.tables import parquet
from dataset_tools.formats.text_file import BadRows
from dataset_tools.operations import table_rows
from dataset_tools.operations.conditions import Condition
from dataset_tools.operations.filtering import EVENTS, at_least, deduplicate, k_core, merge
from dataset_tools.operations.splitting import splits
from dataset_tools.operations.table_rows import Roles
from dataset_tools.operations.times import PER_SECOND

LATE = 1e11  # seconds since 1970 that no clock shows: these are milliseconds or finer


@dataclass(frozen=True, kw_only=True)
class TableOptions:
    """Options of `convert table`."""

    interactions: str | Path | None = option(
        None, help="table of interactions, or folder of Parquet files", source=True, metavar="F"
    )
    train: str | Path | None = option(
        None, "with --valid and --test: a split that is there", recorded=False, metavar="F"
    )
    valid: str | Path | None = option(None, "its validation part", recorded=False, metavar="F")
    test: str | Path | None = option(None, "its test part", recorded=False, metavar="F")
    columns: Sequence[str] = option(
        (), "names of the columns of files without a header", type=shared.commas, metavar="C,C"
    )
    separator: str = option("", "what stands between the fields (default: told by the file)", metavar="S")
    user: str | None = option(
        None, "column of user ids (default: user, of --columns)", type=shared.column, metavar="C"
    )
    item: str | None = option(
        None,
        "column of item ids, in both tables (default: item or items, of --columns)",
        type=shared.column,
        metavar="C",
    )
    list_separator: str = option(
        "",
        "the item column holds several ids, with this between them (default: a space, where --columns calls "
        "it items)",
        metavar="S",
    )
    rating: str | None = option(None, "column of ratings", type=shared.column, metavar="C")
    time: str | None = option(None, "column of times: numbers or ISO dates", type=shared.column, metavar="C")
    time_unit: str = option("s", "of times that are numbers (default: %(default)s)", choices=[*PER_SECOND])
    order_is_time: bool = option(False, "the rows are in the order of time, which has no column")
    where: str | None = option(
        None,
        "keep rows that fulfil a condition, such as 'played_ratio >= 50'",
        type=shared.column,
        metavar="CONDITION",
    )
    events: str = option(
        "first",
        "of several rows of a user and an item: the first, the last, the sum of the ratings, or their number "
        "as rating (default: %(default)s)",
        choices=EVENTS,
    )
    min_rating: float | None = shared.min_rating()
    core: int = shared.k_core(0)
    items: str | Path | None = shared.items("table of items")
    item_columns: Sequence[str] = option(
        (), "names of the columns of --items without a header", type=shared.commas, metavar="C,C"
    )
    item_key: str | None = option(
        None, "column of item ids in --items, if it has another name there", type=shared.column, metavar="C"
    )
    title: str | None = shared.title()
    texts: Sequence[str] = shared.texts()
    image: str | None = shared.image()
    seed: int = shared.seed()
    text_encoder: str = shared.encoder(flag="--encoder")
    split: str = shared.split("none")
    skip_bad: bool = shared.skip_bad()
    half: bool = shared.half()


@converter("plain tables: CSV, TSV, JSON lines or Parquet, also compressed", TableOptions)
def convert(folder: DatasetFolder, options: TableOptions) -> None:
    """Write the interactions' named columns, and from the table `items` titles, texts and image names.

    Rows that `where` does not choose are dropped, then repeated pairs of user and item, then interactions
    below `min_rating`, then what is outside the `core`-core.  Items of the table `items` without interactions
    are kept where there is no core.  A split that is there (`train`, `valid`, `test`) stays as it is.
    """
    write(folder, options)


More = Callable[[Interactions], Iterable[Path | dict[str, Any]]]  # returns further sources
Choose = Callable[[Interactions], Interactions]
About = Callable[[Sequence[str]], dict[str, list[str]]]


def write(
    folder: DatasetFolder,
    options: TableOptions,
    command: str = "convert table",
    recipe: Mapping[str, Any] | None = None,
    only_used: bool = False,
    more: More = lambda found: (),
    choose: Choose = lambda found: found,
    where: Condition | None = None,
    about_items: About = lambda items: {},
    stream: Sequence[Path] = (),
) -> None:
    """What `convert` does, for recipes too, whose options are `recipe`.

    With `only_used`, items of the table `items` without interactions are left out.  `more` writes what else
    the recipe has, once interactions and items are there.  `choose` leaves rows out before repeated ones are
    dropped; `where` stands in the place of the option.  `about_items` tells further columns of `<name>.item`.
    The tables of a `stream` are read one after another, in the place of `options.interactions`.
    """
    files = [*stream] or _files(options)
    roles = table_rows.roles(
        options.columns, options.user, options.item, options.rating, options.time, options.list_separator
    )
    if options.min_rating is not None and not roles.rating and options.events not in ("sum", "count"):
        raise DataError("--min-rating needs --rating, the column that holds the ratings.")
    condition = Condition(options.where) if options.where is not None else where
    key = _item_key(options, roles)
    table = ItemTable(options.items, options.title, options.texts, options.image)
    reader = table_rows.Reader(
        roles, options.columns, options.separator, options.time_unit, options.order_is_time, condition
    )
    used_only = only_used or options.core > 0
    with folder:
        bad = BadRows(options.skip_bad)
        about: dict[str, Any] = {"header": options.item_columns, "separator": options.separator}
        known = [] if used_only else table.read(key, bad, **about)
        found = reader.read(files, known, bad, split=options.train is not None)
        found, repeated = _chosen(choose(found), options, files[0])
        if used_only:
            table.read(key, bad, frozenset(found.items), **about)
        table.refuse_strangers([found.items[index] for index in used(found.item)], files[0])
        folder.write_interactions(
            found if found.part is not None else splits.apply(found, options.split, options.seed)
        )
        columns = table.columns(found.items) | about_items(found.items)
        in_order_of = Path(str(options.items)).name if known == found.items else ""
        folder.write_items(found.items, columns, in_order_of)
        if "text:token_seq" in columns:
            texts = columns["text:token_seq"]
            folder.write_texts("textual", found.items, texts, options.text_encoder, options.half)
        folder.note("broken rows left out", bad.skipped)
        folder.note("rows left out by --where", reader.left_out)
        folder.note("repeated interactions dropped", repeated)
        _remark(folder, found, roles, options)
        paths = [Path(path) for path in (*files, options.items) if path]
        for line in filter(None, map(_passed_over, paths)):
            folder.remark(line)
        sources = [_source(path) for path in paths]
        named = options.items is not None and not options.item_columns
        about = {"items_key": key} if named else {}
        sources += more(found)
        folder.record(command, {**(recorded(options) if recipe is None else recipe), **about}, sources)


def _item_key(options: TableOptions, roles: Roles) -> str:
    """The column of item ids in the table of items."""
    if options.item_key or not options.item_columns or roles.item in options.item_columns:
        return options.item_key or roles.item
    return "item"


def _files(options: TableOptions) -> list[Path]:
    """The one table, or the three of a split that is there."""
    parts = [options.train, options.valid, options.test]
    if not any(parts):
        if options.interactions is None:
            raise DataError("--interactions is missing; name the table, or --train, --valid and --test.")
        return [Path(options.interactions)]
    if options.interactions is not None:
        raise DataError("--interactions is there beside --train, --valid or --test; name one or the others.")
    absent = [name for name, path in zip(PARTS, parts, strict=True) if path is None]
    if absent:
        raise DataError(f"--{absent[0]} is missing; a split has the three files --train, --valid and --test.")
    if options.core or options.split != "none":
        asked = "--k-core" if options.core else "--split"
        raise DataError(f"{asked} would change the split that is there; leave it out, or use --interactions.")
    return [Path(path) for path in parts if path is not None]


def _chosen(found: Interactions, options: TableOptions, file: Path) -> tuple[Interactions, int]:
    """What the options choose of the interactions, and how many repeated ones were dropped."""
    found, repeated = merge(found, options.events)
    if options.min_rating is not None:
        found = at_least(found, options.min_rating)
    if options.core:
        found = k_core(found, options.core)
    if not len(found):
        asked = {"--k-core": options.core, "--min-rating": options.min_rating is not None}
        flags = " or ".join(flag for flag, given in asked.items() if given)
        remedy = f"lower {flags}" if flags else "every one of them was left out"
        raise DataError(f"{file} leaves no interaction; {remedy}.")
    return found.compact(keep_items=True), repeated


def _remark(folder: DatasetFolder, found: Interactions, roles: Roles, options: TableOptions) -> None:
    """Lines on what may not be meant."""
    time = found.timestamp
    if time is not None and roles.time and options.time_unit == "s" and float(np.median(time)) > LATE:
        folder.remark(
            f"the times in {roles.time} are no seconds (median {np.median(time):.0f}), kept as they are; "
            "--time-unit ms makes seconds of milliseconds"
        )
    if found.part is not None:
        both = deduplicate(found)[1]
        folder.note("pairs of user and item are in several parts, kept as in the source", both)


def _passed_over(path: Path) -> str:
    """A line on the files of a folder of Parquet that are none, "" without any."""
    others = [
        file.name
        for file in sorted(path.rglob("*") if path.is_dir() else ())
        if file.is_file() and file.suffix != ".parquet" and not file.name.startswith((".", "_"))
    ]
    more = f" and {len(others) - 8:,} more" if len(others) > 8 else ""
    return f"not read, being no Parquet: {', '.join(others[:8])}{more}" if others else ""


def _source(path: Path) -> Path | dict[str, Any]:
    return hash_files(path, parquet.parts(path)) if path.is_dir() else path
