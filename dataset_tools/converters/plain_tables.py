"""Plain tables of interactions and items to a data set."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from dataset_tools.converters import shared_options as shared
from dataset_tools.converters.declaration import converter, option, recorded
from dataset_tools.dataset.folder import DatasetFolder
from dataset_tools.dataset.interactions import Builder, Interactions
from dataset_tools.dataset.item_table import ItemTable
from dataset_tools.errors import DataError
from dataset_tools.formats.atomic import finite
from dataset_tools.formats.table_file import read_rows
from dataset_tools.formats.text_file import BadRows
from dataset_tools.operations import splits
from dataset_tools.operations.filtering import at_least, deduplicate, k_core


@dataclass(frozen=True, kw_only=True)
class TableOptions:
    """Options of `convert table`."""

    interactions: str | Path = option(help="table of interactions", source=True, metavar="F")
    user: str = option(help="column of user ids", metavar="C")
    item: str = option(help="column of item ids, in both tables", metavar="C")
    rating: str | None = option(None, "column of ratings", metavar="C")
    time: str | None = option(None, "column of times: numbers or ISO dates", metavar="C")
    min_rating: float | None = shared.min_rating()
    core: int = shared.k_core(0)
    items: str | Path | None = shared.items("table of items")
    title: str | None = shared.title()
    texts: Sequence[str] = shared.texts()
    image: str | None = shared.image()
    seed: int = shared.seed()
    text_encoder: str = shared.encoder(flag="--encoder")
    split: str = shared.split("none")
    skip_bad: bool = shared.skip_bad()
    half: bool = shared.half()


@converter("plain tables: CSV, TSV or Parquet", TableOptions)
def convert(folder: DatasetFolder, options: TableOptions) -> None:
    """Write the interactions' named columns, and from the table `items` titles, texts and image names.

    Repeated pairs of user and item are dropped, then interactions below `min_rating`, then what is outside
    the `core`-core.  Items of the table `items` without interactions are kept where there is no core.
    """
    if options.min_rating is not None and options.rating is None:
        raise DataError("--min-rating needs --rating, the column that holds the ratings.")
    table = ItemTable(options.items, options.title, options.texts, options.image)
    with folder:
        bad = BadRows(options.skip_bad)
        known = [] if options.core else table.read(options.item, bad)
        found = _read(options, known, bad)
        if not len(found):
            raise DataError(f"{options.interactions} has no interactions.")
        found, repeated = deduplicate(found)
        if options.min_rating is not None:
            found = at_least(found, options.min_rating)
        if options.core:
            found = k_core(found, options.core)
        if not len(found):
            raise DataError(f"{options.interactions} leaves no interaction; lower --k-core or --min-rating.")
        found = found.compact(keep_items=True)
        if options.core:
            table.read(options.item, bad, frozenset(found.items))
        used = [found.items[index] for index in np.unique(found.item)]
        table.refuse_strangers(used, options.interactions)
        folder.write_interactions(splits.apply(found, options.split, options.seed))
        columns = table.columns(found.items)
        folder.write_items(found.items, columns)
        if options.texts:
            texts = columns["text:token_seq"]
            folder.write_texts("textual", found.items, texts, options.text_encoder, options.half)
        folder.note("broken rows left out", bad.skipped)
        folder.note("repeated interactions dropped", repeated)
        sources = [Path(path) for path in (options.interactions, options.items) if path]
        folder.record("convert table", recorded(options), sources)


def _read(options: TableOptions, items: Sequence[str], bad: BadRows) -> Interactions:
    path, rating, time = Path(options.interactions), options.rating, options.time
    columns = [column for column in (options.user, options.item, rating, time) if column]
    builder = Builder(rating is not None, time is not None)
    for token in items:
        builder.add_item(token)
    for line, row in read_rows(path, columns, bad, strict=True):
        numbers = iter(row[2:])
        try:
            stars = finite(next(numbers)) if rating else 0.0
            seconds = _seconds(next(numbers)) if time else 0.0
        except ValueError as error:
            bad(path, line, error)
            continue
        problem = builder.problem(row[0], row[1])
        if problem:
            bad(path, line, problem)
        else:
            builder.add(row[0], row[1], stars, seconds)
    return builder.build()


def _seconds(text: str) -> float:
    """A time as a number as it stands, or as an ISO date in seconds since 1970."""
    try:
        float(text)
    except ValueError:
        moment = datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith("Z") else text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
    return finite(text)
