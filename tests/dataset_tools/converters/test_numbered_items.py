"""Layouts in which items are numbers: gaps, longer matrices, and files that are no features."""

import json

import numpy as np
import pytest
import torch

from dataset_tools.converters import micro_layout, mmrec_layout
from dataset_tools.dataset.provenance import read_steps
from dataset_tools.dataset.reading import Dataset
from dataset_tools.errors import DataError


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def mmrec(items, users=(0, 1), **features):
    from pathlib import Path

    folder = Path("in")
    folder.mkdir(exist_ok=True)
    pairs = [(user, item) for user in users for item in items]
    lines = "".join(f"{user}\t{item}\t{number % 3}\n" for number, (user, item) in enumerate(pairs))
    (folder / "x.inter").write_text("userID\titemID\tx_label\n" + lines)
    for name, values in features.items():
        np.save(folder / f"{name}.npy", values, allow_pickle=True)
    return folder


def micro(items, users=("0", "1"), encoding="utf-8", **features):
    from pathlib import Path

    folder = Path("in")
    folder.mkdir(exist_ok=True)
    for part in ("train", "val", "test"):
        (folder / f"{part}.json").write_text(
            json.dumps({user: list(items) for user in users}), encoding=encoding
        )
    for name, values in features.items():
        np.save(folder / f"{name}.npy", values)
    return folder


LAYOUTS = {"mmrec": (mmrec, mmrec_layout.convert), "micro": (micro, micro_layout.convert)}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_without_features_and_lists_only_numbers_that_occur_are_items_and_users(layout):
    write, convert = LAYOUTS[layout]
    users = (7, 70_000) if layout == "mmrec" else ("7", "70000")
    convert(write([4, 10**12, 9], users), "toy", "d")
    dataset = Dataset("toy", "d")
    assert dataset.items == ["4", "9", "1000000000000"] and dataset.users == ["7", "70000"]
    found = dataset.interactions
    assert {found.items[number] for number in found.item} == {"4", "9", "1000000000000"}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_longer_matrix_has_items_without_interactions(layout):
    write, convert = LAYOUTS[layout]
    values = np.random.default_rng(0).random((6, 3)).astype("f4")
    convert(write([0, 3], image_feat=values, text_feat=values[:, :2]), "toy", "d")
    dataset = Dataset("toy", "d")
    assert dataset.items == list("012345")
    np.testing.assert_array_equal(dataset.matrix("visual")[0], values)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("items", "rows", "message"),
    [
        ([0, 1, 2], (2, 2), "image_feat.npy has 2 rows for 3 items; it needs one for each number"),
        (
            [0, 5, 900],
            (3, 3),
            "image_feat.npy has 3 rows for 901 items; the numbers have gaps, as original ids",
        ),
        ([0, 1], (4, 3), "text_feat.npy has 3 rows, image_feat.npy has 4; each needs one for every"),
    ],
)
def test_matrices_that_do_not_fit_the_numbers_are_refused(here, layout, items, rows, message):
    write, convert = LAYOUTS[layout]
    source = write(items, image_feat=np.ones((rows[0], 2)), text_feat=np.ones((rows[1], 2)))
    with pytest.raises(DataError, match=message):
        convert(source, "toy", "d")
    assert list((here / "d").iterdir()) == []


@pytest.mark.parametrize("layout", LAYOUTS)
def test_values_too_large_are_refused_and_left_out_as_advised(layout):
    write, convert = LAYOUTS[layout]
    values = np.ones((3, 2), dtype="f4")
    values[1] = -3.4e38
    source = write([0, 1, 2], image_feat=values)
    with pytest.raises(DataError, match="too large for float32 to square .*first 1: .*--skip-bad"):
        convert(source, "toy", "d")
    convert(source, "toy", "d", skip_bad=True)
    assert Dataset("toy", "d").matrix("visual")[1].tolist() == [True, False, True]


def remarks(name="toy"):
    return read_steps(Dataset(name, "d").folder, name)[-1]["summary"]["remarks"]


