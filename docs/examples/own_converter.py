"""A converter of one's own: a file with a user and an item on every line becomes a data set."""

from dataclasses import dataclass
from pathlib import Path

from dataset_tools import Builder, DatasetFolder, converter, option, recorded, register_converter


@dataclass(frozen=True, kw_only=True)
class PairsOptions:
    source: str | Path = option(help="file of pairs", source=True, flag="--from", metavar="F")
    separator: str = option(" ", "what stands between user and item (default: a space)")


@converter("one pair of user and item on every line", PairsOptions)
def convert(folder: DatasetFolder, options: PairsOptions) -> None:
    """Write the interactions and the items of a file of pairs."""
    with folder:
        builder = Builder()
        for line in Path(options.source).read_text(encoding="utf-8").splitlines():
            user, item = line.split(options.separator)
            builder.add(user, item)
        interactions = builder.build()
        folder.write_interactions(interactions)
        folder.write_items(interactions.items)
        folder.record("convert pairs", recorded(options), [Path(options.source)])


register_converter("pairs", convert)
