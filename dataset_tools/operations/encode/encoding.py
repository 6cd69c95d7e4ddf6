"""`encode`: an encoder over all items, shard by shard, so that a stopped run goes on where it was."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from dataset_tools.dataset import provenance, summary
from dataset_tools.dataset.folder import being_written
from dataset_tools.dataset.reading import Dataset
from dataset_tools.errors import DataError
from dataset_tools.features.encoded import write_encoded
from dataset_tools.features.encoders.contract import Encoder
from dataset_tools.features.encoders.registry import (
    PACKAGES,
    audio_encoder,
    image_encoder,
    text_encoder,
    video_encoder,
)
from dataset_tools.features.feature_file import FeatureWriter, check_modality, feature_path
from dataset_tools.features.shards import Shards
from dataset_tools.formats.atomic import read_header
from dataset_tools.formats.hashing import hash_files
from dataset_tools.operations.encode.media_files import media_paths


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
    sources = [dataset.item_file]
    return _encode(dataset, modality, texts, lambda: text_encoder(spec, texts), options, force, sources)


class Kind(NamedTuple):
    """What a kind of files has: the flag of their folder, their usual ending and modality."""

    flag: str
    ending: str
    modality: str
    load: Callable[..., Encoder]


KINDS = {
    "image": Kind("images", "jpg", "visual", image_encoder),
    "video": Kind("videos", "mp4", "video", video_encoder),
    "audio": Kind("sounds", "mp3", "acoustic", audio_encoder),
}


def encode_media(
    dataset: Dataset,
    kind: str,
    spec: str,
    folder: str | Path,
    *,
    frames: int = 8,
    modality: str = "",
    half: bool = False,
    force: bool = False,
) -> list[str]:
    """Add features of the items' files in a folder (see `media_paths`); ids of the items left without.

    `kind` is image, video or audio, and tells the `modality` where it is not given.  A video is the mean of
    what the image encoder `spec` makes of `frames` frames, spread evenly.
    """
    about, folder = KINDS[kind], Path(folder)
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}; --{about.flag} names the folder of the {kind} files.")
    paths = media_paths(dataset, folder, kind)
    if not any(paths):
        named = f"<item id>.{about.ending}"
        if kind == "image":
            named += f", or as the column image of {dataset.item_file.name} says"
        raise DataError(f"{folder} has no {kind} of an item of {dataset.name}; name the files {named}.")
    modality = modality or about.modality
    more = {"frames": frames} if kind == "video" else {}
    options = {kind: spec, **more, "modality": modality, "half": half}
    sources = [hash_files(folder, sorted({Path(path) for path in paths if path}))]
    return _encode(dataset, modality, paths, lambda: about.load(spec, **more), options, force, sources)


def _record(dataset: Dataset, options: dict, sources: list) -> None:
    counts = summary.of_dataset(dataset)
    provenance.record_step(dataset.folder, dataset.name, "encode", options, sources, counts, PACKAGES)


def _encode(
    dataset: Dataset,
    modality: str,
    inputs: list[str],
    load: Callable[[], Encoder],
    options: dict,
    force: bool,
    sources: list,
) -> list[str]:
    """Encode the items' `inputs` into a feature file and record the step; ids of items left without."""
    check_modality(modality)
    target = feature_path(dataset.folder, dataset.name, modality)
    if target.exists() and not force:
        raise DataError(f"{target} is there already; replace it with --force or choose a --modality.")
    shards = Shards(dataset.folder / f".{dataset.name}.{modality}.shards", options, inputs)
    with being_written(target):
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
        _record(dataset, options, sources)
    return missing


def _text_columns(dataset: Dataset) -> list[str]:
    if not dataset.item_file.is_file():
        raise DataError(f"{dataset.item_file} is missing, so there are no texts to encode.")
    header = read_header(dataset.item_file)
    sequences = [name for name, kind in header if kind == "token_seq"]
    if not sequences:
        raise DataError(f"{dataset.item_file} has no text columns; name some with --columns.")
    return ["text"] if "text" in sequences else sequences
