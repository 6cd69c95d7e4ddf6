"""MicroLens-1M of the MMCTR challenge: `train.parquet`, `valid.parquet`, `item_*.parquet`.

https://recsys.westlake.edu.cn/MicroLens_1M_MMCTR (WWW 2025); research only, no altered copies to be spread.
Its rows say whether a user clicked an item (`label`) after the items of a history (`item_seq`, filled up with
0; whole in `item_seq.parquet`).  The labels of `test.parquet` are not published.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dataset_tools.converters import plain_tables
from dataset_tools.converters import shared_options as shared
from dataset_tools.converters.declaration import converter, option, recorded
from dataset_tools.converters.numbered_items import remark_unread
from dataset_tools.converters.plain_tables import TableOptions
from dataset_tools.converters.recipes import files, vectors
from dataset_tools.dataset.folder import DatasetFolder
from dataset_tools.dataset.interactions import Builder, Interactions
from dataset_tools.errors import DataError
from dataset_tools.features.sources.opening import open_source
from dataset_tools.formats.tables import parquet
from dataset_tools.formats.text_file import BadRows
from dataset_tools.operations import table_rows
from dataset_tools.operations.conditions import Condition

USER, ITEM, HISTORY = "user_id", "item_id", "item_seq"
VECTORS = {  # column: modality
    "item_emb_d128": "content",
    "txt_emb_BERT": "textual",
    "img_emb_CLIPRN50": "visual",
}
CLICKED = "label = 1"
TITLES = ("item_title", "title")


@dataclass(frozen=True, kw_only=True)
class MmctrOptions(vectors.VectorOptions, shared.RecipeOptions):
    clicks_only: bool = option(False, "leave out the histories")


@converter("MicroLens-1M of the MMCTR challenge: train, valid, item_info.parquet and others", MmctrOptions)
def convert(folder: DatasetFolder, options: MmctrOptions) -> None:
    """Write histories and then the clicks of both parts, their order as time, titles and items' vectors."""
    source = files.check_folder(options.source)
    train, valid = _find(source, "train"), _find(source, "valid")
    if train is None or valid is None:
        raise DataError(
            f"{source} has no train.parquet and valid.parquet; --from names the published folder."
        )
    about, histories = _find(source, "item_feature"), _histories(source, options.clicks_only)
    title = next((name for name in TITLES if about and name in parquet.names(about)), None)
    table = TableOptions(
        interactions=train, user=USER, item=ITEM, where=CLICKED, order_is_time=True,
        items=about if title else None, title=title,
        **options.passed_on(),
    )  # fmt: skip

    def events(path: Path, item: str, where: str) -> Interactions:
        roles = table_rows.roles((), USER, item, None, None)
        reader = table_rows.Reader(roles, order_is_time=True, condition=Condition(where))
        return reader.read([path], [], BadRows(options.skip_bad))

    def choose(clicks: Interactions) -> Interactions:
        seen = [events(path, HISTORY, f"{HISTORY} != 0") for path in histories]
        return _one_after_another([*seen, clicks, events(valid, ITEM, CLICKED)])

    def more(found: Interactions) -> list[Path]:
        read = [*histories, valid]
        for path in filter(None, (_find(source, "item_info"), _find(source, "item_emb"))):
            for column in [name for name in VECTORS if name in parquet.names(path)]:
                matrix = open_source(path, VECTORS[column], ITEM, BadRows(False), column)
                vectors.write(folder, matrix, found, VECTORS[column], options)
                read.append(path)
        read = list(dict.fromkeys(read))
        remark_unread(folder, source, [train, *read, *([about] if title and about else [])])
        return [path for path in read if path != train]

    plain_tables.write(
        folder, table, "convert mmctr", recorded(options), only_used=True, more=more, choose=choose
    )


def _find(source: Path, stem: str) -> Path | None:
    return files.at_most_one(sorted(source.rglob(f"{stem}.parquet")), f"{stem}.parquet", source)


def _histories(source: Path, none: bool) -> list[Path]:
    """The files of histories: the whole ones where they are there, else those beside the rows."""
    found = filter(None, (_find(source, name) for name in (HISTORY, "train", "valid", "test")))
    having = [path for path in found if HISTORY in parquet.names(path)]
    if none:
        return []
    return having[:1] if having and having[0].stem == HISTORY else having


def _one_after_another(parts: Sequence[Interactions]) -> Interactions:
    """All of them, their order as time."""
    builder = Builder(timestamp=True)
    for part in map(Interactions.compact, parts):
        time = np.arange(len(builder), len(builder) + len(part), dtype=np.float64)
        builder.extend(part.users, part.user, part.items, part.item, timestamp=time)
    return builder.build()
