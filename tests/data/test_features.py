"""Features aligned to internal ids, and every mistake in a feature file that a reader can meet."""

import logging
from collections import defaultdict
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dataset_tools.features.feature_file import FeatureFile, FeatureWriter
from dataset_tools.features.feature_text import write_text
from recbole_micro.data import features
from recbole_micro.errors import UserError

ITEMS = ["b", "a", "007", "d e", 'q"t']


def dataset(items=ITEMS):
    tokens = np.array(["[PAD]", *items])
    return SimpleNamespace(dataset_name="toy", iid_field="item_id", field2id_token={"item_id": tokens})


def config(folder, modalities=None):
    return defaultdict(lambda: None, data_path=str(folder), modalities=modalities)


def write(folder, modality, tokens, values, **options):
    with FeatureWriter(folder / f"toy.{modality}.parquet", modality, values.shape[1], **options) as writer:
        writer.write(tokens, values)


def raw(folder, modality, tokens, values, column=None, id_column="item_id:token"):
    """A Parquet file that our own writer would refuse to write."""
    kind = pa.list_(pa.float32(), values.shape[1])
    flat = pa.array(values.astype(np.float32).ravel())
    table = pa.table(
        {
            id_column: tokens,
            column or f"{modality}:float_seq": pa.FixedSizeListArray.from_arrays(flat, type=kind),
        }
    )
    pq.write_table(table, folder / f"toy.{modality}.parquet")


def rows(n, d=3, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)


@pytest.mark.parametrize("group_bytes", [12, 25, 1 << 20])
def test_rows_follow_internal_ids(tmp_path, monkeypatch, group_bytes):
    monkeypatch.setattr("dataset_tools.features.feature_file.ROW_GROUP_BYTES", group_bytes)
    order, values = ["d e", "gone", "b", 'q"t', "a"], rows(5)
    write(tmp_path, "visual", order, values)
    loaded = features.load(config(tmp_path), dataset())["visual"]
    expected = np.zeros((6, 3), dtype=np.float32)
    for internal, item in enumerate(ITEMS, 1):
        if item in order:
            expected[internal] = values[order.index(item)]
    np.testing.assert_array_equal(loaded.values.numpy(), expected)
    assert loaded.mask.tolist() == [False, True, True, False, True, True]


def test_one_line_per_modality_counts_unknown_ids(tmp_path, caplog):
    write(tmp_path, "visual", ["a", "x", "y"], rows(3))
    with caplog.at_level(logging.INFO):
        features.load(config(tmp_path), dataset())
    (message,) = [record.getMessage() for record in caplog.records]
    assert message == (
        "Modality visual: 3 rows x 3, 1 of 5 items covered (20.0%), 2 ids of other items ignored"
    )


def test_default_is_every_file_sorted_and_modalities_choose_the_order(tmp_path):
    for name in ("visual", "audio", "textual"):
        write(tmp_path, name, ITEMS, rows(5))
    (tmp_path / "toy.inter").write_text("user_id:token\titem_id:token\n")
    (tmp_path / "toy.source.json").write_text("{}")
    assert list(features.load(config(tmp_path), dataset())) == ["audio", "textual", "visual"]
    assert list(features.load(config(tmp_path, ["visual", "audio"]), dataset())) == ["visual", "audio"]
    assert list(features.load(config(tmp_path, "textual"), dataset())) == ["textual"]


def test_text_form_gives_the_same_matrix_with_a_recommendation(tmp_path, caplog):
    values = rows(5)
    values[2, 1] = 1e-30
    write(tmp_path, "visual", ITEMS, values)
    fast = features.load(config(tmp_path), dataset())["visual"]
    write_text(tmp_path / "toy.visual", FeatureFile(tmp_path / "toy.visual.parquet", "visual"))
    (tmp_path / "toy.visual.parquet").unlink()
    with caplog.at_level(logging.WARNING):
        slow = features.load(config(tmp_path), dataset())["visual"]
    assert (slow.values == fast.values).all() and (slow.mask == fast.mask).all()
    assert "python -m dataset_tools features --input" in caplog.text


def test_half_is_read_as_float32(tmp_path):
    values = np.array([[1.5, -2.0], [0.1, 60000.0]], dtype=np.float32)
    write(tmp_path, "visual", ["a", "b"], values, half=True)
    loaded = features.load(config(tmp_path), dataset())["visual"].values.numpy()
    np.testing.assert_array_equal(loaded[[2, 1]], values.astype(np.float16).astype(np.float32))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_refused(tmp_path, bad):
    values = rows(2)
    values[1, 2] = bad
    raw(tmp_path, "visual", ["a", "d e"], values)
    with pytest.raises(UserError, match=r"NaN or infinity in column 'visual:float_seq' of .*toy.visual.*d e"):
        features.load(config(tmp_path), dataset())


