"""Amazon Reviews 2023 in its exact format."""

import gzip
import json

import numpy as np
import pytest

from dataset_tools.__main__ import main
from dataset_tools.converters.amazon import amazon2023
from dataset_tools.dataset.reading import Dataset
from dataset_tools.errors import DataError


def reviews():
    generator = np.random.default_rng(1)
    for user in range(8):
        for item in generator.choice(9, 6, replace=False):
            yield {
                "rating": float(item % 5 + 1), "title": "t", "text": "tab\tand \"quotes\"", "images": [],
                "asin": f"V{item}", "parent_asin": f"B0{item}", "user_id": f"AG{user}", "helpful_vote": 0,
                "timestamp": 1588687728923 + int(item), "verified_purchase": True,
            }  # fmt: skip
    yield {"rating": 5.0, "parent_asin": "B0RARE", "user_id": "AG0", "timestamp": 1588687728923}


def metadata():
    for item in range(9):
        yield {
            "main_category": "All Beauty", "title": f"Item {item}", "average_rating": 4.8, "price": None,
            "features": ["soft", f"size {item}"], "description": ["First.", "Second."], "videos": [],
            "images": [{"thumb": "t", "large": f"l{item}.jpg", "hi_res": None}] * (item != 2), "details": {},
            "store": "S", "categories": ["A", "B"], "parent_asin": f"B0{item}", "bought_together": None,
        }  # fmt: skip


@pytest.fixture
def files(tmp_path):
    for name, rows in (("X.jsonl.gz", reviews()), ("meta_X.jsonl.gz", metadata())):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / name).write_bytes(gzip.compress(text.encode()))
    return ["--reviews", str(tmp_path / "X.jsonl.gz"), "--meta", str(tmp_path / "meta_X.jsonl.gz")]


def test_the_core_has_texts_images_ratings_and_times(files):
    assert (
        main(["convert", "amazon2023", *files, "--name", "toy", "--data-path", "data", "--k-core", "3"]) == 0
    )
    dataset = Dataset("toy", "data")
    found = dataset.interactions
    assert dataset.items == sorted({r["parent_asin"] for r in reviews()} - {"B0RARE"})
    expected = {(r["user_id"], r["parent_asin"], r["rating"], r["timestamp"] / 1000) for r in reviews()}
    columns = (found.user, found.item, found.rating, found.timestamp)
    rows = {(found.users[u], found.items[i], r, t) for u, i, r, t in zip(*columns, strict=True)}
    assert rows == {row for row in expected if row[1] != "B0RARE"}
    texts = dict(zip(dataset.items, dataset.texts(["text"]), strict=True))
    assert texts["B01"] == "Item 1 S A B soft size 1 First. Second."
    images = dict(zip(dataset.items, dataset.texts(["image"]), strict=True))
    assert images["B01"] == "l1.jpg" and images["B02"] == ""
    assert dataset.modalities == ["textual"]


def test_a_folder_as_published_and_the_earliest_of_several_reviews(tmp_path):
    rows = [{"user_id": "A", "parent_asin": "B1", "rating": 5.0, "timestamp": time} for time in (9000, 4000)]
    for folder, name, content in (
        ("review_categories", "X.jsonl.gz", rows),
        ("meta_categories", "meta_X.jsonl.gz", [{"parent_asin": "B1", "title": "Soap"}]),
    ):
        (tmp_path / "in" / folder).mkdir(parents=True)
        text = "".join(json.dumps(row) + "\n" for row in content)
        (tmp_path / "in" / folder / name).write_bytes(gzip.compress(text.encode()))
    options = {"core": 0, "split": "none"}
    amazon2023.convert(None, None, "x", tmp_path / "d", source=tmp_path / "in", category="X", **options)
    found = Dataset("x", tmp_path / "d").interactions
    assert len(found) == 1 and found.timestamp.tolist() == [4.0]
    with pytest.raises(DataError, match=r"in has 0 files Y.jsonl.gz; --from names the folder"):
        amazon2023.convert(None, None, "y", tmp_path / "d", source=tmp_path / "in", category="Y")
    with pytest.raises(DataError, match="--meta is missing"):
        amazon2023.convert("X.jsonl.gz", None, "y", tmp_path / "d")


def test_low_ratings_can_be_left_out(files):
    where = ["--name", "toy", "--data-path", "data", "--k-core", "1", "--min-rating", "3"]
    assert main(["convert", "amazon2023", *files, *where]) == 0
    assert Dataset("toy", "data").interactions.rating.min() == 3


def test_too_large_a_core_is_one_sentence(files, capsys):
    assert (
        main(["convert", "amazon2023", *files, "--name", "toy", "--data-path", "data", "--k-core", "99"]) == 2
    )
    assert capsys.readouterr().err.endswith("X.jsonl.gz has no 99-core; choose a smaller --k-core.\n")
