"""What the layouts share in which items are numbers: feature matrices with one row per number."""

from pathlib import Path

from dataset_tools.dataset.folder import DatasetFolder
from dataset_tools.errors import DataError
from dataset_tools.formats.arrays import NpyFile
from dataset_tools.formats.matrix_checks import finite_rows
from dataset_tools.progress import progress

REPEATED = "interactions repeat a pair of user and item, kept as in the source"
MODALITIES = {"image": "visual", "text": "textual", "audio": "acoustic", "acoustic": "acoustic"}


def modality_of(file: Path) -> str:
    """The modality of `image_feat.npy` and the like; the name itself where it is none of the usual ones."""
    stem = file.stem.removesuffix("_feat")
    return MODALITIES.get(stem, stem)


def write_in_order(
    folder: DatasetFolder,
    matrix: NpyFile,
    items: list[str],
    modality: str,
    half: bool,
    skip_bad: bool = False,
) -> int:
    """A modality whose row i belongs to `items[i]`; the number of rows that `skip_bad` left out for NaN."""
    if matrix.rows != len(items):
        raise DataError(
            f"{matrix.path} has {matrix.rows:,} rows for {len(items):,} items; it needs one for each number."
        )
    start = 0
    with folder.features(modality, matrix.width, half) as writer:
        for block in progress(matrix.blocks(), modality):
            tokens = items[start : start + len(block)]
            start += len(block)
            writer.write(*(finite_rows(tokens, block) if skip_bad else (tokens, block)))
        return start - writer.rows
