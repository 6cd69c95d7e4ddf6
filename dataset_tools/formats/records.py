"""Files of one record per line, plain or compressed, read once: parsed, counted, and hashed on the way."""

import ast
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from shlex import quote
from typing import IO, Any

from dataset_tools.errors import DataError
from dataset_tools.formats import content
from dataset_tools.formats.hashing import READ_BYTES, source_record
from dataset_tools.progress import byte_bar

Parser = Callable[[str], Any]
BOM = "\ufeff"
FIRST_LINES = 100  # where none of them is a record, the file is none of records
UNPARSED = (ValueError, SyntaxError, MemoryError, RecursionError, TypeError)


def json_object(text: str) -> Any:
    """A line of JSON."""
    return json.loads(text)


def python_literal(text: str) -> Any:
    """A line that is a Python literal; anything that would have to be run raises ValueError."""
    return ast.literal_eval(text)


class RecordFile:
    """Iterates over (line number, record) of a file of dictionaries.

    A line that is no record raises DataError with its number, or with `skip_bad` counts in `skipped`.
    `wanted` gets the raw line first; where it returns False the line is passed over unparsed.  Where none
    of the first records has all `fields`, the file is another one, and refused.
    """

    def __init__(
        self,
        path: str | Path,
        parse: Parser,
        skip_bad: bool = False,
        wanted: Callable[[str], bool] | None = None,
        fields: Sequence[str] = (),
    ):
        self.path, self.skipped = Path(path), 0
        self._parse, self._skip_bad, self._wanted, self._fields = parse, skip_bad, wanted, fields
        self._digest = hashlib.sha256()
        if not self.path.is_file():
            raise DataError(f"There is no file {self.path}.")
        if self.path.stat().st_size == 0:
            raise DataError(f"{self.path} is empty.")

    def __iter__(self) -> Iterator[tuple[int, dict[str, Any]]]:
        self._refuse_other()
        found = False
        for number, text in self._lines():
            if not text.strip() or (self._wanted is not None and not self._wanted(text)):
                found = found or bool(text.strip())
                continue
            try:
                record = self._parse(text)
                if not isinstance(record, dict):
                    raise ValueError(f"a {type(record).__name__} instead of a dictionary")
            except UNPARSED as error:
                self.bad(number, error)
                continue
            found = True
            yield number, record
        if not found and not self.skipped:
            raise DataError(f"{self.path} has no records.")

    def _refuse_other(self) -> None:
        """Raise DataError where none of the first lines is a record, naming what the file seems to be."""
        content.refuse_other(self.path, content.inner_kind(self.path))
        try:
            with content.undamaged(self.path), content.opened(self.path) as file:
                lines = [_decode(line) for line in islice(_split(file), FIRST_LINES)]
        except DataError:
            return  # whoever reads it to the damaged place names the line
        texts = [text for text in (line.lstrip(BOM).strip() for line in lines) if text]
        found = [record for record in map(self._record, texts) if record is not None]
        if texts and (texts[0].startswith("[") or not found):
            raise DataError(f"{self.path} is {_guess(texts[0], self.path)}")
        if found and not any(all(field in record for field in self._fields) for record in found):
            raise DataError(
                f"{self.path} has other records: {', '.join(self._fields)} are needed, the first one has "
                f"{', '.join(map(str, found[0]))[:100]}; check which file it is."
            )

    def _record(self, text: str) -> dict[str, Any] | None:
        try:
            record = self._parse(text)
        except UNPARSED:
            return None
        return record if isinstance(record, dict) else None

    def bad(self, line: int, reason: object) -> None:
        """Refuse a line, or count it with `skip_bad`."""
        if not self._skip_bad:
            raise DataError(
                f"{self.path}, line {line}: not a valid record ({reason}); repair it or pass --skip-bad."
            )
        self.skipped += 1

    @property
    def record(self) -> dict[str, Any]:
        """The file's entry for the provenance, once it has been read to its end."""
        return source_record(self.path, self._digest.hexdigest())

    def _lines(self) -> Iterator[tuple[int, str]]:
        number = 0
        with open(self.path, "rb") as raw:
            hashing = _Hashing(raw, self._digest, self.path)
            try:
                with content.undamaged(self.path, lambda: number):
                    file = content.decompressed(hashing, content.file_kind(self.path))
                    for number, line in enumerate(_split(file), 1):
                        yield number, _decode(line) if number > 1 else _decode(line).lstrip(BOM)
            finally:
                hashing.close()


class _Hashing:
    """A raw file that hashes what is read and shows how far it is."""

    def __init__(self, raw: IO[bytes], digest: Any, path: Path):
        self._raw, self._digest = raw, digest
        self._bar = byte_bar(path.name, path.stat().st_size)

    closed = False  # what pyarrow asks of a file

    def read(self, size: int = -1) -> bytes:
        chunk = self._raw.read(size)
        self._digest.update(chunk)
        self._bar.update(len(chunk))
        return chunk

    def close(self) -> None:
        self._bar.close()


def _guess(first: str, path: Path) -> str:
    """What a file without records is, by its first line, and what to do."""
    shown = first[:60]
    if path.suffix.lower() == ".gz" and not content.file_kind(path).name:
        return f"damaged or cut off: it is not gzipped and begins with {shown!r}; download it again."
    if first[0] in "[{":
        return (
            f"JSON or the like over several lines, not one record per line (it begins with {shown!r}); "
            f"write it so: jq -c '.[]' {quote(str(path))} > {quote(path.stem)}.jsonl"
        )
    if "," in first or "\t" in first:
        return (
            f"a table, not one record per line (it begins with {shown!r}): use python -m dataset_tools "
            f"convert table --interactions {quote(str(path))} --user C --item C --name NAME."
        )
    return f"no file of records, one per line (it begins with {shown!r}); check which file it is."


def _split(file: Any) -> Iterator[bytes]:
    """Lines of a binary stream."""
    rest = b""
    while chunk := file.read(READ_BYTES // 4):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
    if rest:
        yield rest


def _decode(line: bytes) -> str:
    return line.decode("utf-8", errors="surrogateescape")


def text_of(value: Any) -> str:
    """A field's words: strings as they are, lists joined, anything else nothing."""
    if isinstance(value, str):
        return re.sub("[\ud800-\udfff]", " ", value)
    if isinstance(value, (list, tuple)):
        return " ".join(filter(None, map(text_of, value)))
    return ""
