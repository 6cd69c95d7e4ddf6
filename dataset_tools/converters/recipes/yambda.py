"""Yambda, Yandex's music: `{flat,sequential}/50m/{likes,listens,dislikes}.parquet`, vectors of the tracks.

https://huggingface.co/datasets/yandex/yambda; Apache-2.0.  1 M users, 9.39 M tracks, of which 7.72 M have
vectors.  Columns uid, item_id, timestamp (in steps of 5 s), is_organic, of listens also played_ratio_pct,
which may pass 100.  A like counts until an unlike that comes later; a listen counts from half of the track.
`multi_event.parquet` has events of all kinds; it is read where the kind's own file is absent.
`sequential/` has the same events with one row a user and lists for the other columns.  The official split, by
a moment that is one for all users, is not in the files.
"""

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
from dataset_tools.dataset.interactions import Interactions
from dataset_tools.features.sources.opening import open_source
from dataset_tools.formats.tables import parquet
from dataset_tools.formats.text_file import BadRows
from dataset_tools.operations import table_rows
from dataset_tools.operations.conditions import Condition

UNIT = "5s"
WHERE = {"likes": None, "dislikes": None, "listens": "played_ratio_pct >= 50"}
UNDONE = {"likes": "unlikes", "dislikes": "undislikes"}
COLUMNS = (("item_id", "item_ids"), ("timestamp", "timestamps"))  # of one event, or of a user's
MIXED = "multi_event"  # all kinds, which its column event_type tells
VECTORS = ("normalized_embed", "embed")


@dataclass(frozen=True, kw_only=True)
class YambdaOptions(vectors.VectorOptions, shared.RecipeOptions):
    kind: str = option("likes", "which events are the interactions (default: %(default)s)", choices=[*WHERE])
    size: str | None = option(None, "which of several sizes there: 50m, 500m, 5b")
    where: str | None = option(
        None,
        "which events count (default: of listens 'played_ratio_pct >= 50', else all)",
        type=shared.column,
    )
    column: str = option(
        "normalized_embed", "which column of embeddings.parquet (default: %(default)s)", choices=VECTORS
    )


@converter(
    "Yambda: flat/ or sequential/SIZE/likes.parquet or listens.parquet, embeddings.parquet", YambdaOptions
)
def convert(folder: DatasetFolder, options: YambdaOptions) -> None:
    """Write the events of one kind with times in seconds, and the tracks' vectors as the modality audio.

    Where the events are there in both forms, `flat` is read.
    """
    source = files.check_folder(options.source)
    named = _named(source, options.kind, options.size) or _named(source, MIXED, options.size)
    what = f"{options.kind}.parquet{f' in {options.size}/' if options.size else ''}"
    events = files.the_one(named, what, source, "--size")
    undone = _undone(events, options.kind)
    embeddings = files.at_most_one(_named(source, "embeddings"), "embeddings.parquet", source)
    item, time = (_column(events, names) for names in COLUMNS)
    table = TableOptions(
        interactions=events, user="uid", item=item, time=time, time_unit=UNIT,
        where=_where(events, options.kind, options.where or WHERE[options.kind]),
        **options.passed_on(),
    )  # fmt: skip

    def choose(found: Interactions) -> Interactions:
        if undone is None:
            return found
        roles = table_rows.roles((), "uid", item, None, time)
        where = _where(undone, UNDONE[options.kind], None)
        reader = table_rows.Reader(roles, time_unit=UNIT, condition=Condition(where) if where else None)
        later = reader.read([undone], [], BadRows(options.skip_bad), least=0)
        kept = _still(found, later)
        folder.note(f"events taken back by {undone.name}", int((~kept).sum()))
        return found.take(kept).compact()

    def more(found: Interactions) -> list[Path]:
        read = list(dict.fromkeys(filter(None, [events, undone, embeddings])))
        if embeddings:
            matrix = open_source(embeddings, "audio", "item_id", BadRows(False), options.column)
            vectors.write(folder, matrix, found, "audio", options, None)
        remark_unread(folder, source, read)
        return read[1:]

    plain_tables.write(folder, table, "convert yambda", recorded(options), more=more, choose=choose)


def _named(source: Path, stem: str, size: str | None = None) -> list[Path]:
    """The files of this name and of one size, those with one row a user only where there is no other."""
    found = sorted(source.rglob(f"{stem}.parquet"))
    found = [path for path in found if size is None or size.lower() in path.parts]
    return [path for path in found if "sequential" not in path.parts] or found


def _undone(events: Path, kind: str) -> Path | None:
    """The file that takes events of this kind back, None without one."""
    if kind not in UNDONE:
        return None
    if events.stem == MIXED:
        return events
    file = events.with_name(f"{UNDONE[kind]}.parquet")
    return file if file.is_file() else None


def _where(events: Path, kind: str, where: str | None) -> str | None:
    """Which rows of a file are of this kind, and fulfil `where`."""
    of_kind = f"event_type = '{kind[:-1]}'" if events.stem == MIXED else None
    return " and ".join(f"({one})" for one in (of_kind, where) if one) or None


def _column(events: Path, names: tuple[str, ...]) -> str:
    there = parquet.names(events)
    return next((name for name in names if name in there), names[0])


def _still(found: Interactions, undone: Interactions) -> np.ndarray:
    """Which events were not taken back later, bool [n]."""
    last: dict[tuple[str, str], float] = {}
    times = (one.timestamp if one.timestamp is not None else np.zeros(len(one)) for one in (undone, found))
    for user, item, time in zip(undone.user, undone.item, next(times), strict=True):
        pair = undone.users[user], undone.items[item]
        last[pair] = max(time, last.get(pair, time))
    rows = zip(found.user, found.item, next(times), strict=True)
    never = -np.inf
    return np.array([time >= last.get((found.users[u], found.items[i]), never) for u, i, time in rows], bool)
