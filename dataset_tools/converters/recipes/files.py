"""Finding a recipe's files in a folder as it was unpacked, and comparing what they count."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from dataset_tools.dataset.folder import DatasetFolder
from dataset_tools.dataset.interactions import Interactions, used
from dataset_tools.errors import DataError
from dataset_tools.formats.content import plain_suffix
from dataset_tools.formats.text_file import reading

PACKED = (".zip", ".rar", ".7z", ".tar", ".tgz")
Counts = tuple[int, int, int]  # users, items, interactions


def check_folder(source: str | Path) -> Path:
    folder = Path(source)
    if folder.is_file():
        raise DataError(f"{folder} is a file; --from names the folder of the files, unpacked.")
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}; --from names the folder of the files.")
    return folder


def below(folder: Path, suffixes: Iterable[str]) -> list[Path]:
    """The files with these endings in the folder, its folders and theirs, sorted."""
    paths = [path for depth in ("*", "*/*", "*/*/*") for path in folder.glob(depth)]
    return sorted(path for path in paths if plain_suffix(path) in suffixes and path.is_file())


def first_line(path: Path) -> str:
    """The first line of a text file."""
    with reading(path, errors="replace") as file:
        return file.readline(10_000).rstrip("\r\n")


def the_one(found: list[Path], what: str, folder: Path, flag: str = "") -> Path:
    """The only file that was found; DataError for none, and for several, of which `flag` chooses one."""
    one = at_most_one(found, what, folder, flag)
    if one is None:
        packed = [path.name for path in sorted(folder.iterdir()) if path.suffix in PACKED]
        remedy = f"unpack {packed[0]} first" if packed else "--from names the folder of the published files"
        raise DataError(f"{folder} has no {what}; {remedy}.")
    return one


def at_most_one(found: list[Path], what: str, folder: Path, flag: str = "") -> Path | None:
    """The same, None where none was found."""
    if len(found) > 1:
        names = ", ".join(path.relative_to(folder).as_posix() for path in found[:4])
        more = ", ..." if len(found) > 4 else ""
        remedy = "leave one there, move the rest away"
        if len({path.parent for path in found}) > 1:
            remedy = "name the folder of one with --from"
        if flag:
            remedy = f"choose one with {flag}"
        raise DataError(f"{folder} has more than one {what} ({names}{more}); {remedy}.")
    return found[0] if found else None


def compare(folder: DatasetFolder, found: Interactions, known: Mapping[str, Counts], size: str) -> None:
    """A line that compares the counts with the published ones of this size, where they are known."""
    expected = known.get(size.lower())
    if expected:
        counts = len(used(found.user)), len(used(found.item)), len(found)
        verdict = "as published" if counts == expected else "DIFFERENT from what is published"
        folder.remark("{} of {}: {:,} users, {:,} items, {:,} interactions".format(verdict, size, *expected))
