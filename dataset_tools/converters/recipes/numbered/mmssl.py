"""TikTok and Allrecipes as MMSSL has them: `train.json`, `val.json`, `test.json`, `<modality>_feat.npy`.

https://github.com/HKUDS/MMSSL; the sources are closed, mirrors are linked there.  TikTok: 9,319 users, 6,710
items, 59,541 training interactions, image, audio and text of 128, 128 and 768 columns; Allrecipes: 19,805 x
10,067, 58,922, image and text of 2,048 and 20.  DA-MRS's `process.py` takes `test.json` for validation and
`val.json` for the test: `--swapped` makes the data set that its figures are of.
"""

from dataclasses import dataclass

import numpy as np

from dataset_tools.converters import micro_layout
from dataset_tools.converters.declaration import converter, option, recorded
from dataset_tools.converters.recipes import files
from dataset_tools.converters.shared_options import FolderOptions
from dataset_tools.dataset.folder import DatasetFolder
from dataset_tools.dataset.interactions import Interactions

COUNTS = {"tiktok": (9_319, 6_710, 59_541), "allrecipes": (19_805, 10_067, 58_922)}


@dataclass(frozen=True, kw_only=True)
class MmsslOptions(FolderOptions):
    swapped: bool = option(False, "test.json for validation and val.json for the test, as DA-MRS's code does")


@converter("TikTok and Allrecipes of MMSSL: train.json, val.json, test.json, *_feat.npy", MmsslOptions)
def convert(folder: DatasetFolder, options: MmsslOptions) -> None:
    """Write the split and every feature matrix; counts are compared where the folder's name tells which."""
    source = files.check_folder(options.source)
    known = COUNTS.get(source.resolve().name.lower())

    def compare(found: Interactions) -> None:
        if known:
            train = found.take(np.asarray(found.part) == 0)
            counts = len(np.unique(found.user)), len(found.items), len(train)
            verdict = "as published" if counts == known else "DIFFERENT from what is published"
            text = "{} of {}: {:,} users, {:,} items, {:,} training interactions"
            folder.remark(text.format(verdict, source.resolve().name, *known))

    micro_layout.write(
        folder,
        micro_layout.MicroOptions(source=source, skip_bad=options.skip_bad, half=options.half),
        "convert mmssl",
        recorded(options),
        swapped=options.swapped,
        counts=compare,
    )
