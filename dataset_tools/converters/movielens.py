"""MovieLens 100K from the files inside the installed `recbole`, with features made of its metadata."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from dataset_tools.dataset.catalog import KnownDataset
from dataset_tools.dataset.folder import DatasetFolder
from dataset_tools.dataset.interactions import Builder
from dataset_tools.errors import DataError
from dataset_tools.formats.atomic import clean, quote, read_table, write_table

USER_COLUMNS = ["user_id", "age", "gender", "occupation", "zip_code"]


def prepare(
    known: KnownDataset, data_path: str | Path = "dataset", *, force: bool = False, half: bool = False
) -> Path:
    """Write interactions, titles, years, genres, users and the modalities `textual` and `genre`; the folder.

    `textual` is TF-IDF with truncated SVD of title, year and genres; `genre` is multi-hot.
    """
    source = shipped_folder()
    with DatasetFolder(data_path, known.name, force) as folder:
        builder = Builder(rating=True, timestamp=True)
        table = read_table(source / "ml-100k.inter", ["user_id", "item_id", "rating", "timestamp"])
        for user, item, rating, timestamp in table:
            builder.add(user, item, float(rating), float(timestamp))
        folder.write_interactions(builder.build())
        movies = sorted(
            read_table(source / "ml-100k.item", ["item_id", "movie_title", "release_year", "class"])
        )
        items, titles, years, genres = map(list, zip(*movies, strict=True))
        columns = {"title:token_seq": titles, "year:token": years, "genre:token_seq": genres}
        folder.write_items(items, {name: [clean(text) for text in texts] for name, texts in columns.items()})
        users = read_table(source / "ml-100k.user", USER_COLUMNS)
        write_table(
            folder.path / f"{known.name}.user",
            [f"{name}:token" for name in USER_COLUMNS],
            ([quote(field) for field in row] for row in users),
        )
        texts = [" ".join(words) for words in zip(titles, years, genres, strict=True)]
        folder.write_texts("textual", items, texts, "tfidf", half)
        folder.write_features("genre", items, multi_hot(genres), half)
        folder.record(f"prepare {known.name}", {"half": half}, sorted(source.glob("ml-100k.*")), known)
    return folder.target


def shipped_folder() -> Path:
    """Where the installed `recbole` keeps its copy; RecBole itself is not imported."""
    spec = find_spec("recbole")
    if spec is None or not spec.submodule_search_locations:
        raise DataError("MovieLens 100K comes with RecBole; run pip install recbole==1.2.0.")
    return Path(spec.submodule_search_locations[0]) / "dataset_example" / "ml-100k"


def multi_hot(words: list[str]) -> np.ndarray:
    """One column per word, sorted, 1 where a text has it: float32 [len(words), vocabulary]."""
    rows = [text.split() for text in words]
    column = {word: number for number, word in enumerate(sorted({word for row in rows for word in row}))}
    matrix = np.zeros((len(rows), len(column)), dtype=np.float32)
    for number, row in enumerate(rows):
        matrix[number, [column[word] for word in row]] = 1.0
    return matrix
