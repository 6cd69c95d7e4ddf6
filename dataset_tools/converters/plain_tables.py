"""Plain tables of interactions and items to a data set."""

from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from dataset_tools.dataset.folder import DatasetFolder
from dataset_tools.dataset.interactions import Builder, Interactions
from dataset_tools.dataset.item_table import ItemTable
from dataset_tools.errors import DataError
from dataset_tools.formats.atomic import finite
from dataset_tools.formats.table_file import read_rows
from dataset_tools.formats.text_file import Bad
from dataset_tools.operations import splits
from dataset_tools.operations.filtering import at_least, deduplicate, k_core


def convert(
    interactions: str | Path,
    name: str,
    data_path: str | Path = "dataset",
    *,
    user: str,
    item: str,
    rating: str | None = None,
    time: str | None = None,
    min_rating: float | None = None,
    core: int = 0,
    items: str | Path | None = None,
    title: str | None = None,
    texts: Sequence[str] = (),
    image: str | None = None,
    text_encoder: str = "tfidf",
    split: str = "none",
    seed: int = 0,
    skip_bad: bool = False,
    half: bool = False,
    force: bool = False,
) -> Path:
    """Write the interactions' named columns, and from `items` titles, texts, image names; the folder.

    Repeated pairs of user and item are dropped, then interactions below `min_rating`, then what is outside
    the `core`-core.  Items of the table `items` without interactions are kept where there is no core.
    """
    if min_rating is not None and rating is None:
        raise DataError("--min-rating needs --rating, the column that holds the ratings.")
    table = ItemTable(items, title, texts, image)
    with DatasetFolder(data_path, name, force) as folder:
        bad = Bad(skip_bad)
        known = [] if core else table.read(item, bad)
        found = _read(Path(interactions), [user, item, rating, time], known, bad)
        if not len(found):
            raise DataError(f"{interactions} has no interactions.")
        found, repeated = deduplicate(found)
        if min_rating is not None:
            found = at_least(found, min_rating)
        if core:
            found = k_core(found, core)
        if not len(found):
            raise DataError(f"{interactions} leaves no interaction; lower --k-core or --min-rating.")
        found = found.compact(keep_items=True)
        if core:
            table.read(item, bad, frozenset(found.items))
        used = [found.items[index] for index in np.unique(found.item)]
        table.refuse_strangers(used, interactions)
        folder.write_interactions(splits.apply(found, split, seed))
        columns = table.columns(found.items)
        folder.write_items(found.items, columns)
        if texts:
            folder.write_texts("textual", found.items, columns["text:token_seq"], text_encoder, half)
        folder.note("broken rows left out", bad.skipped)
        folder.note("repeated interactions dropped", repeated)
        options = {
            "user": user, "item": item, "rating": rating, "time": time, "min_rating": min_rating,
            "k_core": core, "title": title, "texts": list(texts), "image": image, "seed": seed,
            "text_encoder": text_encoder, "split": split, "skip_bad": skip_bad, "half": half,
        }  # fmt: skip
        sources = [Path(path) for path in (interactions, items) if path]
        folder.record("convert table", options, sources)
    return folder.target


def _read(path: Path, columns: Sequence[str | None], items: Sequence[str], bad: Bad) -> Interactions:
    rating, time = columns[2], columns[3]
    builder = Builder(rating is not None, time is not None)
    for token in items:
        builder.add_item(token)
    for line, row in read_rows(path, [column for column in columns if column], bad, strict=True):
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
