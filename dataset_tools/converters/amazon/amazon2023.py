"""Amazon Reviews 2023: reviews and metadata of a category as `.jsonl.gz`, items being `parent_asin`."""

from functools import partial
from pathlib import Path
from typing import Any

from dataset_tools.converters.amazon.reviews import item_columns, item_text, read_reviews
from dataset_tools.dataset.folder import DatasetFolder
from dataset_tools.errors import DataError
from dataset_tools.formats.records import RecordFile, json_object
from dataset_tools.operations import splits
from dataset_tools.operations.filtering import at_least, deduplicate, k_core

TEXT_FIELDS = ("title", "store", "categories", "features", "description")


def convert(
    reviews: str | Path,
    meta: str | Path,
    name: str,
    data_path: str | Path = "dataset",
    *,
    core: int = 5,
    min_rating: float | None = None,
    text: str = "tfidf",
    split: str = "paper",
    seed: int = 0,
    skip_bad: bool = False,
    half: bool = False,
    force: bool = False,
) -> Path:
    """Write the `core`-core of the reviews, titles, texts and the address of each item's first image."""
    with DatasetFolder(data_path, name, force) as folder:
        review_file = RecordFile(reviews, json_object, skip_bad)
        interactions, repeated = deduplicate(
            read_reviews(review_file, "user_id", "parent_asin", "rating", "timestamp")
        )
        if min_rating is not None:
            interactions = at_least(interactions, min_rating)
        interactions = k_core(interactions, core)
        if not len(interactions):
            raise DataError(f"{reviews} has no {core}-core; choose a smaller --k-core.")
        folder.write_interactions(splits.apply(interactions, split, seed))
        meta_file = RecordFile(meta, json_object, skip_bad)
        columns = item_columns(meta_file, "parent_asin", interactions.items, COLUMNS)
        folder.write_items(interactions.items, columns)
        folder.write_texts("textual", interactions.items, columns["text:token_seq"], text, half)
        options = {
            "k_core": core, "min_rating": min_rating, "text": text, "split": split, "seed": seed,
            "skip_bad": skip_bad, "half": half,
        }  # fmt: skip
        folder.note("repeated interactions dropped", repeated)
        sources = [review_file.record, meta_file.record]
        folder.note("broken records left out", review_file.skipped + meta_file.skipped)
        folder.record("convert amazon2023", options, sources)
    return folder.target


def _first_image(product: dict[str, Any]) -> str:
    """The first image's largest address."""
    images = product.get("images")
    first = images[0] if isinstance(images, list) and images else {}
    if not isinstance(first, dict):
        return ""
    return next(
        (first[size] for size in ("hi_res", "large", "thumb") if isinstance(first.get(size), str)), ""
    )


COLUMNS = {
    "title:token_seq": partial(item_text, fields=["title"]),
    "text:token_seq": partial(item_text, fields=TEXT_FIELDS),
    "image:token": _first_image,
}
