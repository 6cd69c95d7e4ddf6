"""A recipe's feature files: joined by id, compared with the interactions and with what is co-interacted."""

from collections.abc import Sequence
from dataclasses import dataclass

from dataset_tools.converters.declaration import option
from dataset_tools.converters.shared_options import FolderOptions
from dataset_tools.dataset.alignment import misfit
from dataset_tools.dataset.folder import DatasetFolder
from dataset_tools.dataset.interactions import Interactions
from dataset_tools.errors import DataError
from dataset_tools.features.join import ItemIndex
from dataset_tools.features.sources.contract import Source
from dataset_tools.formats.matrices.checks import finite_rows

LEAST_SHARED = 0.5  # of the items in the interactions, the share that a feature file has vectors of


@dataclass(frozen=True, kw_only=True)
class VectorOptions(FolderOptions):
    """Options of a recipe with feature files."""

    unchecked: bool = option(False, "take features whose neighbours are no more co-interacted than by chance")


def write(
    folder: DatasetFolder,
    source: Source,
    found: Interactions,
    modality: str,
    options: VectorOptions,
    ids: Sequence[str] | None = None,
) -> None:
    """The vectors of the items that are there; `ids` of the rows of a source without ids of its own.

    DataError where most items have none, or where the nearest neighbours are no more co-interacted than
    those of shuffled items: then the rows belong to other items.
    """
    start, index = 0, ItemIndex(found.items)
    with folder.features(modality, source.width, options.half) as writer:
        for tokens, values in source.blocks():
            if tokens is None:
                if ids is None:
                    raise DataError(f"{source.path} has rows without ids, so nobody knows whose they are.")
                tokens = list(ids[start : start + len(values)])
                start += len(values)
            kept = index.match(tokens)[0].tolist()
            tokens, values = [tokens[row] for row in kept], values[kept]
            writer.write(*(finite_rows(tokens, values) if options.skip_bad else (tokens, values)))
    if writer.rows < LEAST_SHARED * len(found.items):
        raise DataError(
            f"{source.path} has vectors of {writer.rows:,} of the {len(found.items):,} items in the pairs: "
            "its ids are those of other files; take features and pairs of one release."
        )
    if options.unchecked:
        return
    shares = misfit(writer.path, modality, found)
    if shares:
        raise DataError(
            f"{source.path} does not fit the pairs: {shares[0]:.2%} of its neighbours are "
            f"co-interacted, {shares[1]:.2%} with shuffled items, so its rows belong to other items; "
            "--unchecked takes it."
        )
