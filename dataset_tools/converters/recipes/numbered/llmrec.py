"""Netflix and MovieLens as LLMRec has them: JSON, CLIP and SBERT features, `item_attribute.csv`.

https://github.com/HKUDS/LLMRec; the code Apache-2.0, the data as the Netflix Prize's and GroupLens's.
`item_attribute.csv` has no header: the item's number, the year, the title (Netflix), or number, title, genres
(MovieLens); a title with commas may lack quotes.  `train_mat` and `augmented_*` are pickles, of no use here.
Posters: `encode --image clip/<model> --images DIR/Netflix_Posters`.
"""

import csv
import re
from pathlib import Path

from dataset_tools.converters import micro_layout
from dataset_tools.converters.declaration import converter, recorded
from dataset_tools.converters.numbered_items import Numbering
from dataset_tools.converters.recipes import files
from dataset_tools.converters.shared_options import FolderOptions
from dataset_tools.dataset.folder import DatasetFolder
from dataset_tools.errors import DataError
from dataset_tools.formats.atomic import clean
from dataset_tools.formats.text_file import reading

ATTRIBUTES = "item_attribute.csv"
_YEAR = re.compile(r"(\d{4})(?:\.0)?|NULL|nan|", re.IGNORECASE)


@converter("Netflix and MovieLens of LLMRec: JSON, *_feat.npy, item_attribute.csv", FolderOptions)
def convert(folder: DatasetFolder, options: FolderOptions) -> None:
    """Write the split, the features, and titles and texts of `item_attribute.csv`."""
    source = files.check_folder(options.source)
    attributes = source / ATTRIBUTES

    def titles(items: Numbering) -> dict[str, list[str]]:
        known = _attributes(attributes, len(items.tokens))
        rows = [known.get(number, ("", "")) for number in range(len(items.tokens))]
        return {"title:token_seq": [row[0] for row in rows], "text:token_seq": [row[1] for row in rows]}

    micro_layout.write(
        folder,
        micro_layout.MicroOptions(source=source, skip_bad=options.skip_bad, half=options.half),
        "convert llmrec",
        recorded(options),
        titles=(attributes, titles) if attributes.is_file() else None,
    )


def _attributes(path: Path, items: int) -> dict[int, tuple[str, str]]:
    """number -> (title, title and what else the row says)."""
    with reading(path) as file:
        lines = [line.rstrip("\r\n") for line in file]
    rows = [(n, next(csv.reader([line]))) for n, line in enumerate(lines, 1) if line.strip()]
    years = [_YEAR.fullmatch(row[1]) if len(row) > 2 else None for _, row in rows]
    found = {}
    for (line, row), year in zip(rows, years, strict=True):
        if len(row) < 2 or not row[0].isdecimal() or int(row[0]) >= items:
            raise DataError(
                f"{path}, line {line}: expected the number of one of {items:,} items and its title, got "
                f"{', '.join(row)[:60]}; this file belongs to other features, move it away."
            )
        if year and all(years):
            title, more = ", ".join(word.strip() for word in row[2:]), [year[1] or ""]
        else:
            title, more = row[1], [word.replace("|", " ") for word in row[2:]]
        found[int(row[0])] = clean(title), clean(" ".join([title, *more]))
    return found
