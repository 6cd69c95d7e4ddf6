"""`encode`: an encoder over all items, shard by shard, so that a stopped run goes on where it was."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from dataset_tools import provenance, summary
from dataset_tools.atomic import read_header
from dataset_tools.dataset import Dataset
from dataset_tools.encoders import Encoder, image_encoder, text_encoder
from dataset_tools.errors import DataError
from dataset_tools.feature_file import FeatureWriter, feature_path
from dataset_tools.progress import progress

SHARD = 1024
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp")


def write_encoded(
    open_writer: Callable[[int], FeatureWriter], items: Sequence[str], shards: Iterator[tuple]
) -> list[str]:
    """Write the items that the shards (values, ok) have features for; the ids of the others."""
    first = next(shards, None)
    if first is None:
        raise DataError("There are no items to encode.")
    missing, start = [], 0
    with open_writer(first[0].shape[1]) as writer:
        while first is not None:
            values, ok = first
            tokens = items[start : start + len(values)]
            writer.write([token for token, there in zip(tokens, ok, strict=True) if there], values[ok])
            missing += [token for token, there in zip(tokens, ok, strict=True) if not there]
            start += len(values)
            first = next(shards, None)
        if not writer.rows:
            raise DataError(f"No item has anything to make {writer.modality} features of.")
    return missing


def in_shards(encode: Encoder, inputs: Sequence[str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The encoder's output for one portion of the inputs after another."""
    starts = range(0, len(inputs), SHARD)
    for start in progress(starts, "encoding", len(starts), "shard"):
        yield encode(inputs[start : start + SHARD])


def encode_texts(
    dataset: Dataset,
    spec: str,
    *,
    modality: str = "textual",
    columns: Sequence[str] | None = None,
    half: bool = False,
    force: bool = False,
) -> list[str]:
    """Add features of the items' texts, from the named columns of `<name>.item`; ids of items left without.

    Without `columns` it is the column `text` where there is one, else every token_seq column in order.
    """
    columns = list(columns or _text_columns(dataset))
    texts = list(dataset.texts(columns))
    options = {"text": spec, "columns": columns, "modality": modality, "half": half}
    missing = _encode(dataset, modality, texts, lambda: text_encoder(spec, texts), options, force)
    _record(dataset, options, [dataset.item_file])
    return missing


def encode_images(
    dataset: Dataset,
    spec: str,
    images: str | Path,
    *,
    modality: str = "visual",
    half: bool = False,
    force: bool = False,
) -> list[str]:
    """Add features of the images in a folder; ids of the items left without.

    An item's image is the file that the column `image` of `<name>.item` names (a path below the folder, or an
    address whose last part is the file's name), else the file that is called like the item.
    """
    folder = Path(images)
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}; --images names the folder of the image files.")
    paths = _image_paths(dataset, folder)
    if not any(paths):
        raise DataError(
            f"{folder} has no image of an item of {dataset.name}; name the files <item id>.jpg, or as the "
            f"column image of {dataset.item_file.name} says."
        )
    options = {"image": spec, "modality": modality, "half": half}
    missing = _encode(dataset, modality, paths, lambda: image_encoder(spec), options, force)
    files = sorted({Path(path) for path in paths if path})
    _record(dataset, options, [provenance.hash_files(folder, files)])
    return missing


def _image_paths(dataset: Dataset, folder: Path) -> list[str]:
    """The image file of every item, "" where there is none."""
    by_name = {
        path.stem: str(path) for path in sorted(folder.iterdir()) if path.suffix.lower() in IMAGE_SUFFIXES
    }
    named: list[str] = []
    if dataset.item_file.is_file() and "image" in (name for name, _ in read_header(dataset.item_file)):
        named = list(dataset.texts(["image"]))
    named += [""] * (len(dataset.items) - len(named))
    return [
        _named_image(folder, name) or by_name.get(item, "")
        for item, name in zip(dataset.items, named, strict=True)
    ]


def _named_image(folder: Path, name: str) -> str:
    """The file below `folder` that an image's name or address means, "" where there is none."""
    if not name or ".." in name.split("/"):
        return ""
    last = name.split("?")[0].rsplit("/", 1)[-1]
    for choice in (name.lstrip("/"), last):
        if choice and "\0" not in choice and (folder / choice).is_file():
            return str(folder / choice)
    return ""


def _record(dataset: Dataset, options: dict, sources: list) -> None:
    counts = summary.of_dataset(dataset)
    provenance.record_step(
        dataset.folder, dataset.name, "encode", options, sources, counts, provenance.ENCODERS
    )


def _encode(
    dataset: Dataset,
    modality: str,
    inputs: list[str],
    load: Callable[[], Encoder],
    options: dict,
    force: bool,
) -> list[str]:
    target = feature_path(dataset.folder, dataset.name, modality)
    if target.exists() and not force:
        raise DataError(f"{target} is there already; replace it with --force or choose a --modality.")
    shards = Shards(dataset.folder / f".{dataset.name}.{modality}.shards", options, inputs)
    try:
        missing = write_encoded(
            lambda width: FeatureWriter(target, modality, width, options["half"]),
            dataset.items,
            shards.encoded(load),
        )
    except DataError:  # a mistake, nothing to go on with
        shards.remove()
        raise
    shards.remove()
    return missing


class Shards:
    """Encoded portions on disk, kept until all are there; those of other inputs are thrown away."""

    def __init__(self, folder: Path, options: dict, inputs: Sequence[str]):
        self._folder, self._inputs = folder, inputs
        key = json.dumps([options, list(inputs), [_stamp(path) for path in inputs]])
        self._key = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()

    def encoded(self, load: Callable[[], Encoder]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Every portion in order; the encoder is loaded only if one is missing."""
        key = self._folder / "key"
        if not key.is_file() or key.read_text() != self._key:
            self.remove()
            self._folder.mkdir()
            key.write_text(self._key)
        encode = None
        starts = range(0, len(self._inputs), SHARD)
        for start in progress(starts, "encoding", len(starts), "shard"):
            path = self._folder / f"{start}.npz"
            if not path.is_file():
                encode = encode or load()
                values, ok = encode(self._inputs[start : start + SHARD])
                partial = self._folder / "partial.npz"
                np.savez(partial, values=values, ok=ok)
                os.replace(partial, path)
            with np.load(path, allow_pickle=False) as shard:
                yield shard["values"], shard["ok"]

    def remove(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


def _stamp(path: str) -> list[int]:
    """Size and time of a file, nothing for a text."""
    try:
        found = os.stat(path) if path else None
    except (OSError, ValueError):
        return []
    return [found.st_size, found.st_mtime_ns] if found else []


def _text_columns(dataset: Dataset) -> list[str]:
    if not dataset.item_file.is_file():
        raise DataError(f"{dataset.item_file} is missing, so there are no texts to encode.")
    header = read_header(dataset.item_file)
    sequences = [name for name, kind in header if kind == "token_seq"]
    if not sequences:
        raise DataError(f"{dataset.item_file} has no text columns; name some with --columns.")
    return ["text"] if "text" in sequences else sequences
