"""What people see of the items: titles, categories, other columns, pictures."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from recbole.data.dataset import Dataset

from dataset_tools.dataset.reading import TITLES
from recbole_micro.errors import UserError, hint
from recbole_micro.inference.item_columns import PICTURES, ItemColumns
from recbole_micro_server import layout

CATEGORIES = ("category", "categories", "genre", "genres", "class")
LONGEST = 300  # characters of a cell: a page shows no more
OWN = ("id", "title", "category", "picture")


def item_table(dataset: Dataset, items: Sequence[str], category: str | None) -> dict[str, list[str]]:
    """`id`, `title`, `category` and every other column of `<name>.item`, one text per item, empty for none.

    The category is the column of this name, or the first of `CATEGORIES` that there is; of several words
    between spaces or `|` the first counts.  UserError where there is no such column.
    """
    columns = ItemColumns(dataset)
    names = [name for name in columns.names if name != columns.field]
    if category is not None and category not in names:
        among, end = ", ".join(names) or "none", hint(category, names, ".")
        raise UserError(f"The data set's items have no column {category!r} (they have {among}){end}")
    by_item = {row[0]: row[1:] for row in columns.rows(*names)} if names else {}
    nothing = [""] * len(names)
    rows = [by_item.get(item, nothing) for item in items]
    table: dict[str, list[str]] = {"id": list(items)}
    read = {name: [clipped(row[place]) for row in rows] for place, name in enumerate(names)}
    title = next((name for name in TITLES if name in read), "")
    chosen = category or next((name for name in CATEGORIES if name in read), "")
    if title:
        table["title"] = read[title]
    if chosen:
        table["category"] = [first_word(text) for text in read[chosen]]
    return table | {name: texts for name, texts in read.items() if name not in (title, *OWN)}


def clipped(text: str) -> str:
    """At most `LONGEST` characters."""
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def first_word(text: str) -> str:
    """The first of several categories."""
    return next(iter(text.replace("|", " ").split()), "")


def write_pictures(columns: dict[str, list[str]], images: str | Path | None, folder: Path) -> None:
    """Copy the items' pictures from the folder `images` into `folder`, and name them in `columns`.

    A picture is the file named in the data set's column of pictures, or one called as the item with a
    suffix of a picture.  UserError where no item has any.
    """
    if images is None:
        return
    source = Path(images)
    if not source.is_dir():
        raise UserError(f"There is no folder {source} of pictures: give another one with --images.")
    named = next((columns[name] for name in PICTURES if name in columns), [""] * len(columns["id"]))
    files = {path.name: path for path in sorted(source.rglob("*")) if path.suffix.lower() in layout.PICTURES}
    folder.mkdir()
    pictures = []
    for row, (item, name) in enumerate(zip(columns["id"], named, strict=True)):
        wanted = [Path(name).name, *(item + suffix for suffix in layout.PICTURES)]
        path = next((files[one] for one in wanted if one in files), None)
        pictures.append(f"{row}{path.suffix.lower()}" if path else "")
        if path:
            shutil.copyfile(path, folder / pictures[-1])
    if not any(pictures):
        suffixes = ", ".join(layout.PICTURES)
        raise UserError(
            f"{source} has no picture of any item: name the files by item id, ending in {suffixes}."
        )
    columns["picture"] = pictures
