"""Amazon product data of 2014: 5-core reviews (JSON), metadata (Python literals) and image features."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from dataset_tools.converters import download
from dataset_tools.converters import shared_options as shared
from dataset_tools.converters.amazon.image_features import WIDTH, ImageFile
from dataset_tools.converters.amazon.reviews import item_columns, item_text, read_reviews
from dataset_tools.converters.declaration import converter, option, recorded
from dataset_tools.dataset.catalog import AMAZON_2014, KNOWN, KnownDataset
from dataset_tools.dataset.folder import DatasetFolder
from dataset_tools.errors import DataError
from dataset_tools.formats.records import RecordFile, json_object, python_literal
from dataset_tools.operations.filtering import deduplicate
from dataset_tools.operations.splitting import splits

REVIEW_FIELDS = ("reviewerID", "asin", "overall", "unixReviewTime")
TEXT_FIELDS = ("title", "brand", "categories", "description")
_ASIN_FIRST = re.compile(r"""\{\s*['"]asin['"]:\s*['"]([^'"\\]*)['"]""")


def file_names(category: str) -> dict[str, str]:
    """Paths below the base address, by role."""
    return {
        "reviews": f"categoryFiles/reviews_{category}_5.json.gz",
        "meta": f"categoryFiles/meta_{category}.json.gz",
        "images": f"image_features/categoryFiles/image_features_{category}.b",
    }


def prepare(
    known: KnownDataset,
    data_path: str | Path = "dataset",
    *,
    raw: str | Path | None = None,
    mirror: str | None = None,
    **options: Any,
) -> Path:
    """Download the category's three files, or take them from the folder `raw`, and convert them."""
    paths = list(file_names(known.source).values())
    DatasetFolder(data_path, known.name, options.get("force", False))  # refused before the download
    if raw is None:
        raw = Path(data_path) / "raw"
        download.fetch(mirror or AMAZON_2014, paths, raw)
    return convert(raw, known.source, known.name, data_path, **options)


def to_download(known: KnownDataset, data_path: str | Path = "dataset") -> tuple[int, int | None, str]:
    """(files that `prepare` would fetch, their bytes or None where the server does not tell, the server)."""
    paths = file_names(known.source).values()
    return *download.remaining(AMAZON_2014, [*paths], Path(data_path) / "raw"), AMAZON_2014


@dataclass(frozen=True, kw_only=True)
class Amazon2014Options:
    """Options of `convert amazon2014`."""

    raw: str | Path = option(help="folder of the three files", source=True, metavar="DIR")
    category: str = option(help="X in the files' names", source=True, recorded=True)
    text: str = shared.encoder()
    official_text: bool = option(False, "the text order of MICRO's code, title doubled")
    seed: int = shared.seed()
    official_images: bool = option(False, "a missing image gets the mean of the others")
    split: str = shared.split()
    skip_bad: bool = shared.skip_bad()
    half: bool = shared.half()


@converter("Amazon 2014: reviews_X_5.json.gz, meta_X.json.gz, image_features_X.b", Amazon2014Options)
def convert(folder: DatasetFolder, options: Amazon2014Options) -> None:
    """Write interactions with ratings and times, titles and texts, and the modalities visual and textual.

    Text is title, brand, categories, description; `official_text` takes the order of MICRO's code, which
    repeats the title where there is a brand.  An item without an image has no row in visual;
    `official_images` gives it the mean of the others.
    """
    files = {
        role: Path(options.raw) / path.rsplit("/", 1)[1]
        for role, path in file_names(options.category).items()
    }
    for path in files.values():
        if not path.is_file():
            raise DataError(
                f"{path} is missing; get it from {AMAZON_2014}, or let python -m dataset_tools prepare "
                "download it."
            )
    with folder:
        reviews = RecordFile(files["reviews"], json_object, options.skip_bad, fields=REVIEW_FIELDS)
        found = read_reviews(reviews, *REVIEW_FIELDS)
        interactions, repeated = deduplicate(found)
        folder.write_interactions(splits.apply(interactions, options.split, options.seed))
        items = interactions.items
        meta = RecordFile(files["meta"], python_literal, options.skip_bad, _asin_in(frozenset(items)))
        make_text = _official_text if options.official_text else partial(item_text, fields=TEXT_FIELDS)
        make = {"title:token_seq": partial(item_text, fields=["title"]), "text:token_seq": make_text}
        columns = item_columns(meta, "asin", items, make)
        folder.write_items(items, columns)
        folder.write_texts("textual", items, columns["text:token_seq"], options.text, options.half)
        images = ImageFile(files["images"], options.skip_bad)
        _write_images(folder, images, items, options.official_images, options.half)
        folder.note("broken records left out", reviews.skipped + meta.skipped + images.skipped)
        folder.note("repeated interactions dropped", repeated)
        folder.note("repeated images ignored", images.repeated)
        sources = [reviews.record, meta.record, images.record]
        folder.record(f"prepare {folder.name}", recorded(options), sources, KNOWN.get(folder.name))


def _asin_in(items: frozenset[str]) -> Callable[[str], bool]:
    """A cheap look at a metadata line, so that only those of the data set's items are parsed."""

    def wanted(line: str) -> bool:
        found = _ASIN_FIRST.match(line)
        return found is None or found[1] in items

    return wanted


def _official_text(product: dict[str, Any]) -> str:
    """MICRO's order: categories, title, the title again in the brand's place, description."""
    order = ("categories", "title", *(("title",) if "brand" in product else ()), "description")
    return item_text(product, order)


def _write_images(
    folder: DatasetFolder, images: ImageFile, items: list[str], official: bool, half: bool
) -> None:
    """The modality visual; items without an image get no row, or with `official` the mean of the others."""
    absent = dict.fromkeys(items)
    total = np.zeros(WIDTH)
    with folder.features("visual", WIDTH, half) as writer:
        for tokens, values in images.blocks(frozenset(items)):
            writer.write(tokens, values)
            for token in tokens:
                del absent[token]
            if official:
                total += values.sum(axis=0, dtype=np.float64)
        if not writer.rows:
            raise DataError(f"{images.path} has no image of any item in the reviews; check the category.")
        if official and absent:
            mean, rest = (total / writer.rows)[np.newaxis], list(absent)
            writer.write(rest, np.broadcast_to(mean, (len(rest), WIDTH)))
