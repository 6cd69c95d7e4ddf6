"""RecBole's text form of a feature file, `<name>.<modality>`: read slowly, written for exchange."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from dataset_tools.errors import DataError
from dataset_tools.features.feature_file import ROW_GROUP_BYTES, FeatureFile
from dataset_tools.formats.atomic import quote, read_header, read_table, write_table


def is_text_form(path: Path, modality: str) -> bool:
    """Whether the first line of `path` declares `<modality>:float_seq`."""
    try:
        return (modality, "float_seq") in read_header(path)
    except DataError:
        return False


class TextFeatureFile:
    """A text feature file with the interface of `FeatureFile`; `width` comes from the first row.

    RecBole's own loader cannot name the id column `item_id`, so any single token column counts as the id.
    """

    def __init__(self, path: str | Path, modality: str):
        self.path, self.modality = Path(path), modality
        fields = read_header(self.path)
        ids = [name for name, kind in fields if kind == "token"]
        if len(ids) != 1 or (modality, "float_seq") not in fields:
            found = ", ".join(f"{name}:{kind}" for name, kind in fields)
            raise DataError(
                f"{self.path} needs one id column and {modality}:float_seq, but its columns are {found}: "
                "rename the column or the file."
            )
        self._columns = [ids[0], modality]
        first = next(self._parsed(), None)
        if first is None:
            raise DataError(f"{self.path} has no rows; write it again or remove it.")
        self.width = len(first[1])

    def _parsed(self) -> Iterator[tuple[str, np.ndarray]]:
        for token, text in read_table(self.path, self._columns):
            try:
                yield token, np.array(text.split(), dtype=np.float32)
            except ValueError as error:
                raise DataError(
                    f"{self.path}: the vector of item {token!r} is not numeric ({error})."
                ) from None

    def ids(self) -> Iterator[pa.ChunkedArray]:
        """The tokens, in one portion."""
        yield pa.chunked_array([[token for token, _ in self._parsed()]], pa.string())

    def blocks(self) -> Iterator[tuple[pa.StringArray, np.ndarray]]:
        """(tokens [r], values [r, width]) in portions of about one row group."""
        limit = max(1, ROW_GROUP_BYTES // (4 * max(1, self.width)))
        tokens, rows = [], []
        for token, row in self._parsed():
            if len(row) != self.width or not self.width:
                raise DataError(
                    f"{self.path}: the vector of item {token!r} has {len(row)} numbers, "
                    f"the first one has {self.width}; make them equal."
                )
            tokens.append(token)
            rows.append(row)
            if len(rows) == limit:
                yield pa.array(tokens, pa.string()), np.stack(rows)
                tokens, rows = [], []
        if rows:
            yield pa.array(tokens, pa.string()), np.stack(rows)


def write_text(path: Path, source: FeatureFile) -> None:
    """Write a feature file's rows in RecBole's text form, with digits that read back as the same float32."""
    write_table(path, ["item_id:token", f"{source.modality}:float_seq"], _rows(source))


def _rows(source: FeatureFile) -> Iterator[Sequence[str]]:
    for tokens, values in source.blocks():
        for token, row in zip(tokens.to_pylist(), values.astype(np.float32), strict=True):
            yield quote(token), " ".join(np.format_float_positional(x, trim="0") if x else "0.0" for x in row)
