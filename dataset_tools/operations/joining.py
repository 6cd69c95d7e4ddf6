"""`features`: a matrix from anywhere becomes a feature file of a data set, joined by id."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dataset_tools.dataset import provenance, summary
from dataset_tools.dataset.folder import being_written
from dataset_tools.dataset.reading import Dataset
from dataset_tools.errors import DataError
from dataset_tools.features.feature_file import FeatureWriter, check_modality, feature_path
from dataset_tools.features.feature_text import write_text
from dataset_tools.features.join import ItemIndex
from dataset_tools.features.sources.contract import Source
from dataset_tools.features.sources.opening import open_source
from dataset_tools.formats.hashing import hash_files
from dataset_tools.formats.matrices.checks import finite_rows
from dataset_tools.formats.text_file import BadRows
from dataset_tools.operations.row_ids import Rows, row_ids
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
    column: str | None = None,
    ids_key: str | None = None,
    half: bool = False,
    skip_bad: bool = False,
    force: bool = False,
) -> Path:
    """Write `<name>.<modality>.parquet` from any known format; returns the file.

    Rows without ids of their own are joined by a list of ids, by a file of (id, row number), or by the order
    of `<name>.item`, the last only on request, where that is the order of the source and the counts agree.

    `key` names the array of an archive or the id column of a table, `column` the column of vectors,
    `ids_key` the array of ids of an archive, or the column of the table `ids`.  With `skip_bad`, rows of
    unknown items, repeated rows and rows with NaN, infinity or huge values are left out and counted; else
    they are errors.
    """
    check_modality(modality)
    target = feature_path(dataset.folder, dataset.name, modality)
    if target.exists() and not force:
        raise DataError(f"{target} is there already; replace it with --force or choose another --modality.")
    bad = BadRows(skip_bad)
    given = Rows(ids, ids_key if ids else None, mapping, row_order)
    matrix = open_source(source, modality, key, bad, column, None if ids else ids_key)
    whose = row_ids(matrix, dataset, given)
    lists = [Path(path) for path in (ids, mapping) if path]
    files = [_matrix_record(Path(source)), *lists]
    options = {"modality": modality, "row_order": row_order, "key": key, "half": half, "skip_bad": skip_bad}
    options |= {"column": column, "ids_key": ids_key}
    check_modality(modality)
    with being_written(target):
        with FeatureWriter(target, modality, matrix.width, half) as writer:
            skipped = _write(writer, dataset, _pairs(matrix, whose), skip_bad) + bad.skipped
            if not writer.rows:
                if bad.skipped:
                    raise bad.nothing(source)
                raise DataError(f"{source} has no row for any item of {dataset.name}; check the ids.")
        counts = summary.of_dataset(dataset, {"rows left out": skipped} if skipped else None)
        provenance.record_step(dataset.folder, dataset.name, "features", options, files, counts)
    return target


def export_text(dataset: Dataset, modality: str, force: bool = False) -> Path:
    """Write a modality in RecBole's text form, `<name>.<modality>`, beside its Parquet file."""
    source = dataset.features(modality)
    target = dataset.folder / f"{dataset.name}.{modality}"
    if target.exists() and not force:
        raise DataError(f"{target} is there already; replace it with --force.")
    with being_written(target):
        write_text(target, source)
    return target


def _matrix_record(source: Path) -> Path | dict[str, Any]:
    """What the provenance takes: a file to hash, or one record for a folder of files."""
    return hash_files(source, sorted(source.glob("*.npy"))) if source.is_dir() else source


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
            raise _strangers(writer, dataset, unknown, some=bool(keep) or writer.rows > 0)
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


def _strangers(writer: FeatureWriter, dataset: Dataset, unknown: list[str], some: bool) -> DataError:
    """The sentence on rows of unknown items; leaving them out is advised where `some` others are known."""
    first = ", ".join(unknown[:3])
    if some:
        return DataError(
            f"The {writer.modality} features have rows of items that {dataset.name} lacks, first {first}; "
            "leave them out with --skip-bad."
        )
    return DataError(
        f"The {writer.modality} features belong to no item of {dataset.name}: their ids (first: {first}) are "
        f"not those of its items (first: {', '.join(dataset.items[:3])}); write both alike."
    )


def _first_rows(tokens: list[str], rows: list[int], seen: set[str]) -> list[int]:
    """Those of the rows whose ids were not seen before; now they are."""
    first = []
    for row in rows:
        if tokens[row] not in seen:
            seen.add(tokens[row])
            first.append(row)
    return first
