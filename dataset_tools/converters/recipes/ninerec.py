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
from dataset_tools.converters.numbered_items import remark_unread
from dataset_tools.converters.plain_tables import LATE, TableOptions
from dataset_tools.converters.recipes import files
from dataset_tools.dataset.folder import DatasetFolder
from dataset_tools.dataset.interactions import Builder, Interactions
from dataset_tools.errors import DataError
from dataset_tools.formats.text_file import BadRows, csv_rows

ROLES = {"u": "user", "v": "item"}
LANGUAGES = {"chinese": 1, "english": 2}


@dataclass(frozen=True, kw_only=True)
class NineRecOptions(shared.TextRecipeOptions):
    language: str = option("english", "of titles and texts (default: %(default)s)", choices=[*LANGUAGES])


@converter("NineRec: X_pair.csv, its columns told by the ids' prefixes, and X_item.csv", NineRecOptions)
def convert(folder: DatasetFolder, options: NineRecOptions) -> None:
    """Write the pairs, with times where the file has them, and titles from `X_item.csv`.

    Without `X_pair.csv` the pairs are those of `X_behaviour.tsv`, in its order.
    """
    source = files.check_folder(options.source)
    tables = files.below(source, (".csv", ".tsv"))

    def named(ending: str) -> list[Path]:
        return [path for path in tables if path.name.split(".")[0].endswith(ending)]

    pairs = files.the_one(named("_pair") or named("_behaviour"), "X_pair.csv", source)
    items = files.at_most_one(named("_item"), "X_item.csv", source)
    by_lines = ".tsv" in pairs.name
    columns, unit = _columns(pairs, by_lines)
    about = _item_columns(items, options.language) if items else ()
    table = TableOptions(
        interactions=pairs, columns=columns, time_unit=unit, order_is_time=by_lines, items=items,
        item_columns=about, item_key="item", title="title" if items else None,
        texts=["title"] if items and options.text else [],
        **options.passed_on(),
    )  # fmt: skip

    def more(found: Interactions) -> list[Path]:
        remark_unread(folder, source, filter(None, [pairs, items]))
        return []

    plain_tables.write(folder, table, "convert ninerec", recorded(options), more=more, choose=_stripped)


def _columns(pairs: Path, by_lines: bool) -> tuple[list[str], str]:
    """(names of the columns in the file's order, unit of the times); DataError where rows differ in it."""
    order: list[str] = []
    width, unit = 0, "s"
    role = re.compile(r"([uv])\d+( \1\d+)*" if by_lines else r"([uv])\d+")
    for line, row in csv_rows(pairs, "\t" if by_lines else ",", True, BadRows(True)):
        fields = [field.strip() for field in row]
        told = [role.fullmatch(field) for field in fields[:2]]
        here = [ROLES[match[1]] if match else "" for match in told]
        if sorted(here) != ["item", "user"]:
            raise DataError(
                f"{pairs}, line {line}: {', '.join(fields[:2])[:60]} are no user u... and item v...; name "
                f"the columns: python -m dataset_tools convert table --interactions {quote(str(pairs))} "
                f"--columns {'user,items' if by_lines else 'user,item'} --name NAME."
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
    if by_lines:
        return ["items" if name == "item" else name for name in order], unit
    return [*order, *(["time"] if width > 2 else []), *(f"more{n}" for n in range(width - 3))], unit


def _stripped(found: Interactions) -> Interactions:
    """Ids without the space that some files have after a comma."""
    users, items = ([token.strip() for token in tokens] for tokens in (found.users, found.items))
    if users == found.users and items == found.items:
        return found
    builder = Builder(timestamp=found.timestamp is not None)
    builder.extend(users, found.user, items, found.item, timestamp=found.timestamp)
    return builder.build()


def _item_columns(items: Path, language: str) -> list[str]:
    """Names of the columns of a file without a header; the title in the wanted language."""
    _, row = next(csv_rows(items, ",", False, BadRows(True)), (1, []))
    place = LANGUAGES[language]
    if len(row) <= place:
        raise DataError(f"{items} has {len(row)} columns, none in {language}; choose another --language.")
    return ["item", *("title" if number == place else f"text{number}" for number in range(1, len(row)))]
