"""`encode`: an encoder over all items, shard by shard, so that a stopped run goes on where it was."""

from collections.abc import Callable, Sequence
from pathlib import Path

from dataset_tools.dataset import provenance, summary
from dataset_tools.dataset.folder import being_written
from dataset_tools.dataset.reading import Dataset
from dataset_tools.errors import DataError
from dataset_tools.features.encoded import write_encoded
from dataset_tools.features.encoders.contract import Encoder
from dataset_tools.features.encoders.registry import PACKAGES, image_encoder, text_encoder
from dataset_tools.features.feature_file import FeatureWriter, check_modality, feature_path
from dataset_tools.formats.atomic import read_header
from dataset_tools.formats.hashing import hash_files
from dataset_tools.formats.names import from_system, to_system
from dataset_tools.operations.shards import Shards

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp")


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
    address whose last part is the file's name), else the file that is called like the item, in the folder or
    in one below it.
    """
    folder = Path(images)
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}; --images names the folder of the image files.")
    paths = image_paths(dataset, folder)
    if not any(paths):
        raise DataError(
            f"{folder} has no image of an item of {dataset.name}; name the files <item id>.jpg, or as the "
            f"column image of {dataset.item_file.name} says."
        )
    options = {"image": spec, "modality": modality, "half": half}
    sources = [hash_files(folder, sorted({Path(path) for path in paths if path}))]
    return _encode(dataset, modality, paths, lambda: image_encoder(spec), options, force, sources)


def image_paths(dataset: Dataset, folder: Path) -> list[str]:
    """The image file of every item, "" where there is none."""
    named: list[str] = []
    if dataset.item_file.is_file() and "image" in (name for name, _ in read_header(dataset.item_file)):
        named = list(dataset.texts(["image"]))
    named += [""] * (len(dataset.items) - len(named))
    found = [_named_image(folder, name) for name in named]
    rest = frozenset(item for item, path in zip(dataset.items, found, strict=True) if not path)
    by_name = _by_name(folder, rest)
    return [path or by_name.get(item, "") for item, path in zip(dataset.items, found, strict=True)]


def _by_name(folder: Path, items: frozenset[str]) -> dict[str, str]:
    """The image files of items in the folder and below, by stem; DataError for one stem in two folders."""
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*"), key=lambda path: (len(path.parts), path)):
        item = from_system(path.stem)
        if path.suffix.lower() in IMAGE_SUFFIXES and item in items:
            other = found.setdefault(item, path)
            if other.parent != path.parent:
                raise DataError(
                    f"{other} and {path} are both called like the item {item!r}; leave one, or name the "
                    "files in the column image."
                )
    return {item: str(path) for item, path in found.items()}


def _named_image(folder: Path, name: str) -> str:
    """The file below `folder` that an image's name or address means, "" where there is none."""
    if not name or ".." in name.split("/"):
        return ""
    last = name.split("?")[0].rsplit("/", 1)[-1]
    for choice in (name.lstrip("/"), last):
        if choice and "\0" not in choice and (folder / to_system(choice)).is_file():
            return str(folder / to_system(choice))
    return ""


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
