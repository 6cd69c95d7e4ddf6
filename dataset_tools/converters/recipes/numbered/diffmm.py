"""TikTok, Baby, Sports as DiffMM has them: `trnMat.pkl`, `valMat.pkl`, `tstMat.pkl`, `<modality>_feat.npy`.

https://github.com/HKUDS/DiffMM; sources as for MMSSL's and MMRec's sets.  A `.pkl` holds a sparse matrix
[users, items] of SciPy, an entry that is not 0 being a pair; it is opened by a reader that knows such
matrices and calls nothing that the file names.  `image_feat.npy.zip` is to be unpacked first.
"""

from pathlib import Path

import numpy as np
from scipy.sparse import issparse

from dataset_tools.converters.declaration import converter, recorded
from dataset_tools.converters.micro_layout import feature_files
from dataset_tools.converters.numbered_items import (
    check_rows,
    matrices,
    modality_of,
    numbering,
    remark_unread,
)
from dataset_tools.converters.recipes import files
from dataset_tools.converters.recipes.numbered import pairs
from dataset_tools.converters.shared_options import FolderOptions
from dataset_tools.dataset.folder import DatasetFolder
from dataset_tools.errors import DataError
from dataset_tools.formats.matrices.plain_objects import read_objects

PARTS = ("trnMat.pkl", "valMat.pkl", "tstMat.pkl")


@converter("DiffMM's TikTok, Baby, Sports: trnMat.pkl, valMat.pkl, tstMat.pkl, *_feat.npy", FolderOptions)
def convert(folder: DatasetFolder, options: FolderOptions) -> None:
    """Write the split, items and users by their numbers, and every feature matrix."""
    source = files.check_folder(options.source)
    paths = [source / name for name in PARTS]
    absent = next((path for path in paths if not path.is_file()), None)
    if absent is not None:
        raise DataError(f"{source} has no {absent.name}; --from names the folder of DiffMM's files.")
    packed = next(iter(sorted(source.glob("*_feat.npy.zip"))), None)
    if packed is not None and not packed.with_suffix("").is_file():
        raise DataError(f"{packed} is a zip archive; unpack it beside {PARTS[0]}.")
    with folder:
        parts = [_pairs(path) for path in paths]
        shapes = [shape for _, shape in parts]
        if len(set(shapes)) > 1:
            raise DataError(
                f"{source}: {', '.join(PARTS)} are matrices of {shapes[0]}, {shapes[1]} and {shapes[2]}, so "
                "they belong to different data sets."
            )
        users, count = shapes[0]
        found = matrices(feature_files(source))
        check_rows(found, count, gaps=False)
        names = [modality_of(path) for path in found.files]
        items = numbering(None, (), count)
        pairs.write(folder, [pair for pair, _ in parts], users, items, found, names, options)
        remark_unread(folder, source, [*paths, *found.files], found.remarks)
        folder.record("convert diffmm", recorded(options), [*paths, *found.files])


def _pairs(path: Path) -> tuple[np.ndarray, tuple[int, int]]:
    """The entries that are not 0 as pairs of user and item [n, 2], and the matrix's shape."""
    matrix = read_objects(path)
    if not issparse(matrix) or matrix.ndim != 2:
        raise DataError(f"{path} holds no sparse matrix of users and items.")
    matrix = matrix.tocsr().tocoo()
    there = matrix.data != 0
    return np.column_stack([matrix.row[there], matrix.col[there]]), matrix.shape
