"""MovieLens 100K from the installed recbole."""

import numpy as np
import pytest

from dataset_tools.converters.movielens import multi_hot
from dataset_tools.dataset import catalog
from dataset_tools.dataset.reading import Dataset
from dataset_tools.errors import DataError
from tests.support.processes import run_python


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    path = tmp_path_factory.mktemp("data")
    assert catalog.prepare("ml-100k", path) == path / "ml-100k"
    return Dataset("ml-100k", path)


def test_counts_are_the_published_ones(dataset):
    found = dataset.interactions
    assert (len(found.users), len(dataset.items), len(found)) == (943, 1682, 100000)
    assert found.rating.min() == 1 and found.rating.max() == 5 and found.timestamp.min() > 8e8


def test_titles_years_and_genres_are_there(dataset):
    assert dataset.titles()["50"] == "Star Wars"
    texts = dict(zip(dataset.items, dataset.texts(["title", "year", "genre"]), strict=True))
    assert texts["1"] == "Toy Story 1995 Animation Children's Comedy"
    assert dataset.item_file.read_bytes().count(b"\r") == 0


def test_genre_is_multi_hot_and_textual_joins_sequels(dataset):
    assert dataset.modalities == ["genre", "textual"]
    genre, mask = dataset.matrix("genre")
    assert mask.all() and set(np.unique(genre)) == {0.0, 1.0} and genre.shape[1] == 19
    assert genre[dataset.items.index("1")].sum() == 3
    textual, mask = dataset.matrix("textual")
    assert mask.all()
    unit = textual / np.linalg.norm(textual, axis=1, keepdims=True)
    cosine = unit @ unit[dataset.items.index("222")]  # Star Trek: First Contact
    assert "380" in [dataset.items[row] for row in np.argsort(-cosine)[1:6]]  # Star Trek: Generations


def test_preparing_twice_gives_the_same_bytes(dataset, tmp_path):
    catalog.prepare("ml-100k", tmp_path)
    for path in dataset.folder.iterdir():
        assert (tmp_path / "ml-100k" / path.name).read_bytes() == path.read_bytes(), path.name


def test_torch_and_recbole_are_not_imported(tmp_path):
    code = (
        "import sys; from dataset_tools.dataset import catalog; catalog.prepare('ml-100k', sys.argv[1]);"
        "assert not {'torch', 'recbole'} & set(sys.modules)"
    )
    ran = run_python("-c", code, tmp_path)
    assert ran.returncode == 0, ran.stderr


def test_multi_hot_of_no_word_is_a_row_of_zeros():
    np.testing.assert_array_equal(multi_hot(["b a", "", "b"]), [[1, 1], [0, 0], [0, 1]])


def test_an_unknown_name_says_what_is_known(tmp_path):
    assert not catalog.is_known("nothing") and catalog.is_known("baby")
    with pytest.raises(DataError, match=r"'nothing' is not in the catalogue \(ml-100k, baby"):
        catalog.prepare("nothing", tmp_path)
