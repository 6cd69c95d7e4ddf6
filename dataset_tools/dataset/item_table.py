"""A table of items: titles, texts and image names for `<name>.item`."""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from dataset_tools.errors import DataError
from dataset_tools.formats.atomic import clean, token_problem
from dataset_tools.formats.tables.table_file import TableForm, read_rows
from dataset_tools.formats.text_file import BadRows


class ItemTable:
    """The columns `title`, `texts` (joined) and `image` of a table; without a path every item has nothing."""

    def __init__(
        self,
        path: str | Path | None,
        title: str | None = None,
        texts: Sequence[str] = (),
        image: str | None = None,
    ):
        if path is None and (title or texts or image):
            raise DataError("--title, --text and --image name columns of --items, which is missing.")
        self.path = Path(path) if path else None
        sources = {"title:token_seq": [title] if title else [], "text:token_seq": list(texts)}
        sources["image:token"] = [image] if image else []
        self._sources = {name: columns for name, columns in sources.items() if columns}
        self._texts: dict[str, list[str]] = {}

    def read(
        self,
        item: str,
        bad: BadRows,
        wanted: Collection[str] | None = None,
        header: Sequence[str] = (),
        separator: str = "",
    ) -> list[str]:
        """Read the rows (of the `wanted` items), whose ids are in the column `item`; the ids.

        The first row of an id counts.  `header` names the columns of a table without a header.
        """
        if self.path is None:
            return []
        names = [item, *(column for columns in self._sources.values() for column in columns)]
        form = TableForm(header, separator, ids=[item], lists=names[1:])
        for line, row in read_rows(self.path, names, bad, form=form):
            if wanted is not None and row[0] not in wanted:
                continue
            problem = token_problem(row[0], "item")
            if problem:
                bad(self.path, line, problem)
            elif row[0] in self._texts:
                bad(self.path, line, f"the item {row[0]!r} has a second row")
            else:
                words = iter(row[1:])
                joined = (" ".join(next(words) for _ in columns) for columns in self._sources.values())
                self._texts[row[0]] = [clean(text) for text in joined]
        return list(self._texts)

    def refuse_strangers(self, used: Sequence[str], interactions: str | Path) -> None:
        """Raise DataError where the table has no row of any item that `interactions` name."""
        if self.path is None or any(item in self._texts for item in used):
            return
        known = f" (first: {next(iter(self._texts))})" if self._texts else ""
        raise DataError(
            f"No id of {self.path}{known} is an item of {interactions} (first: {used[0]}): write both alike."
        )

    def columns(self, items: Iterable[str]) -> dict[str, list[str]]:
        """For `<name>.item`: by `name:type`, one text per item, empty where the table has no row."""
        rows = [self._texts.get(item, [""] * len(self._sources)) for item in items]
        return {name: [row[place] for row in rows] for place, name in enumerate(self._sources)}
