"""MicroLens: pairs, titles and feature files as its authors publish them.

https://github.com/westlake-repl/MicroLens; for research, no redistribution of altered copies.  Users and
items are numbers from 1, times milliseconds.  Row r of a feature file is the video r + 1.  MMRec numbers the
videos anew: the rows of its `image_feat.npy` and `text_feat.npy` are those that `i_id_mapping.csv` tells.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dataset_tools.converters import plain_tables
from dataset_tools.converters import shared_options as shared
from dataset_tools.converters.declaration import converter, recorded
from dataset_tools.converters.numbered_items import modality_of, remark_unread
from dataset_tools.converters.plain_tables import TableOptions
from dataset_tools.converters.recipes import files, vectors
from dataset_tools.dataset.folder import DatasetFolder
from dataset_tools.dataset.interactions import Interactions
from dataset_tools.errors import DataError
from dataset_tools.features.sources.contract import Source
from dataset_tools.features.sources.opening import open_source
from dataset_tools.formats.id_lists import original_ids
from dataset_tools.formats.text_file import BadRows

COUNTS = {"microlens-50k": (50_000, 19_220, 359_708)}
OFFICIAL = re.compile(
    r"MicroLens.*?_(?:title_(?:en_)?)?(text|image|video|audio)_features_(.+)", re.IGNORECASE
)
MODALITIES = {"text": "textual", "image": "visual", "audio": "acoustic"}
MAPPING = "i_id_mapping.csv"


@dataclass(frozen=True, kw_only=True)
class MicroLensOptions(vectors.VectorOptions, shared.TextRecipeOptions):
    text: str | None = shared.encoded("the titles")


@converter(
    "MicroLens: pairs, titles and features as published, or MMRec's features with their list",
    MicroLensOptions,
)
def convert(folder: DatasetFolder, options: MicroLensOptions) -> None:
    """Write the pairs of `_pairs.csv`, or of `_pairs.tsv` in its order, titles, and every feature file.

    A feature file whose ids are not those of the pairs is refused, and so is one whose nearest neighbours are
    no more co-interacted than those of shuffled items: then its rows belong to other videos.
    """
    source = files.check_folder(options.source)
    tables = files.below(source, (".csv", ".tsv"))
    pairs = _pairs(tables, source)
    titles = files.at_most_one(
        [path for path in tables if re.search(r"_titles?(_en)?\.csv", path.name)], "table of titles", source
    )
    found_features = list(_features(source, tables))
    table = _table(options, pairs, titles)

    def more(found: Interactions) -> list[Path]:
        for path, modality, mapping in found_features:
            matrix = open_source(path, modality, None, BadRows(False))
            ids = _row_ids(matrix, mapping, found)
            if ids and mapping is None and not options.core:
                most = max(map(int, found.items))
                if most < len(ids):
                    folder.remark(
                        f"{path.name} has {len(ids):,} rows, but the pairs name no item beyond {most:,}; "
                        "check that both are of one size"
                    )
            vectors.write(folder, matrix, found, modality, options, ids)
        read = [path for path, _, _ in found_features]
        read += list({mapping for _, _, mapping in found_features if mapping})
        remark_unread(folder, source, filter(None, [pairs, titles, *read]))
        if not options.core:
            files.compare(folder, found, COUNTS, pairs.name.partition("_pairs")[0])
        return read

    plain_tables.write(folder, table, "convert microlens", recorded(options), more=more)


def _pairs(tables: list[Path], source: Path) -> Path:
    found = [path for path in tables if "_pairs." in path.name]
    csv = [path for path in found if ".csv" in path.name]
    if not found and any(source.glob("*.inter")):
        raise DataError(
            f"{source} has MMRec's files, no _pairs.csv: use python -m dataset_tools convert mmrec --from "
            f"{source} --name NAME."
        )
    return files.the_one(csv or found, "X_pairs.csv or .tsv", source)


def _table(options: MicroLensOptions, pairs: Path, titles: Path | None) -> TableOptions:
    """How the tables are read: `.tsv` and some titles have no header."""
    by_lines = ".tsv" in pairs.name
    headed = titles is not None and "title" in files.first_line(titles).split(",")
    key = files.first_line(titles).split(",")[0] if titles and headed else "item"
    return TableOptions(
        interactions=pairs,
        columns=("user", "items") if by_lines else (),
        user="user",
        item="items" if by_lines else "item",
        time=None if by_lines else "timestamp",
        time_unit="s" if by_lines else "ms",
        order_is_time=by_lines,
        items=titles,
        item_columns=("item", "title") if titles and not headed else (),
        item_key=key,
        title="title" if titles else None,
        texts=("title",) if titles and options.text else (),
        **options.passed_on(),
    )


def _features(source: Path, tables: list[Path]) -> Iterator[tuple[Path, str, Path | None]]:
    """(file, modality, the list of ids that it needs or None for the authors' order)."""
    paths = files.below(source, (".npy", ".json"))
    paths = [path for path in paths if path.suffix == ".npy" or path.with_suffix(".npy") not in paths]
    official = [(path, OFFICIAL.match(path.stem)) for path in paths]
    kinds = [match[1].lower() for _, match in official if match]
    for path, match in official:
        if match:
            kind = match[1].lower()
            name = MODALITIES.get(kind, kind)
            several = kinds.count(kind) > 1 or any(other.stem.startswith(f"{kind}_feat") for other in paths)
            yield path, f"{name}_{match[2]}" if several else name, None
        elif "_feat" in path.stem and path.suffix == ".npy":
            mapping = next((one for one in (path.parent / MAPPING, source / MAPPING) if one.is_file()), None)
            if mapping is None:
                raise DataError(
                    f"{path} has rows in MMRec's order, which only {MAPPING} tells: put that file beside it, "
                    "or take the features of MicroLens's authors."
                )
            yield path, modality_of(path), mapping


def _row_ids(source: Source, mapping: Path | None, found: Interactions) -> list[str] | None:
    """The id of each row, None where the source names them; DataError where an item has none."""
    if source.rows is None:
        return None
    if mapping is not None:
        ids = original_ids(mapping, 0, "itemID")
        if len(ids) != source.rows:
            raise DataError(
                f"{source.path} has {source.rows:,} rows for {len(ids):,} numbers in {mapping.name}."
            )
        return ids
    beyond = [item for item in found.items if not (item.isdecimal() and 1 <= int(item) <= source.rows)]
    if beyond:
        raise DataError(
            f"{source.path} has rows of the items 1 to {source.rows:,}, but {len(beyond):,} others are in "
            f"the pairs, first {beyond[0]}: it belongs to other files (MMRec's, or another size)."
        )
    return [str(number + 1) for number in range(source.rows)]
