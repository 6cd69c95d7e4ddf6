"""The JSON layout of MICRO, LATTICE and MMSSL."""

import json

import numpy as np
import pytest

from dataset_tools.converters import micro_layout
from dataset_tools.dataset.reading import Dataset
from dataset_tools.errors import DataError

ITEMS = ["B01", "007", "é x", 'q"t', "A9"]


def triples(dataset):
    found = dataset.interactions
    return {
        (found.users[u], found.items[i], int(p))
        for u, i, p in zip(found.user, found.item, found.part, strict=True)
    }


def test_split_ids_and_features_are_those_of_the_source(tmp_path, write_micro):
    source = write_micro(tmp_path / "src")
    micro_layout.convert(source, "toy", tmp_path / "out")
    dataset = Dataset("toy", tmp_path / "out")
    assert dataset.items == ITEMS
    assert triples(dataset) == {
        ("U1", "A9", 0), ("U1", "007", 0), ("0042", "B01", 0), ("0042", "é x", 0), ("u 3", "007", 0),
        ("zz", "é x", 0), ("zz", 'q"t', 0), ("U1", "é x", 1), ("zz", "B01", 1), ("0042", 'q"t', 2),
    }  # fmt: skip
    assert dataset.modalities == ["textual", "visual"]
    values, mask = dataset.matrix("visual")
    np.testing.assert_array_equal(values, np.load(source / "image_feat.npy"))
    assert mask.all()


def test_without_lists_the_numbers_are_the_ids(tmp_path, write_micro):
    micro_layout.convert(write_micro(tmp_path / "src", lists=False), "toy", tmp_path / "out")
    dataset = Dataset("toy", tmp_path / "out")
    assert dataset.items == ["0", "1", "2", "3", "4"]
    assert ("3", "0", 1) in triples(dataset)


def test_cold_start_split_shares_ids_and_features(tmp_path, write_micro):
    source = write_micro(tmp_path / "src")
    (source / "0-core").mkdir()
    for part, content in {"train": {"0": [1]}, "val": {"0": [], "1": [3]}, "test": {"2": [4]}}.items():
        (source / "0-core" / f"{part}.json").write_text(json.dumps(content))
    micro_layout.convert(source, "cold", tmp_path / "out", core="0-core")
    dataset = Dataset("cold", tmp_path / "out")
    assert triples(dataset) == {("U1", "007", 0), ("0042", 'q"t', 1), ("u 3", "A9", 2)}
    record = json.loads((dataset.folder / "cold.cold.json").read_text())
    assert record == {"valid": ['q"t'], "test": ["A9"]}
    assert dataset.items == ITEMS and dataset.matrix("textual")[1].all()


def test_a_split_without_a_core_folder_as_in_mmssl(tmp_path, write_micro):
    source = write_micro(tmp_path / "src", features=("image", "text", "audio"))
    for path in (source / "5-core").iterdir():
        path.rename(source / path.name)
    (source / "5-core").rmdir()
    (source / "train_mat").write_bytes(b"a pickle that nobody opens")
    micro_layout.convert(source, "toy", tmp_path / "out")
    dataset = Dataset("toy", tmp_path / "out")
    assert dataset.items == ITEMS and dataset.modalities == ["acoustic", "textual", "visual"]


@pytest.mark.parametrize("rows", [4, 6])
def test_features_with_another_number_of_rows_are_refused(tmp_path, write_micro, rows):
    source = write_micro(tmp_path / "src", rows=rows)
    with pytest.raises(DataError, match=f"image_feat.npy has {rows} rows for 5 items"):
        micro_layout.convert(source, "toy", tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("train.json", "{", "train.json is not a JSON object of the form"),
        ("train.json", '{"0": 3}', "train.json is not a JSON object of the form"),
        (
            "train.json",
            '{"0": [1, -1]}',
            "train.json is not a JSON object .*-1 is not the number of a user or item",
        ),
        ("train.json", '{"0": [1.5]}', "train.json is not a JSON object .*1.5 is not the number"),
        ("train.json", '{"0": [true]}', "train.json is not a JSON object .*True is not the number"),
        ("train.json", '[["0", [1]]]', "train.json is not a JSON object of the form"),
        ("train.json", '{"0": [1], "0": [2]}', "train.json has a user twice"),
        ("train.json", '{"0": [1000000000000]}', "The number 1000000000000 is too large"),
        ("item_list.txt", "a\t0\nb\n", r"item_list.txt, line 2: expected an original id and a number"),
        ("item_list.txt", "a\t0\nb\t2\n", "item_list.txt has no id for number 1; 0 to 4 each need one"),
        ("item_list.txt", "a\t0\na\t1\nb\t2\nc\t3\nd\t4\n", "gives one id to two numbers"),
        (
            "user_list.txt",
            "NA\t0\nb\t1\nc\t2\nd\t3\n",
            "The user id 'NA' cannot be used because RecBole reads",
        ),
    ],
)
def test_broken_files_are_named_and_leave_nothing(tmp_path, write_micro, file, text, message):
    source = write_micro(tmp_path / "src")
    (source / "5-core" / file).write_text(text)
    with pytest.raises(DataError, match=message):
        micro_layout.convert(source, "toy", tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_an_object_array_is_never_opened(tmp_path, write_micro):
    source = write_micro(tmp_path / "src")
    np.save(source / "image_feat.npy", np.array([[object()]] * 5), allow_pickle=True)
    with pytest.raises(DataError, match="image_feat.npy holds Python objects, which are never opened"):
        micro_layout.convert(source, "toy", tmp_path / "out")


def test_a_folder_without_a_split_is_refused(tmp_path):
    with pytest.raises(DataError, match="has no train.json; --from must name"):
        micro_layout.convert(tmp_path, "toy", tmp_path / "out")
