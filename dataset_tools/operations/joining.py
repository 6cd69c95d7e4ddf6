"""`features`: a matrix from anywhere becomes a feature file of a data set, joined by id."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dataset_tools.dataset import provenance, summary
from dataset_tools.dataset.reading import Dataset
from dataset_tools.errors import DataError
from dataset_tools.features.feature_file import FeatureWriter, feature_path
from dataset_tools.features.feature_text import write_text
from dataset_tools.features.join import ItemIndex
from dataset_tools.features.sources import Source, open_source
from dataset_tools.formats.hashing import hash_files
from dataset_tools.formats.id_lists import original_ids, read_list
from dataset_tools.formats.matrix_checks import finite_rows
from dataset_tools.formats.text_file import BadRows
from dataset_tools.progress import progress


def add_features(
    dataset: Dataset,
    modality: str,
    source: str | Path,
    *,
    ids: str | Path | None = None,
    mapping: str | Path | None = None,
    row_order: bool = False,
    key: str | None = None,
    half: bool = False,
    skip_bad: bool = False,
    force: bool = False,
) -> Path:
    """Write `<name>.<modality>.parquet` from any known format; returns the file.

    Rows without ids of their own are joined by a list of ids, by a file of (id, row number), or by the order
    of `<name>.item`, the last only on request and where the counts agree.  With `skip_bad`, rows of unknown
    items, repeated rows and rows with NaN or infinity are left out and counted; else they are errors.
    """
    target = feature_path(dataset.folder, dataset.name, modality)
    if target.exists() and not force:
        raise DataError(f"{target} is there already; replace it with --force or choose another --modality.")
    bad = BadRows(skip_bad)
    matrix = open_source(source, modality, key, bad)
    row_ids = _row_ids(matrix, dataset, ids, mapping, row_order)
    with FeatureWriter(target, modality, matrix.width, half) as writer:
        skipped = _write(writer, dataset, _pairs(matrix, row_ids), skip_bad) + bad.skipped
        if not writer.rows:
            raise DataError(f"{source} has no row for any item of {dataset.name}; check the ids.")
    lists = [Path(path) for path in (ids, mapping) if path]
    files = [_matrix_record(Path(source)), *lists]
    options = {"modality": modality, "row_order": row_order, "key": key, "half": half, "skip_bad": skip_bad}
    counts = summary.of_dataset(dataset, {"rows left out": skipped} if skipped else None)
    provenance.record_step(dataset.folder, dataset.name, "features", options, files, counts)
    return target


def export_text(dataset: Dataset, modality: str, force: bool = False) -> Path:
    """Write a modality in RecBole's text form, `<name>.<modality>`, beside its Parquet file."""
    source = dataset.features(modality)
    target = dataset.folder / f"{dataset.name}.{modality}"
    if target.exists() and not force:
        raise DataError(f"{target} is there already; replace it with --force.")
    partial = target.with_name(f".{target.name}.partial")
    write_text(partial, source)
    partial.replace(target)
    return target


def _matrix_record(source: Path) -> Path | dict[str, Any]:
    """What the provenance takes: a file to hash, or one record for a folder of files."""
    return hash_files(source, sorted(source.glob("*.npy"))) if source.is_dir() else source


def _row_ids(
    matrix: Source,
    dataset: Dataset,
    ids: str | Path | None,
    mapping: str | Path | None,
    row_order: bool,
) -> list[str] | None:
    """The id of every row, or None where the source brings its own."""
    asked = [
        name for name, given in (("--ids", ids), ("--mapping", mapping), ("--row-order", row_order)) if given
    ]
    if matrix.rows is None:
        if asked:
            raise DataError(f"{matrix.path} has ids of its own; leave out {asked[0]}.")
        return None
    if len(asked) != 1:
        raise DataError(
            f"{matrix.path} has rows without ids; say whose they are with --ids, --mapping or --row-order."
        )
    if ids:
        found, where = read_list(Path(ids)), f"ids in {ids}"
    elif mapping:
        found, where = original_ids(Path(mapping), 0, "itemID"), f"numbers in {mapping}"
    else:
        found, where = dataset.items, f"items in {dataset.name}"
    if len(found) != matrix.rows:
        raise DataError(
            f"{matrix.path} has {matrix.rows:,} rows for {len(found):,} {where}; they must agree."
        )
    return found


def _pairs(matrix: Source, row_ids: list[str] | None) -> Iterator[tuple[list[str], np.ndarray]]:
    start = 0
    for tokens, values in progress(matrix.blocks(), matrix.path.name):
        if tokens is None:  # so `row_ids` are there
            tokens = (row_ids or [])[start : start + len(values)]
            start += len(values)
        yield tokens, values


def _write(
    writer: FeatureWriter, dataset: Dataset, pairs: Iterator[tuple[list[str], np.ndarray]], skip_bad: bool
) -> int:
    """Write the rows of known items; the number of rows left out."""
    known, skipped = ItemIndex(dataset.items), 0
    seen: set[str] = set()
    for tokens, values in pairs:
        keep = known.match(tokens)[0].tolist()
        if len(keep) < len(tokens) and not skip_bad:
            unknown = [tokens[row] for row in sorted(set(range(len(tokens))) - set(keep))]
            raise DataError(
                f"The {writer.modality} features have rows of items that {dataset.name} lacks, first "
                f"{', '.join(unknown[:3])}; leave them out with --skip-bad."
            )
        if skip_bad:
            keep = _first_rows(tokens, keep, seen)
        before = len(tokens)
        if len(keep) < before:
            tokens, values = [tokens[row] for row in keep], values[keep]
        if skip_bad:
            tokens, values = finite_rows(tokens, values)
        skipped += before - len(tokens)
        writer.write(tokens, values)
    return skipped


def _first_rows(tokens: list[str], rows: list[int], seen: set[str]) -> list[int]:
    """Those of the rows whose ids were not seen before; now they are."""
    first = []
    for row in rows:
        if tokens[row] not in seen:
            seen.add(tokens[row])
            first.append(row)
    return first
