"""NineRec: `X_pair.csv` without a header, whose order of user and item differs between files.

https://github.com/westlake-repl/NineRec; on request, no redistribution of altered copies.  Users are called
u1, u2, ... and items v1, v2, ...: the prefix tells the columns.  `X_item.csv` has the item, its Chinese and
its English text.  Covers are called `<item>.jpg`: `encode --image clip/<model> --images DIR/X_cover`.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from dataset_tools.converters import plain_tables
from dataset_tools.converters import shared_options as shared
from dataset_tools.converters.declaration import converter, option, recorded
from dataset_tools.converters.numbered_items import not_read
from dataset_tools.converters.plain_tables import LATE, TableOptions
from dataset_tools.converters.recipes import files
from dataset_tools.dataset.folder import DatasetFolder
from dataset_tools.dataset.interactions import Interactions
from dataset_tools.errors import DataError
from dataset_tools.formats.text_file import BadRows, csv_rows

ROLES = {"u": "user", "v": "item"}
LANGUAGES = {"chinese": 1, "english": 2}


@dataclass(frozen=True, kw_only=True)
class NineRecOptions:
    source: str | Path = option(help="folder of the files", source=True, flag="--from", metavar="DIR")
    language: str = option("english", "of titles and texts (default: %(default)s)", choices=[*LANGUAGES])
    core: int = shared.k_core(0)
    text: str | None = option(None, "encode the items' texts with this encoder", metavar="ENCODER")
    split: str = shared.split("none")
    seed: int = shared.seed()
    skip_bad: bool = shared.skip_bad()
    half: bool = shared.half()


@converter("NineRec: X_pair.csv, its columns told by the ids' prefixes, and X_item.csv", NineRecOptions)
def convert(folder: DatasetFolder, options: NineRecOptions) -> None:
    """Write the pairs, with times where the file has them, and titles from `X_item.csv`."""
    source = files.check_folder(options.source)
    tables = files.below(source, (".csv",))
    pairs = files.the_one(
        [path for path in tables if path.stem.endswith("_pair")], "pairs (X_pair.csv)", source
    )
    if pairs is None:
        raise DataError(f"{source} has no pairs.")
    items = files.the_one(
        [path for path in tables if path.stem.endswith("_item")], "items", source, needed=False
    )
    columns, unit = _columns(pairs)
    about = _item_columns(items, options.language) if items else ()
    table = TableOptions(
        interactions=pairs, columns=columns, time_unit=unit, items=items, item_columns=about, item_key="item",
        title="title" if items else None, texts=["title"] if items and options.text else [],
        text_encoder=options.text or "tfidf",
        **shared.passed_on(options),
    )  # fmt: skip

    def more(found: Interactions) -> list[Path]:
        for line in not_read([pairs.parent], [pairs, *([items] if items else [])]):
            folder.remark(line)
        return []

    plain_tables.write(folder, table, "convert ninerec", recorded(options), more=more)


def _columns(pairs: Path) -> tuple[list[str], str]:
    """(names of the columns in the file's order, unit of the times); DataError where rows differ in it."""
    order: list[str] = []
    width, unit = 0, "s"
    for line, row in csv_rows(pairs, ",", True, BadRows(True)):
        fields = [field.strip() for field in row]
        here = [ROLES.get(field[:1], "") if re.fullmatch(r"[uv]\d+", field) else "" for field in fields[:2]]
        if sorted(here) != ["item", "user"]:
            raise DataError(
                f"{pairs}, line {line}: {', '.join(fields[:2])[:60]} are no user u... and item v...; name "
                f"the columns: python -m dataset_tools convert table --interactions {quote(str(pairs))} "
                "--columns user,item --name NAME."
            )
        if not order:
            order, width = here, len(fields)
            unit = "ms" if width > 2 and fields[2].isdecimal() and int(fields[2]) > LATE else "s"
        elif here != order:
            raise DataError(
                f"{pairs}, line {line}: {here[0]} before {here[1]}, but {order[0]} before {order[1]} in the "
                "rows above; such a mixture belongs to two files."
            )
    if not order:
        raise DataError(f"{pairs} has no interactions.")
    return [*order, *(["time"] if width > 2 else []), *(f"more{n}" for n in range(width - 3))], unit


def _item_columns(items: Path, language: str) -> list[str]:
    """Names of the columns of a file without a header; the title in the wanted language."""
    _, row = next(csv_rows(items, ",", False, BadRows(True)), (1, []))
    place = LANGUAGES[language]
    if len(row) <= place:
        raise DataError(f"{items} has {len(row)} columns, none in {language}; choose another --language.")
    return ["item", *("title" if number == place else f"text{number}" for number in range(1, len(row)))]
