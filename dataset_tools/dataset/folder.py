"""A data set's folder, written beside its final place and moved there whole."""

import ctypes
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from dataset_tools.dataset import provenance, summary
from dataset_tools.dataset.catalog import KnownDataset
from dataset_tools.dataset.interactions import PARTS, Interactions, used
from dataset_tools.errors import DataError
from dataset_tools.features.encoded import in_shards, write_encoded
from dataset_tools.features.encoders.registry import text_encoder
from dataset_tools.features.feature_file import FeatureWriter
from dataset_tools.files import held
from dataset_tools.formats.atomic import check_tokens, quote, write_columns, write_table

AT_FDCWD, RENAME_EXCHANGE = -100, 2  # of Linux's fcntl.h and fs.h


class DatasetFolder:
    """Context manager: files go to a hidden sibling folder that takes the target's place at the end.

    A run that fails or is killed leaves the old data set, or none; its leftovers are removed by the next run.
    Of several processes that make the same data set, one goes on and the others wait for it.
    """

    def __init__(self, data_path: str | Path, name: str, force: bool = False, foreign: bool = False):
        """`foreign`: the caller carries over what else the old folder holds, which is refused otherwise."""
        check_name(name)
        self.name, self._force, self._foreign = name, force, foreign
        self.target = Path(data_path) / name
        self.path = self.target.with_name(f".{name}.partial")
        self._old = self.target.with_name(f".{name}.old")
        self._users = self._items = self._interactions = 0
        self._features: list[FeatureWriter] = []
        self._notes: dict[str, int] = {}
        self._remarks: list[str] = []
        self._item_order = ""
        if self._old.exists():
            with suppress(BlockingIOError), held(lock_of(self.target), self.target, wait=False):
                self._undo()
        self._refuse_existing()

    def _refuse_existing(self) -> None:
        if self.target.exists() and not self._force:
            raise DataError(
                f"{self.target} is there already; replace it with --force or choose another name."
            )
        if not self._foreign:
            refuse_foreign(self.target, lambda file: file.startswith(f"{self.name}."))
            self._refuse_others()

    def _refuse_others(self) -> None:
        inside = self.target.iterdir() if self.target.exists() else ()
        others = sorted(path.name for path in inside if not path.name.startswith((f"{self.name}.", ".")))
        if others:
            raise DataError(
                f"{self.target} holds {', '.join(others[:3])} as well, which would be lost: move it away or "
                "choose another name."
            )

    def __enter__(self) -> "DatasetFolder":
        self.target.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            stack.enter_context(held(lock_of(self.target), self.target))
            self._undo()
            self._refuse_existing()
            shutil.rmtree(self.path, ignore_errors=True)  # of a run that was killed
            self.path.mkdir()
            self._holding = stack.pop_all()
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        with self._holding:
            try:
                if kind is None:
                    shutil.rmtree(self._old, ignore_errors=True)
                    put_in_place(self.path, self.target, self._old)
            finally:
                shutil.rmtree(self.path, ignore_errors=True)
                if self.target.exists():
                    shutil.rmtree(self._old, ignore_errors=True)

    def _undo(self) -> None:
        """Put back what a run that was killed between two renames had moved away."""
        if self._old.exists() and not self.target.exists():
            self._old.rename(self.target)

    def write_interactions(self, interactions: Interactions) -> None:
        """`<name>.inter`, or one file per part for interactions with a split; DataError without any."""
        if not len(interactions):
            raise DataError(f"The data set {self.name} would have no interactions; check the source files.")
        self._users, self._interactions = len(used(interactions.user)), len(interactions)
        if interactions.part is None:
            self._write_part(f"{self.name}.inter", interactions)
            return
        for number, part in enumerate(PARTS):
            self._write_part(f"{self.name}.{part}.inter", interactions.take(interactions.part == number))

    def _write_part(self, file: str, interactions: Interactions) -> None:
        write_columns(self.path / file, interactions.header(), interactions.columns_of_text())

    def write_items(
        self,
        items: Sequence[str],
        columns: Mapping[str, Sequence[str]] | None = None,
        in_order_of: str = "",
    ) -> None:
        """`<name>.item` with every item; `columns` maps `name:type` to one text per item.

        `in_order_of` says whose order the items have, where that is the source's own: only then may rows of
        features be attached to them by their place.
        """
        check_tokens(items, "item")
        self._item_order = in_order_of
        columns = columns or {}
        self._items = len(items)
        rows = zip(items, *columns.values(), strict=True)
        write_table(
            self.path / f"{self.name}.item",
            ["item_id:token", *columns],
            ([quote(field) for field in row] for row in rows),
        )

    def write_users(self, users: Sequence[str]) -> None:
        """`<name>.user`, which keeps the order of a layout that numbers its users."""
        check_tokens(users, "user")
        write_table(self.path / f"{self.name}.user", ["user_id:token"], ([quote(user)] for user in users))

    def features(self, modality: str, width: int, half: bool = False) -> FeatureWriter:
        """A writer of `<name>.<modality>.parquet` in this folder."""
        writer = FeatureWriter(self.path / f"{self.name}.{modality}.parquet", modality, width, half)
        self._features.append(writer)
        return writer

    def write_features(
        self, modality: str, tokens: Sequence[str], values: np.ndarray, half: bool = False
    ) -> None:
        """A whole feature matrix [len(tokens), d] at once."""
        with self.features(modality, values.shape[1], half) as writer:
            writer.write(tokens, values)

    def write_texts(
        self, modality: str, items: Sequence[str], texts: Sequence[str], spec: str, half: bool
    ) -> None:
        """Features of the items' texts by the encoder `spec`; items without a text get no row."""
        shards = in_shards(text_encoder(spec, texts), texts)
        write_encoded(lambda width: self.features(modality, width, half), items, shards)

    def note(self, what: str, count: int) -> None:
        """A count for the summary, where it is not 0."""
        if count:
            self._notes[what] = count

    def remark(self, text: str) -> None:
        """A line for the summary."""
        self._remarks.append(text)

    def record(
        self,
        command: str,
        options: Mapping[str, Any],
        sources: Iterable[Path | dict[str, Any]],
        known: KnownDataset | None = None,
    ) -> None:
        """Write `<name>.source.json`: the sources, the options, and what the folder now counts."""
        coverage = {writer.modality: (writer.rows, writer.width) for writer in self._features}
        counts = summary.summarize(self._users, self._items, self._interactions, coverage, self._notes)
        counts["expected"] = summary.compare(counts, known)
        counts["remarks"] = self._remarks
        counts["item_order"] = self._item_order
        provenance.record_step(self.path, self.name, command, options, sources, counts)


