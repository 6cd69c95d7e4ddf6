"""Last.fm, DBbook and ML-1M of RecSys '25: `X.inter`, a file of vectors per encoder, tables of items.

Zenodo 15403972; for research.  Last.fm-2K has 1,858 users and 1,425 items.  `X.inter` (userID itemID
rating x_label) has numbers; `X_og_ids.inter` the same rows with the ids that `.json`, `.pkl` (`{id: vector}`)
and the tables use.  A `.npy` has one row per number.  `ml1m_full_extended_mapping.tsv` has names and the
addresses of posters, which `encode --download` fetches.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dataset_tools.converters import mmrec_layout
from dataset_tools.converters import shared_options as shared
from dataset_tools.converters.declaration import converter, option, recorded
from dataset_tools.converters.mmrec_layout import ITEM, USER, Columns
from dataset_tools.converters.recipes import files, vectors
from dataset_tools.dataset.folder import DatasetFolder
from dataset_tools.dataset.interactions import Interactions
from dataset_tools.dataset.item_table import ItemTable
from dataset_tools.errors import DataError
from dataset_tools.features.sources.contract import Source
from dataset_tools.features.sources.opening import open_source
from dataset_tools.features.sources.vectors import TorchVectors
from dataset_tools.formats.matrices.plain_objects import read_objects
from dataset_tools.formats.text_file import BadRows, csv_rows

ORIGINAL = "_og_ids"
POSTERS = "ml1m_full_extended_mapping.tsv"


@dataclass(frozen=True, kw_only=True)
class RecSys25Options(vectors.VectorOptions):
    items: str | Path | None = shared.items("table of items, such as text_X.tsv")
    item_key: str = option(
        ITEM,
        "its column of original ids, or itemID of the numbers (default: %(default)s)",
        type=shared.column,
    )
    title: str | None = shared.title()
    texts: Sequence[str] = shared.texts()


@converter("Last.fm, DBbook, ML-1M of RecSys '25: X.inter, .npy, .json or .pkl per encoder", RecSys25Options)
def convert(folder: DatasetFolder, options: RecSys25Options) -> None:
    """Write the split, every file of vectors as a modality called like it, names and posters' addresses."""
    source = files.check_folder(options.source)
    originals = files.at_most_one(sorted(source.glob(f"*{ORIGINAL}.inter")), f"X{ORIGINAL}.inter", source)
    posters = source / POSTERS
    table = ItemTable(options.items, options.title, options.texts)
    named = ItemTable(posters, "name", (), "img_url") if posters.is_file() and not options.items else None
    by_id = [path for path in sorted(source.iterdir()) if path.suffix in (".json", ".pkl")]
    by_id = [path for path in by_id if not path.with_suffix(".npy").is_file()]
    if by_id and originals is None and not (source / mmrec_layout.MAPPINGS[ITEM]).is_file():
        raise DataError(
            f"{by_id[0]} has original ids, which only X{ORIGINAL}.inter tells; put it beside X.inter."
        )

    def ids(rows: Columns) -> dict[str, list[str]]:
        return _ids(originals, rows) if originals else {}

    def about(items: Sequence[str]) -> dict[str, list[str]]:
        bad = BadRows(options.skip_bad)
        table.read(options.item_key, bad)
        keys = [str(number) for number in range(len(items))] if options.item_key == ITEM else items
        table.refuse_strangers(keys, source)
        columns = table.columns(keys)
        if named is not None:
            named.read("movie_id", bad)
            named.refuse_strangers(items, source)
            columns |= named.columns(items)
        return columns

    def more(found: Interactions) -> list[Path]:
        for path in by_id:
            vectors.write(folder, _vectors(path), found, path.stem, options)
        return by_id

    read = [path for path in (originals, table.path, posters if named else None) if path]
    mmrec_layout.write(
        folder,
        mmrec_layout.MMRecOptions(source=source, skip_bad=options.skip_bad, half=options.half),
        mmrec_layout.Recipe("convert recsys25", recorded(options), read, ids=ids, about=about, more=more),
    )


def _vectors(path: Path) -> Source:
    if path.suffix == ".json":
        return open_source(path, path.stem, None, BadRows(False))
    content = read_objects(path)
    if not isinstance(content, dict) or not content:
        raise DataError(f"{path} holds no dictionary of one vector for each id.")
    try:
        return TorchVectors(path, content)
    except (TypeError, ValueError):
        raise DataError(f"{path} holds no dictionary of one vector for each id.") from None


def _ids(path: Path, rows: Columns) -> dict[str, list[str]]:
    """The original ids by number: row n of this file is row n of `X.inter`."""
    table = csv_rows(path, "\t", True, BadRows(False))
    _, header = next(table, (1, []))
    if USER not in header or ITEM not in header:
        raise DataError(f"{path} has no columns {USER} and {ITEM}.")
    places = {kind: header.index(kind) for kind in (USER, ITEM)}
    found: dict[str, dict[int, str]] = {USER: {}, ITEM: {}}
    count = 0
    for line, row in table:
        if count == len(rows[ITEM]) or len(row) != len(header):
            raise DataError(f"{path}, line {line}: its rows are not those of the file of numbers beside it.")
        for kind, place in places.items():
            number = rows[kind][count]
            if found[kind].setdefault(number, row[place]) != row[place]:
                raise DataError(
                    f"{path}, line {line}: the number {number} stands for {found[kind][number]} and "
                    f"{row[place]}; its rows are not those of the file of numbers beside it."
                )
        count += 1
    return {kind: _listed(path, count == len(rows[ITEM]), numbers) for kind, numbers in found.items()}


def _listed(path: Path, whole: bool, numbers: dict[int, str]) -> list[str]:
    """The ids in the order of their numbers; DataError where one is absent or twice there."""
    if not whole or sorted(numbers) != list(range(len(numbers))) or len(set(numbers.values())) < len(numbers):
        raise DataError(
            f"{path} does not tell one id for each number; move it away to keep the numbers as ids."
        )
    return [numbers[number] for number in range(len(numbers))]
