"""Amazon Reviews 2023: reviews and metadata of a category as `.jsonl.gz`, items being `parent_asin`.

https://amazon-reviews-2023.github.io; the site's terms; 33 categories.  `review_categories/X.jsonl.gz` and
`meta_categories/meta_X.jsonl.gz`; times are milliseconds, of several reviews of an item the earliest counts,
as in the published benchmark.
"""

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
from dataset_tools.operations.filtering import at_least, k_core, merge
from dataset_tools.operations.splitting import splits

REVIEW_FIELDS = ("user_id", "parent_asin", "rating", "timestamp")
PER_SECOND = 1000
TEXT_FIELDS = ("title", "store", "categories", "features", "description")


@dataclass(frozen=True, kw_only=True)
class Amazon2023Options:
    """Options of `convert amazon2023`."""

    reviews: str | Path | None = option(None, "X.jsonl.gz", source=True, metavar="F")
    meta: str | Path | None = option(None, "meta_X.jsonl.gz", source=True, metavar="F")
    source: str | Path | None = option(
        None,
        "folder of the files, in place of --reviews and --meta",
        recorded=False,
        flag="--from",
        metavar="DIR",
    )
    category: str | None = option(None, "with --from: X in the files' names")
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
    reviews, meta = _files(options)
    with folder:
        review_file = RecordFile(reviews, json_object, options.skip_bad, fields=REVIEW_FIELDS)
        interactions, repeated = merge(read_reviews(review_file, *REVIEW_FIELDS, PER_SECOND))
        if options.min_rating is not None:
            interactions = at_least(interactions, options.min_rating)
        interactions = k_core(interactions, options.core)
        if not len(interactions):
            raise DataError(f"{reviews} has no {options.core}-core; choose a smaller --k-core.")
        folder.write_interactions(splits.apply(interactions, options.split, options.seed))
        meta_file = RecordFile(meta, json_object, options.skip_bad, fields=["parent_asin"])
        columns = item_columns(meta_file, "parent_asin", interactions.items, COLUMNS)
        folder.write_items(interactions.items, columns)
        texts = columns["text:token_seq"]
        folder.write_texts("textual", interactions.items, texts, options.text, options.half)
        folder.note("repeated interactions dropped", repeated)
        sources = [review_file.record, meta_file.record]
        folder.note("broken records left out", review_file.skipped + meta_file.skipped)
        folder.record("convert amazon2023", recorded(options), sources)


def _files(options: Amazon2023Options) -> tuple[Path, Path]:
    """The reviews and the metadata, named or found below a folder."""
    if options.source is None:
        if options.reviews is None or options.meta is None:
            absent = "--reviews" if options.reviews is None else "--meta"
            raise DataError(f"{absent} is missing; name both files, or a folder with --from and --category.")
        return Path(options.reviews), Path(options.meta)
    if options.category is None or options.reviews or options.meta:
        raise DataError("--from needs --category, and neither --reviews nor --meta.")
    names = f"{options.category}.jsonl", f"meta_{options.category}.jsonl"
    found = []
    for name in names:
        paths = sorted(path for end in ("", ".gz") for path in Path(options.source).rglob(name + end))
        if len(paths) != 1:
            raise DataError(
                f"{options.source} has {len(paths)} files {name}.gz; --from names the folder of "
                "review_categories/ and meta_categories/, --category what stands for X."
            )
        found.append(paths[0])
    return found[0], found[1]


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
