"""Amazon Reviews 2023, the published benchmark: `X.train.csv.gz`, `.valid`, `.test`, or all in `X.csv.gz`.

https://amazon-reviews-2023.github.io; the site's terms.  The columns are user_id, parent_asin, rating and
timestamp (milliseconds), and a history in the files of `*_w_his`, which no model here needs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataset_tools.converters import plain_tables
from dataset_tools.converters import shared_options as shared
from dataset_tools.converters.amazon.amazon2023 import COLUMNS
from dataset_tools.converters.amazon.reviews import item_columns
from dataset_tools.converters.declaration import converter, option, recorded
from dataset_tools.converters.numbered_items import remark_unread
from dataset_tools.converters.plain_tables import TableOptions
from dataset_tools.converters.recipes.files import check_folder
from dataset_tools.dataset.folder import DatasetFolder
from dataset_tools.dataset.interactions import PARTS, Interactions
from dataset_tools.errors import DataError
from dataset_tools.formats.records import RecordFile, json_object

ENDINGS = (".csv.gz", ".csv")


@dataclass(frozen=True, kw_only=True)
class BenchmarkOptions(shared.FolderOptions):
    category: str = option(help="X in the files' names", source=True, recorded=True)
    meta: str | Path | None = option(
        None, "meta_X.jsonl.gz, for titles, texts and addresses of images", recorded=False, metavar="F"
    )
    text: str | None = shared.encoded("what --meta tells of the items")
    min_rating: float | None = shared.min_rating()


@converter("Amazon Reviews 2023, benchmark: X.train.csv.gz, .valid, .test, or X.csv.gz", BenchmarkOptions)
def convert(folder: DatasetFolder, options: BenchmarkOptions) -> None:
    """Write the published split as it is (of X.csv.gz none is made), times in seconds."""
    source = _folder(check_folder(options.source), options.category)
    *parts, whole = (_find(source, stem) for stem in _stems(options.category))
    if options.text and options.meta is None:
        raise DataError("--text encodes what --meta tells of the items; name that file too.")
    table = TableOptions(
        interactions=None if any(parts) else whole, train=parts[0], valid=parts[1], test=parts[2],
        user="user_id", item="parent_asin", rating="rating", time="timestamp", time_unit="ms",
        min_rating=options.min_rating, text_encoder=options.text or "tfidf", skip_bad=options.skip_bad,
        half=options.half,
    )  # fmt: skip
    meta = None
    if options.meta is not None:
        meta = RecordFile(options.meta, json_object, options.skip_bad, fields=["parent_asin"])

    def about(items: Sequence[str]) -> dict[str, list[str]]:
        if meta is None:
            return {}
        wanted = {name: make for name, make in COLUMNS.items() if options.text or not name.startswith("text")}
        columns = item_columns(meta, "parent_asin", items, wanted)
        if not any(map(any, columns.values())):
            raise DataError(f"{options.meta} tells of no item in {source}; name the category's own file.")
        folder.note("broken records left out", meta.skipped)
        return columns

    def more(found: Interactions) -> list[dict[str, Any]]:
        read = parts if any(parts) else [whole]
        others = [path for path in source.iterdir() if path.name.split(".")[0] != options.category]
        remark_unread(folder, source, [*others, *filter(None, read)])
        return [meta.record] if meta else []

    plain_tables.write(
        folder, table, "convert amazon2023-benchmark", recorded(options), only_used=True, more=more,
        about_items=about,
    )  # fmt: skip


def _stems(category: str) -> list[str]:
    return [*(f"{category}.{part}" for part in PARTS), category]


def _folder(source: Path, category: str) -> Path:
    """The folder in `source` or below that has the category's files."""
    stems = _stems(category)
    folders = sorted({path.parent for stem in stems for end in ENDINGS for path in source.rglob(stem + end)})
    if not folders:
        names = f"{category}.train.csv.gz and no {category}.csv.gz"
        raise DataError(f"{source} has no {names}; check --category.")
    if len(folders) > 1:
        names = ", ".join(path.relative_to(source).as_posix() for path in folders)
        raise DataError(f"{source} has {category} in {len(folders)} folders ({names}); name one with --from.")
    return folders[0]


def _find(folder: Path, stem: str) -> Path | None:
    return next((folder / (stem + end) for end in ENDINGS if (folder / (stem + end)).is_file()), None)
