"""PixelRec: `PixelNK.csv`, `item_id,user_id,timestamp` in that order, and the table of what the items are.

https://github.com/westlake-repl/PixelRec; for research that is not commercial.  Covers are called
`<item_id>.jpg`: `encode --image clip/<model> --images DIR/cover` finds them.
"""

from dataclasses import dataclass
from pathlib import Path

from dataset_tools.converters import plain_tables
from dataset_tools.converters import shared_options as shared
from dataset_tools.converters.declaration import converter, option, recorded
from dataset_tools.converters.numbered_items import remark_unread
from dataset_tools.converters.plain_tables import LATE, TableOptions
from dataset_tools.converters.recipes import files
from dataset_tools.dataset.folder import DatasetFolder
from dataset_tools.dataset.interactions import Interactions
from dataset_tools.formats.tables.table_file import read_rows
from dataset_tools.formats.text_file import BadRows

COUNTS = {"pixel50k": (50_000, 82_865, 989_494)}
PAIRS = {"item_id", "user_id", "timestamp"}
ABOUT = {"item_id", "title"}
TEXTS = ("title", "tag", "description")


@dataclass(frozen=True, kw_only=True)
class PixelRecOptions(shared.TextRecipeOptions):
    size: str | None = option(None, "which of several files there: 50K, 200K, 1M, 8M")
    text: str | None = shared.encoded("title, tag and description")


@converter("PixelRec: PixelNK.csv and the table of its items", PixelRecOptions)
def convert(folder: DatasetFolder, options: PixelRecOptions) -> None:
    """Write the interactions, and of their items titles and texts."""
    source = files.check_folder(options.source)
    tables = {path: set(files.first_line(path).split(",")) for path in files.below(source, (".csv",))}
    named = f"pixel{options.size}".lower() if options.size else ""
    found = [path for path, header in tables.items() if header >= PAIRS]
    found = [path for path in found if named in (path.name.split(".")[0].lower(), "")]
    what = f"table of {options.size or 'interactions'} with a header item_id,user_id,timestamp"
    pairs = files.the_one(found, what, source, "--size")
    about = [path for path, header in tables.items() if header >= ABOUT and not header >= PAIRS]
    size = pairs.name.split(".")[0]
    same = [path for path in about if path.name.lower().startswith(size.lower())]
    items = files.at_most_one(same or about, "table of items", source)
    texts = [name for name in TEXTS if items and name in tables[items]] if options.text else []
    unit = "ms" if _first_time(pairs) > LATE else "s"
    table = TableOptions(
        interactions=pairs, user="user_id", item="item_id", time="timestamp", time_unit=unit, items=items,
        title="title" if items else None, texts=texts,
        **options.passed_on(),
    )  # fmt: skip

    def more(found: Interactions) -> list[Path]:
        remark_unread(folder, source, filter(None, [pairs, items]))
        if not options.core:
            files.compare(folder, found, COUNTS, size)
        return []

    plain_tables.write(folder, table, "convert pixelrec", recorded(options), only_used=True, more=more)


def _first_time(pairs: Path) -> float:
    """The first row's time, 0 where it is no number: whether it counts milliseconds is not published."""
    _, row = next(read_rows(pairs, ["timestamp"], BadRows(True)), (0, ["0"]))
    return float(row[0]) if row[0].isdecimal() else 0.0
