"""What a data set says about its items: titles, pictures and other columns of its `.item` file."""

from collections.abc import Iterator
from pathlib import Path

from recbole.data.dataset import Dataset

from dataset_tools.dataset.reading import TITLES
from dataset_tools.errors import DataError
from dataset_tools.formats.atomic import read_header, read_table
from recbole_micro.errors import UserError

PICTURES = ("image", "image_path", "image_url", "picture", "cover", "cover_url", "poster", "poster_url")


class ItemColumns:
    """The columns of `<name>.item`, read when they are asked for; none where there is no such file."""

    def __init__(self, dataset: Dataset):
        self.field = dataset.iid_field
        self.path = Path(dataset.config["data_path"]) / f"{dataset.dataset_name}.item"
        kinds = dict(read_header(self.path)) if self.path.is_file() else {}
        self.kinds = kinds if self.field in kinds else {}

    @property
    def names(self) -> list[str]:
        """The columns, that of ids among them."""
        return list(self.kinds)

    def rows(self, *columns: str) -> Iterator[list[str]]:
        """Id and these columns of every item, as text; UserError where the file has no such column."""
        try:
            yield from read_table(self.path, [self.field, *columns]) if self.names else ()
        except DataError as error:
            raise UserError(str(error)) from error

    def titles(self) -> dict[str, str]:
        """Item id -> title, where there is a column of titles."""
        return self._first_of(TITLES)

    def pictures(self) -> dict[str, str]:
        """Item id -> path or address of its picture, where there is a column of pictures."""
        return self._first_of(PICTURES)

    def _first_of(self, names: tuple[str, ...]) -> dict[str, str]:
        column = next((name for name in names if name in self.names), None)
        return {item: text for item, text in self.rows(column) if text} if column else {}
