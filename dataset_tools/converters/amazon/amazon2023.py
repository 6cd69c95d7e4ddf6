"""Amazon Reviews 2023: reviews and metadata of a category as `.jsonl.gz`, items being `parent_asin`."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from dataset_tools.converters import shared_options as shared
from dataset_tools.converters.amazon.reviews import item_columns, item_text, read_reviews
from dataset_tools.converters.declaration import converter, option, recorded
from dataset_tools.dataset.folder import DatasetFolder
from dataset_tools.errors import DataError
from dataset_tools.formats.records import RecordFile, json_object
from dataset_tools.operations import splits
from dataset_tools.operations.filtering import at_least, deduplicate, k_core

REVIEW_FIELDS = ("user_id", "parent_asin", "rating", "timestamp")
TEXT_FIELDS = ("title", "store", "categories", "features", "description")


@dataclass(frozen=True, kw_only=True)
class Amazon2023Options:
    """Options of `convert amazon2023`."""

    reviews: str | Path = option(help="X.jsonl.gz", source=True, metavar="F")
    meta: str | Path = option(help="meta_X.jsonl.gz", source=True, metavar="F")
    core: int = shared.k_core(5)
    min_rating: float | None = shared.min_rating()
    text: str = shared.encoder()
    split: str = shared.split()
    seed: int = shared.seed()
    skip_bad: bool = shared.skip_bad()
    half: bool = shared.half()


@converter("Amazon Reviews 2023: reviews and metadata as .jsonl.gz", Amazon2023Options)
def convert(folder: DatasetFolder, options: Amazon2023Options) -> None:
    """Write the `core`-core of the reviews, titles, texts and the address of each item's first image."""
    with folder:
        review_file = RecordFile(options.reviews, json_object, options.skip_bad, fields=REVIEW_FIELDS)
        interactions, repeated = deduplicate(read_reviews(review_file, *REVIEW_FIELDS))
        if options.min_rating is not None:
            interactions = at_least(interactions, options.min_rating)
        interactions = k_core(interactions, options.core)
        if not len(interactions):
            raise DataError(f"{options.reviews} has no {options.core}-core; choose a smaller --k-core.")
        folder.write_interactions(splits.apply(interactions, options.split, options.seed))
        meta_file = RecordFile(options.meta, json_object, options.skip_bad, fields=["parent_asin"])
        columns = item_columns(meta_file, "parent_asin", interactions.items, COLUMNS)
        folder.write_items(interactions.items, columns)
        texts = columns["text:token_seq"]
        folder.write_texts("textual", interactions.items, texts, options.text, options.half)
        folder.note("repeated interactions dropped", repeated)
        sources = [review_file.record, meta_file.record]
        folder.note("broken records left out", review_file.skipped + meta_file.skipped)
        folder.record("convert amazon2023", recorded(options), sources)


def _first_image(product: dict[str, Any]) -> str:
    """The first image's largest address."""
    images = product.get("images")
    first = images[0] if isinstance(images, list) and images else {}
    if not isinstance(first, dict):
        return ""
    return next(
        (first[size] for size in ("hi_res", "large", "thumb") if isinstance(first.get(size), str)), ""
    )


COLUMNS: dict[str, Callable[[dict[str, Any]], str]] = {
    "title:token_seq": partial(item_text, fields=["title"]),
    "text:token_seq": partial(item_text, fields=TEXT_FIELDS),
    "image:token": _first_image,
}