def test_mmrec_s_other_files_are_passed_over_with_a_line_each(here):
    values = np.ones((3, 2), dtype="f4")
    source = mmrec(
        [0, 1, 2],
        image_feat=values,
        user_graph_dict={0: [[1], [2]]},
        item_graph_dict_2={0: [[1], [2]]},
        **{"missing_items_0.666": np.array({"a": 1}, dtype=object)},
        other=np.array([None]),
        flat=np.ones(3),
    )
    torch.save(torch.eye(3).to_sparse(), source / "mm_adj_freedomdsp_10_1.pt")
    torch.save([1], source / "state.pt")
    (source / "README.md").write_text("hello")
    (source / "old").mkdir()
    mmrec_layout.convert(source, "toy", "d")
    assert Dataset("toy", "d").modalities == ["visual"]
    assert remarks() == [
        "flat.npy is not read: it has the shape (3,), and so is no feature matrix",
        "item_graph_dict_2.npy is not read: the items most alike; the models here make their own graphs",
        "missing_items_0.666.npy is not read: `convert dgmrec` takes away the features that it names",
        "mm_adj_freedomdsp_10_1.pt is not read: a graph that a model kept; the models here make their own",
        "other.npy is not read: it holds Python objects, which are never opened, and so no feature matrix",
        "state.pt is not read: holds a list; save a tensor [items, columns].",
        "user_graph_dict.npy is not read: the users most alike, at which no model here looks",
        "not read, as not needed: README.md, old/",
    ]  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_features_in_pt_are_read(layout):
    write, convert = LAYOUTS[layout]
    values = torch.rand(3, 4)
    source = write([0, 1, 2], image_feat=values.numpy())
    torch.save(values * 2, source / "text_feat.pt")
    torch.save(values * 3, source / "image_feat.pt")
    convert(source, "toy", "d")
    dataset = Dataset("toy", "d")
    assert dataset.modalities == ["textual", "visual"]
    np.testing.assert_array_equal(dataset.matrix("textual")[0], values.numpy() * 2)
    assert remarks() == ["image_feat.pt is not read: image_feat.npy is read"]


def test_every_feature_file_of_micro_s_layout_is_a_modality(capsys):
    values = np.random.default_rng(0).random((3, 4)).astype("f4")
    source = micro(
        [0, 1, 2], image_feat=values, text_feat=values, text_feat_wordllama256=values * 2, notes=values
    )
    (source / "train_mat").write_bytes(b"a pickle that nobody opens")
    micro_layout.convert(source, "toy", "d")
    dataset = Dataset("toy", "d")
    assert dataset.modalities == ["textual", "textual_wordllama256", "visual"]
    np.testing.assert_array_equal(dataset.matrix("textual_wordllama256")[0], values * 2)
    assert remarks() == ["not read, as not needed: notes.npy, train_mat"]


def test_a_byte_order_mark_in_json_is_passed_over():
    micro_layout.convert(micro([0, 1], encoding="utf-8-sig"), "toy", "d")
    assert Dataset("toy", "d").items == ["0", "1"]


def test_two_files_of_one_modality_are_refused():
    source = mmrec([0, 1], image=np.eye(2), image_feat=np.eye(2))
    with pytest.raises(DataError, match="two files of the modality visual, image.npy, image_feat.npy"):
        mmrec_layout.convert(source, "toy", "d")
    mmrec_layout.convert(source, "toy", "d", rename={"image": "cover"})
    assert Dataset("toy", "d").modalities == ["cover", "visual"]


@pytest.mark.parametrize("shuffled", [False, True])
def test_an_order_that_does_not_fit_is_told_before_any_training(tmp_path, shuffled):
    """Of 120 items in four groups, with vectors that say the group; users stay within one."""
    generator = np.random.default_rng(0)
    group = np.arange(120) % 4
    rows = [
        (user, item, place % 3)
        for user in range(200)
        for place, item in enumerate(generator.choice(np.flatnonzero(group == user % 4), 9, replace=False))
    ]
    source = tmp_path / "src"
    source.mkdir()
    text = "".join(f"{user}\t{item}\t{part}\n" for user, item, part in rows)
    (source / "x.inter").write_text("userID\titemID\tx_label\n" + text)
    values = np.eye(4, 6)[group] + 0.1 * generator.standard_normal((120, 6))
    np.save(source / "image_feat.npy", generator.permutation(values) if shuffled else values)
    mmrec_layout.convert(source, "toy", tmp_path / "data")
    remarks = read_steps(tmp_path / "data" / "toy", "toy")[-1]["summary"]["remarks"]
    assert (
        any("the nearest neighbours in visual are no more co-interacted" in line for line in remarks)
        == shuffled
    )
