"""VK-LSVD, short videos: `train/week_00.parquet`, ..., `validation/`, metadata and vectors of the items.

https://huggingface.co/datasets/deepvk/VK-LSVD; Apache-2.0.  10 M users, 19.6 M items, 40.8 G rows; the
subsample ur0.01 has 2.8 GB.  There are no ratings and no times: rows are in the order of time.  Which rows
are positive is the user's choice, by columns of the rows and of `items_metadata.parquet` (duration, ...).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dataset_tools.converters import plain_tables
from dataset_tools.converters import shared_options as shared
from dataset_tools.converters.declaration import converter, option, recorded
from dataset_tools.converters.numbered_items import remark_unread
from dataset_tools.converters.plain_tables import TableOptions
from dataset_tools.converters.recipes import files, vectors
from dataset_tools.dataset.folder import DatasetFolder
from dataset_tools.dataset.interactions import Interactions
from dataset_tools.errors import DataError
from dataset_tools.features.sources.opening import open_source
from dataset_tools.formats.tables import parquet
from dataset_tools.formats.tables.table_file import TableForm, read_rows
from dataset_tools.formats.text_file import BadRows
from dataset_tools.operations.conditions import Condition

PARTS = ("train", "validation", "test")


@dataclass(frozen=True, kw_only=True)
class VkLsvdOptions(vectors.VectorOptions, shared.RecipeOptions):
    where: str = option(
        help="which rows are positive, such as 'like = 1' or 'timespent >= 0.8 * duration'",
        type=shared.column, metavar="CONDITION",
    )  # fmt: skip
    subsample: str | None = option(None, "which of several in subsamples/: ur0.01, ...")


@converter("VK-LSVD: weeks of Parquet in the order of time, metadata, item_embeddings.npz", VkLsvdOptions)
def convert(folder: DatasetFolder, options: VkLsvdOptions) -> None:
    """Write the rows that `where` chooses, their order as time, and the items' vectors as `content`.

    Where there are train, validation and test, that split stays; of fewer parts one stream is made.
    """
    source = files.check_folder(options.source)
    weeks = _weeks(source, options.subsample)
    parts = [weeks / part for part in PARTS if (weeks / part).is_dir()]
    fixed = len(parts) == len(PARTS)
    train, valid, test = parts if fixed else (None, None, None)
    metadata, embeddings = (
        files.at_most_one(sorted(source.rglob(name)), name, source)
        for name in ("items_metadata.parquet", "item_embeddings.npz")
    )
    table = TableOptions(
        train=train, valid=valid, test=test, user="user_id", item="item_id", order_is_time=True,
        **options.passed_on(),
    )  # fmt: skip

    def more(found: Interactions) -> list[Path]:
        read = [path for path in (embeddings, metadata if about else None) if path]
        if embeddings:
            matrix = open_source(embeddings, "content", None, BadRows(False))
            vectors.write(folder, matrix, found, "content", options, None)
        remark_unread(folder, source, [*read, *parts])
        return read

    condition = Condition(options.where)
    about = _about(condition, weeks, metadata)
    where = AboutItems(condition, about) if about else condition
    stream = () if fixed else parts
    plain_tables.write(
        folder, table, "convert vk-lsvd", recorded(options), more=more, where=where, stream=stream
    )


def _weeks(source: Path, subsample: str | None) -> Path:
    """The folder with `train/`."""
    found = sorted(path for path in source.rglob("train") if path.is_dir())
    if subsample:
        found = [path for path in found if path.parent.name == subsample]
    what = f"train/{f' in {subsample}/' if subsample else ''}"
    train = files.the_one(found, what, source, "--subsample, or move subsamples/ away for the whole")
    if not any(train.glob("*.parquet")):
        raise DataError(f"{train} has no .parquet files.")
    return train.parent


class AboutItems(Condition):
    """A condition on rows that looks at what a table says of the items as well."""

    def __init__(self, condition: Condition, about: Mapping[str, Mapping[str, str]]):
        self._rows, self._about, self.text = condition, about, condition.text
        self.columns = [*(column for column in condition.columns if column not in about), "item_id"]

    def __call__(self, row: Mapping[str, str]) -> bool:
        item = row["item_id"]
        more = {column: values.get(item, "") for column, values in self._about.items()}
        return self._rows({**row, **more})


def _about(condition: Condition, weeks: Path, metadata: Path | None) -> dict[str, dict[str, str]]:
    """column -> item -> what the metadata say there, of the condition's columns that the rows lack."""
    there = parquet.names(parquet.parts(weeks / "train")[0])
    absent = [column for column in condition.columns if column not in there]
    if not absent:
        return {}
    known = parquet.names(metadata) if metadata else []
    for column in absent:
        if column not in known:
            raise DataError(
                f"--where asks for the column {column!r}, which neither the rows ({', '.join(there)}) nor "
                f"items_metadata.parquet ({', '.join(known) or 'which is absent'}) have."
            )
    found: dict[str, dict[str, str]] = {column: {} for column in absent}
    form = TableForm(ids=["item_id"])
    for _, (item, *values) in read_rows(str(metadata), ["item_id", *absent], BadRows(False), form=form):
        for column, value in zip(absent, values, strict=True):
            found[column][item] = value
    return found