def test_nan_of_an_unknown_item_does_not_matter(tmp_path):
    values = rows(2)
    values[0] = np.nan
    raw(tmp_path, "visual", ["unknown", "a"], values)
    assert features.load(config(tmp_path), dataset())["visual"].mask.sum() == 1


@pytest.mark.parametrize("group_rows", [1, 10])
def test_duplicate_ids_are_refused(tmp_path, group_rows):
    raw(tmp_path, "visual", ["a", "b", "a"], rows(3))
    path = tmp_path / "toy.visual.parquet"
    pq.write_table(pq.read_table(path), path, row_group_size=group_rows)
    with pytest.raises(
        UserError, match=r"toy.visual.parquet, column 'visual:float_seq': item id\(s\) a have"
    ):
        features.load(config(tmp_path), dataset())


def test_a_file_of_other_items_is_refused(tmp_path):
    write(tmp_path, "visual", ["x", "y"], rows(2))
    with pytest.raises(UserError, match=r"none of its 2 ids \(first: x, y\) .* \(first: b, a, 007\)"):
        features.load(config(tmp_path), dataset())


def test_a_modality_without_a_file_is_refused(tmp_path):
    write(tmp_path, "visual", ["a"], rows(1))
    with pytest.raises(UserError, match=r"'audio' has no feature file .*toy.audio.parquet.*\(visual\)"):
        features.load(config(tmp_path, ["visual", "audio"]), dataset())


def test_a_name_that_no_module_may_have_is_refused(tmp_path):
    write(tmp_path, "type", ITEMS, rows(5))
    with pytest.raises(UserError, match=r"toy.type.parquet .*rename the file.* type_features"):
        features.load(config(tmp_path), dataset())


def test_no_feature_file_at_all_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"no feature file .*python -m dataset_tools features"):
        features.load(config(tmp_path), dataset())


def test_misnamed_columns_are_refused(tmp_path):
    raw(tmp_path, "visual", ["a"], rows(1), column="image:float_seq")
    with pytest.raises(UserError, match="no column 'visual:float_seq'; its columns are item_id:token, image"):
        features.load(config(tmp_path), dataset())
    raw(tmp_path, "visual", ["a"], rows(1), id_column="asin")
    with pytest.raises(UserError, match="no column 'item_id:token'; its columns are asin"):
        features.load(config(tmp_path), dataset())


def test_columns_of_another_kind_are_refused(tmp_path):
    ragged = pa.array([[1.0, 2.0]], pa.list_(pa.float32()))
    pq.write_table(
        pa.table({"item_id:token": ["a"], "visual:float_seq": ragged}), tmp_path / "toy.visual.parquet"
    )
    with pytest.raises(
        UserError, match="'visual:float_seq' of .* is list<.*float>, not a fixed-size list of float32"
    ):
        features.load(config(tmp_path), dataset())


@pytest.mark.parametrize("what", ["id", "vector", "entry"])
def test_holes_are_refused(tmp_path, what):
    vector = {"vector": None, "entry": [1.0, None]}.get(what, [1.0, 2.0])
    values = pa.array([[1.0, 2.0], vector], pa.list_(pa.float32(), 2))
    table = pa.table({"item_id:token": ["a", None if what == "id" else "b"], "visual:float_seq": values})
    pq.write_table(table, tmp_path / "toy.visual.parquet")
    with pytest.raises(UserError, match="toy.visual.parquet has an empty id, vector or entry in row group 0"):
        features.load(config(tmp_path), dataset())


def test_a_modality_named_twice_is_refused_and_an_empty_list_is_all(tmp_path):
    for modality in ("visual", "textual"):
        write(tmp_path, modality, ITEMS, rows(5))
    with pytest.raises(UserError, match=r"modalities names one twice \(visual, visual\)"):
        features.load(config(tmp_path, ["visual", "visual"]), dataset())
    assert list(features.load(config(tmp_path, []), dataset())) == ["textual", "visual"]


def test_a_file_cut_short_is_refused(tmp_path):
    write(tmp_path, "visual", ITEMS, rows(5))
    path = tmp_path / "toy.visual.parquet"
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(UserError, match="toy.visual.parquet is no complete Parquet file"):
        features.load(config(tmp_path), dataset())


def test_text_rows_of_unequal_width_are_refused(tmp_path):
    (tmp_path / "toy.visual").write_text("item_id:token\tvisual:float_seq\na\t1 2\nb\t1 2 3\n")
    with pytest.raises(UserError, match="the vector of item 'b' has 3 numbers, the first one has 2"):
        features.load(config(tmp_path), dataset())


def test_text_that_is_not_numeric_is_refused(tmp_path):
    (tmp_path / "toy.visual").write_text("item_id:token\tvisual:float_seq\na\t1 2\nb\t1 x\n")
    with pytest.raises(UserError, match="the vector of item 'b' is not numeric"):
        features.load(config(tmp_path), dataset())
