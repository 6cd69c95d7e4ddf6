"""Known data sets: where they come from, what they should count, and how to prepare them."""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from dataset_tools.errors import DataError
from dataset_tools.progress import readable

AMAZON_2014 = "https://snap.stanford.edu/data/amazon/productGraph"


@dataclass(frozen=True)
class KnownDataset:
    """A data set that `prepare` can make.

    `module` has `prepare(known, data_path, **options) -> Path`.  `counts` is (users, items, interactions) of
    the whole data set, `table3` the same in the MICRO paper's Table 3, which leaves the validation part out.
    """

    name: str
    title: str
    module: str
    needs_download: bool
    source: str = ""
    counts: tuple[int, int, int] | None = None
    table3: tuple[int, int, int] | None = None


Counts = tuple[int, int, int] | None


def _amazon(name: str, category: str, counts: Counts = None, table3: Counts = None) -> KnownDataset:
    title = f"Amazon 2014, {category.replace('_', ' ')}, 5-core"
    module = "dataset_tools.converters.amazon.amazon2014"
    return KnownDataset(name, title, module, True, category, counts, table3)


# Categories of the Amazon 2014 data with a 5-core file, beside the paper's three
AMAZON_2014_CATEGORIES = [
    "Amazon_Instant_Video",
    "Apps_for_Android",
    "Automotive",
    "Beauty",
    "Books",
    "CDs_and_Vinyl",
    "Cell_Phones_and_Accessories",
    "Digital_Music",
    "Electronics",
    "Grocery_and_Gourmet_Food",
    "Health_and_Personal_Care",
    "Home_and_Kitchen",
    "Kindle_Store",
    "Movies_and_TV",
    "Musical_Instruments",
    "Office_Products",
    "Patio_Lawn_and_Garden",
    "Pet_Supplies",
    "Tools_and_Home_Improvement",
    "Toys_and_Games",
    "Video_Games",
]

KNOWN: dict[str, KnownDataset] = {
    known.name: known
    for known in (
        KnownDataset(
            "ml-100k",
            "MovieLens 100K",
            "dataset_tools.converters.movielens",
            needs_download=False,
            counts=(943, 1682, 100000),
        ),
        _amazon("baby", "Baby", (19445, 7050, 160792), (19445, 7050, 139110)),
        _amazon("sports", "Sports_and_Outdoors", (35598, 18357, 296337), (35598, 18357, 256308)),
        _amazon("clothing", "Clothing_Shoes_and_Jewelry", (39387, 23033, 278677), (39387, 23033, 237488)),
        *(_amazon(category, category) for category in AMAZON_2014_CATEGORIES),
    )
}


def is_known(name: str) -> bool:
    """Whether `prepare(name)` knows how to make this data set."""
    return name in KNOWN


def to_download(name: str, data_path: str | Path = "dataset") -> str:
    """What `prepare(name)` would fetch, for people: `3 files, 1.2 GB, from ...`; asks the server."""
    known = KNOWN[name]
    files, size, base = import_module(known.module).to_download(known, data_path)
    if not files:
        return "everything is downloaded already"
    much = "of unknown size" if size is None else readable(size)
    return f"{files} {'file' if files == 1 else 'files'}, {much}, from {base}"


def prepare(name: str, data_path: str | Path = "dataset", **options: Any) -> Path:
    """Make the known data set `name` in `data_path`; its folder.

    `options` are those of the data set's own `prepare` (`force`, and for downloads `raw` and `mirror`).
    """
    if name not in KNOWN:
        raise DataError(
            f"The data set {name!r} is not in the catalogue ({', '.join(list(KNOWN)[:4])}, "
            "and Amazon 2014's category names); convert your own files with python -m dataset_tools convert."
        )
    known = KNOWN[name]
    return import_module(known.module).prepare(known, data_path, **options)
