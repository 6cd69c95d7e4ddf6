"""Reading a data set that was converted: its items, interactions and feature files."""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np

from dataset_tools.dataset.interactions import PARTS, Builder, Interactions
from dataset_tools.errors import DataError
from dataset_tools.features.feature_file import FeatureFile, feature_path
from dataset_tools.features.join import ItemIndex, join
from dataset_tools.formats.atomic import read_header, read_table

TITLES = ("title", "movie_title", "name")


class Dataset:
    """The data set `name` in `data_path`."""

    def __init__(self, name: str, data_path: str | Path = "dataset"):
        self.name, self.folder = name, Path(data_path) / name
        if not self.folder.is_dir():
            raise DataError(
                f"There is no data set {self.folder}; make it with python -m dataset_tools prepare or "
                "convert, or name its parent with --data-path."
            )

    @property
    def item_file(self) -> Path:
        """The path of `<name>.item`, whether or not there is such a file."""
        return self.folder / f"{self.name}.item"

    @cached_property
    def listed_items(self) -> list[str]:
        """The ids in `<name>.item`, in its order; none where there is no such file."""
        if not self.item_file.is_file():
            return []
        return [row[0] for row in read_table(self.item_file, ["item_id"])]

    @cached_property
    def items(self) -> list[str]:
        """Every item's id, in the order of `<name>.item`, then sorted those that only interactions name."""
        listed = frozenset(self.listed_items)
        return self.listed_items + [item for item in self.interactions.items if item not in listed]

    @cached_property
    def users(self) -> list[str]:
        """Every user's id, in the order of `<name>.user`, then sorted those that only interactions name."""
        path = self.folder / f"{self.name}.user"
        if not path.is_file():
            return self.interactions.users
        listed = [row[0] for row in read_table(path, ["user_id"])]
        known = frozenset(listed)
        return listed + [user for user in self.interactions.users if user not in known]

    @cached_property
    def inter_files(self) -> list[Path]:
        """One file, or three for a fixed split."""
        parts = [self.folder / f"{self.name}.{part}.inter" for part in PARTS]
        files = parts if all(path.is_file() for path in parts) else [self.folder / f"{self.name}.inter"]
        if not files[0].is_file():
            raise DataError(f"{self.folder} has no {self.name}.inter; convert the data set again.")
        return files

    @cached_property
    def interactions(self) -> Interactions:
        """All interactions in the files' order, with `part` for a fixed split; DataError without any."""
        names = [name for name, _ in read_header(self.inter_files[0])]
        floats = [name for name in ("rating", "timestamp") if name in names]
        fixed = len(self.inter_files) == len(PARTS)
        builder = Builder("rating" in floats, "timestamp" in floats, part=fixed)
        for item in self.listed_items:
            builder.add_item(item)
        for part, path in enumerate(self.inter_files):
            for row, (user, item, *values) in enumerate(read_table(path, ["user_id", "item_id", *floats]), 1):
                try:
                    known = dict(zip(floats, map(float, values), strict=True))
                except ValueError as error:
                    raise DataError(f"{path}, row {row}: {error}; repair it.") from None
                builder.add(user, item, part=part, **known)
        found = builder.build()
        if not len(found):
            raise DataError(f"{self.inter_files[0]} has no interactions; convert the data set again.")
        return found

    def texts(self, columns: list[str]) -> Iterator[str]:
        """The named columns of `<name>.item`, joined by a space, in the order of `items`."""
        for row in read_table(self.item_file, columns):
            yield " ".join(filter(None, row))

    def titles(self) -> dict[str, str]:
        """Item id -> title where `<name>.item` has a title column, else empty."""
        if not self.item_file.is_file():
            return {}
        names = [name for name, _ in read_header(self.item_file)]
        column = next((name for name in TITLES if name in names), None)
        if column is None:
            return {}
        return dict(read_table(self.item_file, ["item_id", column]))

    @cached_property
    def modalities(self) -> list[str]:
        """The modalities that have a Parquet file, sorted."""
        start, end = f"{self.name}.", ".parquet"
        names = [path.name for path in self.folder.iterdir()]
        long = len(start) + len(end)
        whole = [name for name in names if name.startswith(start) and name.endswith(end) and len(name) > long]
        return sorted(name[len(start) : -len(end)] for name in whole)

    def features(self, modality: str) -> FeatureFile:
        """The feature file of a modality, opened; DataError where there is none."""
        path = feature_path(self.folder, self.name, modality)
        if not path.is_file():
            known = ", ".join(self.modalities) or "none"
            raise DataError(f"{self.folder} has no features of the modality {modality!r}; it has {known}.")
        return FeatureFile(path, modality)

    def coverage(self, modality: str) -> int:
        """The number of items with a row of features."""
        known = frozenset(self.items)
        return sum(token in known for tokens in self.features(modality).ids() for token in tokens.to_pylist())

    def matrix(self, modality: str) -> tuple[np.ndarray, np.ndarray]:
        """(values float32 [n, d], mask [n]) in the order of `items`; items without features have zeros."""
        return join(self.features(modality), ItemIndex(self.items))[:2]
