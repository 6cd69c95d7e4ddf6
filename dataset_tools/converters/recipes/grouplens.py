"""MovieLens as GroupLens publishes it, `ratings.csv` or `ratings.dat`, with posters in a folder beside it.

https://grouplens.org/datasets/movielens; for research, no redistribution without permission.  ML-1M is
`UserID::MovieID::Rating::Timestamp`, its titles in Latin-1; newer ones are CSV with a header.  Posters are
called `<movie id>.jpg`: `encode --image clip/<model> --images DIR/posters`; `ml1m_full_extended_mapping.tsv`
of RecSys '25 has their addresses (img_url), which `encode --download` fetches.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dataset_tools.converters import plain_tables
from dataset_tools.converters import shared_options as shared
from dataset_tools.converters.declaration import converter, recorded
from dataset_tools.converters.numbered_items import remark_unread
from dataset_tools.converters.plain_tables import TableOptions
from dataset_tools.converters.recipes import files
from dataset_tools.dataset.folder import DatasetFolder
from dataset_tools.dataset.interactions import Interactions
from dataset_tools.errors import DataError
from dataset_tools.formats.tables.table_file import read_rows
from dataset_tools.formats.text_file import BadRows

COUNTS = {"ml-1m": (6_040, 3_706, 1_000_209)}
DAT = ("UserID", "MovieID", "Rating", "Timestamp")
ADDRESSES = "ml1m_full_extended_mapping"


@dataclass(frozen=True, kw_only=True)
class MovieLensOptions(shared.TextRecipeOptions):
    min_rating: float | None = shared.min_rating()
    text: str | None = shared.encoded("title and genres")


@converter("MovieLens: ratings.csv and movies.csv, or ratings.dat and movies.dat", MovieLensOptions)
def convert(folder: DatasetFolder, options: MovieLensOptions) -> None:
    """Write the ratings, titles, and the posters' addresses where RecSys '25's table of them is there."""
    source = files.check_folder(options.source)
    tables = files.below(source, (".csv", ".dat", ".tsv"))

    def named(stem: str) -> list[Path]:
        return [path for path in tables if path.name.split(".")[0] == stem]

    ratings = files.the_one(named("ratings"), "ratings.csv or ratings.dat", source)
    movies = files.at_most_one(named("movies"), "movies.csv or movies.dat", source)
    addresses = files.at_most_one(named(ADDRESSES), f"{ADDRESSES}.tsv", source)
    old = ".dat" in ratings.name
    user, item, rating, time = DAT if old else ("userId", "movieId", "rating", "timestamp")
    table = TableOptions(
        interactions=ratings, columns=DAT if old else (), separator="::" if old else "", user=user, item=item,
        rating=rating, time=time, min_rating=options.min_rating,
        **options.passed_on(),
    )  # fmt: skip

    def about(items: Sequence[str]) -> dict[str, list[str]]:
        titles = {item: (title, genres) for item, title, genres in _movies(movies)} if movies else {}
        rows = [titles.get(item, ("", "")) for item in items]
        found = {"title:token_seq": [title for title, _ in rows]} if movies else {}
        if movies and options.text:
            found["text:token_seq"] = [" ".join(row).strip() for row in rows]
        if addresses:
            images = {
                row[0]: row[1] for _, row in read_rows(addresses, ["movie_id", "img_url"], BadRows(True))
            }
            found["image:token"] = [images.get(item, "") for item in items]
        return found

    def more(found: Interactions) -> list[Path]:
        read = [path for path in (movies, addresses) if path]
        remark_unread(folder, source, [ratings, *read])
        if not options.core and options.min_rating is None:
            files.compare(folder, found, COUNTS, source.name)
        return read

    plain_tables.write(folder, table, "convert movielens", recorded(options), more=more, about_items=about)


def _movies(path: Path) -> Iterator[tuple[str, str, str]]:
    """(id, title, genres with spaces between)."""
    if ".dat" not in path.name:
        for _, (item, title, genres) in read_rows(path, ["movieId", "title", "genres"], BadRows(True)):
            yield item, title, _words(genres)
        return
    data = path.read_bytes()
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    for line, row in enumerate(text.splitlines(), 1):
        fields = row.split("::")
        if len(fields) != 3:
            raise DataError(f"{path}, line {line}: expected id::title::genres, got {row[:60]!r}.")
        yield fields[0], fields[1], _words(fields[2])


def _words(genres: str) -> str:
    return "" if genres.startswith("(no genres") else genres.replace("|", " ")
