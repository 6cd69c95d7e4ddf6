"""Modality feature files: what is written, what is refused, what a failed write leaves behind."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_tools.errors import DataError
from dataset_tools.features.feature_file import FeatureFile, FeatureWriter
from dataset_tools.features.feature_text import TextFeatureFile, write_text


def write(path, tokens, values, **options):
    with FeatureWriter(path, "visual", values.shape[1], **options) as writer:
        writer.write(tokens, values)


def read(path):
    blocks = list(FeatureFile(path, "visual").blocks())
    return [t for tokens, _ in blocks for t in tokens.to_pylist()], np.concatenate([v for _, v in blocks])


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(1, 5), st.integers(4, 200))
def test_any_portions_and_row_groups_read_back(tmp_path_factory, portions, width, group_bytes):
    path = tmp_path_factory.mktemp("f") / "x.parquet"
    values = np.random.default_rng(0).standard_normal((sum(portions), width)).astype(np.float32)
    tokens = [f"i{n}" for n in range(len(values))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dataset_tools.features.feature_file.ROW_GROUP_BYTES", group_bytes)
        with FeatureWriter(path, "visual", width) as writer:
            start = 0
            for portion in portions:
                writer.write(tokens[start : start + portion], values[start : start + portion])
                start += portion
    found, back = read(path)
    assert found == tokens
    np.testing.assert_array_equal(back, values)
    assert pq.ParquetFile(path).num_row_groups == -(-len(values) // max(1, group_bytes // (4 * width)))


def test_text_form_reads_back_exactly(tmp_path):
    tokens = ['a"b', "tab\there", "plain", "ü 1"]
    values = np.array([[0.1, -0.0], [1e-38, 1.8e19], [1, 2], [np.float32(1) / 3, 5e-45]], dtype=np.float32)
    write(tmp_path / "x.parquet", tokens, values)
    write_text(tmp_path / "x.visual", FeatureFile(tmp_path / "x.parquet", "visual"))
    ((found, back),) = TextFeatureFile(tmp_path / "x.visual", "visual").blocks()
    assert found.to_pylist() == tokens
    np.testing.assert_array_equal(back, values)


@pytest.mark.parametrize(
    ("tokens", "values", "message"),
    [
        (["a", "b", "a"], np.ones((3, 2)), "item id 'a' has two rows"),
        (["a", "b"], np.ones((3, 2)), r"shape \(3, 2\) where \(2, 2\)"),
        (["a"], np.array([[1.0, np.nan]]), "NaN or infinity in the visual features of 1 item.*first a"),
        (["a"], np.array([[1.0, 1e39]], dtype=np.float64), "too large for float32"),
    ],
)
def test_bad_rows_are_refused_and_leave_nothing(tmp_path, tokens, values, message):
    with pytest.raises(DataError, match=message):
        write(tmp_path / "x.parquet", tokens, values)
    assert list(tmp_path.iterdir()) == []


def test_half_refuses_what_float16_cannot_hold(tmp_path):
    with pytest.raises(DataError, match="item 'b' are beyond float16's 65504"):
        write(tmp_path / "x.parquet", ["a", "b"], np.array([[1.0], [70000.0]]), half=True)


def test_a_failure_keeps_the_old_file(tmp_path):
    write(tmp_path / "x.parquet", ["a"], np.ones((1, 2)))
    with pytest.raises(DataError):
        write(tmp_path / "x.parquet", ["a", "a"], np.ones((2, 2)))
    assert read(tmp_path / "x.parquet")[0] == ["a"]