def lock_of(target: Path) -> Path:
    """The lock of a data set's folder: held by who replaces it, shared by who writes files into it."""
    return target.with_name(f".{target.name}.lock")


@contextmanager
def being_written(path: Path) -> Iterator[None]:
    """Write a file into a data set's folder while nobody replaces the folder or writes the same file."""
    folder, own = path.parent, path.with_name(f".{path.name}.lock")
    with held(lock_of(folder), folder, shared=True), held(own, path):
        yield


def put_in_place(new: Path, target: Path, old: Path) -> None:
    """Put the folder `new` in the place of `target`, whose folder, where there is one, becomes `old`.

    At once where the system can exchange two folders (Linux, but for NFS); else `target` is away between two
    renames.
    """
    if target.exists() and exchanged(new, target):
        new.rename(old)
        return
    if not target.exists():
        new.rename(target)
        return
    target.rename(old)
    try:
        new.rename(target)
    except BaseException:
        old.rename(target)
        raise


def exchanged(one: Path, other: Path) -> bool:
    """Exchange two folders at once, by Linux's renameat2; False where that is not possible."""
    rename = getattr(ctypes.CDLL(None), "renameat2", None) if sys.platform == "linux" else None
    paths = os.fsencode(one.absolute()), os.fsencode(other.absolute())
    return rename is not None and rename(AT_FDCWD, paths[0], AT_FDCWD, paths[1], RENAME_EXCHANGE) == 0


def refuse_foreign(target: Path, belongs: Callable[[str], bool]) -> None:
    """Refuse to replace what no converter made: a file, or a folder with other things than a data set."""
    if not target.exists():
        return
    if not target.is_dir() or (
        any(target.iterdir()) and not any(belongs(path.name) for path in target.iterdir())
    ):
        raise DataError(
            f"{target} is no data set, so it is not replaced; move it away or choose another name."
        )


def check_name(name: str) -> None:
    """A data set's name is one plain folder name without dots."""
    if not name or any(c in name for c in "./\\\t\n:") or name != name.strip():
        raise DataError(f"The name {name!r} cannot name a data set; use letters, digits, '-' and '_'.")
