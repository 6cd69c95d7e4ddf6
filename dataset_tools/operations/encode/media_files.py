"""Which file of a folder is an item's image, video or sound."""

from pathlib import Path

from dataset_tools.dataset.reading import Dataset
from dataset_tools.errors import DataError
from dataset_tools.formats.atomic import read_header
from dataset_tools.formats.names import from_system, to_system

SUFFIXES = {
    "image": (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp"),
    "video": (".mp4", ".webm", ".mkv", ".mov", ".avi", ".m4v"),
    "audio": (".mp3", ".wav", ".flac", ".ogg", ".opus", ".m4a", ".aac"),
}


def media_paths(dataset: Dataset, folder: Path, kind: str) -> list[str]:
    """The image, video or sound (`kind`: image, video, audio) of every item, "" where there is none.

    It is the file that is called like the item, in the folder or below.  Of an image it is first the one that
    the column `image` of `<name>.item` names (a path below the folder, or an address whose last part is the
    file's name).
    """
    named = addresses(dataset) if kind == "image" else [""] * len(dataset.items)
    found = [_named(folder, name) for name in named]
    rest = frozenset(item for item, path in zip(dataset.items, found, strict=True) if not path)
    by_name = _by_name(folder, rest, kind)
    return [path or by_name.get(item, "") for item, path in zip(dataset.items, found, strict=True)]


def addresses(dataset: Dataset) -> list[str]:
    """What the column `image` of `<name>.item` says of every item, "" without one."""
    named: list[str] = []
    if dataset.item_file.is_file() and "image" in (name for name, _ in read_header(dataset.item_file)):
        named = list(dataset.texts(["image"]))
    return named + [""] * (len(dataset.items) - len(named))


def _by_name(folder: Path, items: frozenset[str], kind: str) -> dict[str, str]:
    """The files of items in the folder and below, by stem; DataError for one stem in two folders."""
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*"), key=lambda path: (len(path.parts), path)):
        item = from_system(path.stem)
        if path.suffix.lower() in SUFFIXES[kind] and item in items:
            other = found.setdefault(item, path)
            if other.parent != path.parent:
                remedy = ", or name the files in the column image" if kind == "image" else ""
                raise DataError(
                    f"{other} and {path} are both called like the item {item!r}; leave one{remedy}."
                )
    return {item: str(path) for item, path in found.items()}


def _named(folder: Path, name: str) -> str:
    """The file below `folder` that an image's name or address means, "" where there is none."""
    if not name or ".." in name.split("/"):
        return ""
    last = name.split("?")[0].rsplit("/", 1)[-1]
    for choice in (name.lstrip("/"), last):
        if choice and "\0" not in choice and (folder / to_system(choice)).is_file():
            return str(folder / to_system(choice))
    return ""
