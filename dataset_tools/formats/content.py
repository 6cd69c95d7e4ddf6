"""What a file is, told by its first bytes whatever its name; compressed files opened as what is inside."""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import IO, Any, NamedTuple, TextIO, cast

from dataset_tools.errors import DataError

HEAD = 512  # bytes that tell


class Kind(NamedTuple):
    """What a file is, for a sentence, and what its reader should do about it ("" for nothing)."""

    name: str
    what: str
    advice: str = ""


COMPRESSED = ("gzip", "bzip2", "xz", "zstd")
PACKED = "unpack it and name the file inside"
LOST = "download the file itself again"
_STARTS: list[tuple[bytes, Kind]] = [
    (b"\x1f\x8b", Kind("gzip", "gzip")),
    (b"BZh", Kind("bzip2", "bzip2")),
    (b"\xfd7zXZ\x00", Kind("xz", "xz")),
    (b"\x28\xb5\x2f\xfd", Kind("zstd", "Zstandard")),
    (b"PK\x03\x04", Kind("zip", "a zip archive", PACKED)),
    (b"PK\x05\x06", Kind("zip", "a zip archive", PACKED)),
    (b"7z\xbc\xaf\x27\x1c", Kind("7z", "a 7z archive", PACKED)),
    (b"Rar!\x1a\x07", Kind("rar", "a RAR archive", PACKED)),
    (b"PAR1", Kind("parquet", "a Parquet file")),
    (b"\x93NUMPY", Kind("npy", "a NumPy array")),
    (b"\x89HDF\r\n\x1a\n", Kind("hdf5", "an HDF5 file", "save its array as .npy")),
    (b"SQLite format 3\x00", Kind("sqlite", "an SQLite database", "export its table as CSV")),
    (b"%PDF", Kind("pdf", "a PDF", LOST)),
    (b"\x89PNG", Kind("image", "an image", LOST)),
    (b"\xff\xd8\xff", Kind("image", "an image", LOST)),
    (b"version https://git-lfs", Kind("lfs", "a Git LFS pointer", "fetch the file itself with git lfs pull")),
]
PICKLE = Kind("pickle", "a Python pickle, which is never opened", "save it as JSON, CSV or .npy")
TAR = Kind("tar", "a tar archive", PACKED)
PAGE = Kind("html", "a web page", LOST)
UTF16 = Kind("utf-16", "UTF-16 text", "")
OTHER = Kind("", "", "")


def kind_of(head: bytes) -> Kind:
    """The kind that a file's first bytes tell; OTHER for text and for what is not known."""
    for start, kind in _STARTS:
        if head.startswith(start):
            return kind
    if head[257:262] == b"ustar":
        return TAR
    if head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05" and len(head) > 2:
        return PICKLE
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return UTF16
    if head.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html")):
        return PAGE
    return OTHER


def file_kind(path: Path) -> Kind:
    """The kind of a file as it lies on the disk."""
    with open(path, "rb") as file:
        return kind_of(file.read(HEAD))


def inner_kind(path: Path) -> Kind:
    """The kind of a file, of a compressed one what is inside; OTHER where that cannot be read."""
    try:
        with undamaged(path), opened(path) as file:
            return kind_of(file.read(HEAD))
    except DataError:
        return OTHER


def decompressed(raw: Any, kind: Kind) -> IO[bytes]:
    """What is inside of a stream of this kind; `raw` itself where it is not compressed."""
    if kind.name == "gzip":
        return cast(IO[bytes], gzip.GzipFile(fileobj=raw))
    if kind.name == "bzip2":
        return bz2.BZ2File(raw)
    if kind.name == "xz":
        return lzma.LZMAFile(raw)
    if kind.name == "zstd":
        import pyarrow as pa

        return pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), "zstd")
    return raw


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """A file's bytes, those inside of a compressed one."""
    kind = file_kind(path)
    with open(path, "rb") as raw:
        yield decompressed(raw, kind)


@contextmanager
def undamaged(path: Path, line: Callable[[], int] | None = None) -> Iterator[None]:
    """What goes wrong while a compressed file is read, as one sentence; `line` tells how far it was read."""
    try:
        yield
    except (EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the system; that of a damaged file has no number
        where = f" after line {line()}" if line else ""
        raise DataError(f"{path} is damaged or cut off{where} ({error}); download it again.") from None


@contextmanager
def open_text(path: Path, errors: str = "strict") -> Iterator[TextIO]:
    """A file's text as UTF-8, also of a compressed file; DataError for what is no text, naming what it is."""
    refuse_other(path, inner_kind(path))
    with (
        undamaged(path),
        opened(path) as file,
        io.TextIOWrapper(file, encoding="utf-8-sig", errors=errors, newline="") as text,
    ):
        yield text


def refuse_other(path: Path, kind: Kind) -> None:
    """Raise DataError for a kind that is no text."""
    if kind is UTF16:
        raise DataError(
            f"{path} is not UTF-8 text; convert it first: iconv -f UTF-16 -t UTF-8 {quote(str(path))} > "
            f"{quote(path.stem + '.utf8' + path.suffix)}"
        )
    if kind.what:
        raise DataError(f"{path} is {kind.what}, not text; {kind.advice or 'name a text file'}.")


def plain_suffix(path: Path) -> str:
    """The ending that names the format, in small letters: `.csv` of `X.CSV` and of `X.csv.gz`."""
    suffix = path.suffix.lower()
    if suffix in (".gz", ".gzip", ".bz2", ".xz", ".zst", ".zstd"):
        suffix = Path(path.stem).suffix.lower()
    return suffix
