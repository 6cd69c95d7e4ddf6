"""Amazon Reviews 2023, the published benchmark: `X.train.csv.gz`, `.valid`, `.test`, or all in `X.csv.gz`.

https://amazon-reviews-2023.github.io; the site's terms.  The columns are user_id, parent_asin, rating and
timestamp (milliseconds), and a history in the files of `*_w_his`, which no model here needs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dataset_tools.converters import plain_tables
from dataset_tools.converters import shared_options as shared
from dataset_tools.converters.amazon.amazon2023 import TEXT_FIELDS
from dataset_tools.converters.declaration import converter, option, recorded
from dataset_tools.converters.plain_tables import TableOptions
from dataset_tools.dataset.folder import DatasetFolder
from dataset_tools.dataset.interactions import PARTS
from dataset_tools.errors import DataError

ENDINGS = (".csv.gz", ".csv")


@dataclass(frozen=True, kw_only=True)
class BenchmarkOptions:
    source: str | Path = option(help="folder of the files", source=True, flag="--from", metavar="DIR")
    category: str = option(help="X in the files' names", source=True, recorded=True)
    meta: str | Path | None = option(
        None, "meta_X.jsonl.gz, for titles and texts", recorded=False, metavar="F"
    )
    text: str | None = option(None, "with --meta: encode the texts with this encoder", metavar="ENCODER")
    min_rating: float | None = shared.min_rating()
    skip_bad: bool = shared.skip_bad()
    half: bool = shared.half()


@converter("Amazon Reviews 2023, benchmark: X.train.csv.gz, .valid, .test, or X.csv.gz", BenchmarkOptions)
def convert(folder: DatasetFolder, options: BenchmarkOptions) -> None:
    """Write the published split as it is (of X.csv.gz none is made), times in seconds."""
    source = Path(options.source)
    parts = [_find(source, f"{options.category}.{part}") for part in PARTS]
    whole = _find(source, options.category)
    if not any(parts) and whole is None:
        names = f"{options.category}.train.csv.gz and no {options.category}.csv.gz"
        raise DataError(f"{source} has no {names}; check --category.")
    if options.text and options.meta is None:
        raise DataError("--text encodes what --meta tells of the items; name that file too.")
    texts: Sequence[str] = TEXT_FIELDS if options.text else ()
    table = TableOptions(
        interactions=None if any(parts) else whole, train=parts[0], valid=parts[1], test=parts[2],
        user="user_id", item="parent_asin", rating="rating", time="timestamp", time_unit="ms",
        min_rating=options.min_rating, items=options.meta, title="title" if options.meta else None,
        texts=texts, text_encoder=options.text or "tfidf", skip_bad=options.skip_bad, half=options.half,
    )  # fmt: skip
    plain_tables.write(folder, table, "convert amazon2023-benchmark", recorded(options), only_used=True)


def _find(folder: Path, stem: str) -> Path | None:
    return next((folder / (stem + end) for end in ENDINGS if (folder / (stem + end)).is_file()), None)
