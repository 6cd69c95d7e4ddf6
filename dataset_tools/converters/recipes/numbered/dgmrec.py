"""DGMRec's data with missing modalities: MMRec's folder and `missing_items_0.666.npy`.

https://github.com/ptkjw1997/DGMRec; no licence given.  The mask is a dictionary of item numbers by what they
lack: `t`, `v`, `a`, several letters for several modalities, `all` for every one.  By its script two thirds of
the items lack something, a quarter of these the text, a quarter the image, the rest both.  `X_del.inter`,
without the items that are new there, is not read: here a model is told which items lack what.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dataset_tools.converters import mmrec_layout
from dataset_tools.converters.declaration import converter, option, recorded
from dataset_tools.converters.recipes import files
from dataset_tools.converters.shared_options import FolderOptions
from dataset_tools.dataset.folder import DatasetFolder
from dataset_tools.errors import DataError
from dataset_tools.formats.matrices.plain_objects import read_objects

LETTERS = {"t": "textual", "v": "visual", "a": "acoustic"}
ALL = "all"


@dataclass(frozen=True, kw_only=True)
class DgmRecOptions(FolderOptions):
    mask: str | Path | None = option(
        None, "the file missing_items_*.npy, where there are several", recorded=False, metavar="F"
    )


@converter("DGMRec's missing modalities: MMRec's folder and missing_items_*.npy", DgmRecOptions)
def convert(folder: DatasetFolder, options: DgmRecOptions) -> None:
    """Write what `convert mmrec` writes, without the rows of the modalities that an item lacks."""
    source = files.check_folder(options.source)
    masks = [Path(options.mask)] if options.mask else sorted(source.glob("missing_items_*.npy"))
    if len(masks) > 1:
        names = ", ".join(path.name for path in masks)
        raise DataError(f"{source} has several masks ({names}); choose one with --mask.")
    if not masks or not masks[0].is_file():
        absent = masks[0] if masks else f"{source}/missing_items_*.npy"
        raise DataError(f"{absent} is missing; --from names MMRec's folder, in which it lies.")
    mask = _mask(masks[0])

    def missing(names: Sequence[str], items: int) -> Mapping[str, Collection[int]]:
        lacking: dict[str, set[int]] = {name: set() for name in names}
        for letters, numbers in mask.items():
            beyond = [number for number in numbers if number >= items]
            if beyond:
                raise DataError(f"{masks[0]} names the item {beyond[0]} of {items:,}; it is another set's.")
            for name in names if letters == ALL else [LETTERS[letter] for letter in letters]:
                if name not in lacking:
                    raise DataError(f"{masks[0]} is about {name}, of which {source} has no features.")
                lacking[name].update(numbers)
        for name, lack in lacking.items():
            folder.note(f"items lack {name} by {masks[0].name}", len(lack))
        return lacking

    mmrec_layout.write(
        folder,
        mmrec_layout.MMRecOptions(source=source, skip_bad=options.skip_bad, half=options.half),
        mmrec_layout.Recipe("convert dgmrec", recorded(options), masks, missing),
    )


def _mask(path: Path) -> dict[str, list[int]]:
    """letters or `all` -> item numbers."""
    found = read_objects(path)
    if not isinstance(found, dict):
        raise DataError(f"{path} holds no dictionary of item numbers, as DGMRec's masks do.")
    mask = {}
    for letters, numbers in found.items():
        values = np.asarray(list(numbers) if isinstance(numbers, (set, frozenset)) else numbers)
        known = letters == ALL or (isinstance(letters, str) and letters and set(letters) <= set(LETTERS))
        if not known or values.ndim != 1 or (len(values) and values.dtype.kind not in "iu"):
            raise DataError(
                f"{path}: {str(letters)[:20]!r} is no key of item numbers, as t, v, a, tv, all are."
            )
        if len(values) and values.min() < 0:
            raise DataError(f"{path}: {letters!r} has a number below 0.")
        mask[letters] = values.astype(np.int64).tolist()
    return mask
