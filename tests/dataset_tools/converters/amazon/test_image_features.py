"""Image-feature files larger than the portions they are read in."""

import hashlib
import os

import numpy as np
import pytest

from dataset_tools.converters.amazon import image_features
from dataset_tools.converters.amazon.image_features import PORTION, RECORD, WIDTH, ImageFile
from dataset_tools.errors import DataError


@pytest.fixture
def path(tmp_path):
    """Records over two whole portions and a part of a third."""
    records = np.zeros(2 * PORTION // RECORD.itemsize + 40, RECORD)
    records["asin"] = [f"B{number:09d}" for number in range(len(records))]
    records["values"] = np.random.default_rng(0).random((len(records), WIDTH), dtype=np.float32)
    records.tofile(tmp_path / "image_features_X.b")
    return tmp_path / "image_features_X.b"


def read(path, wanted):
    images = ImageFile(path)
    tokens, values = zip(*images.blocks(frozenset(wanted)), strict=True)
    return sum(tokens, []), np.concatenate(values), images.record


@pytest.mark.parametrize("direct", [True, False])
def test_records_that_cross_portions_and_the_digest(path, direct, monkeypatch):
    if not direct:
        monkeypatch.delattr(os, "O_DIRECT", raising=False)
    every = np.fromfile(path, RECORD)
    for step in (1, 7):
        kept = every[::step]
        tokens, values, record = read(path, [asin.decode() for asin in kept["asin"]])
        assert tokens == [asin.decode() for asin in kept["asin"]]
        np.testing.assert_array_equal(values, kept["values"])
        assert record["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.skipif(not hasattr(os, "O_DIRECT"), reason="this system reads through its cache only")
def test_a_disk_that_refuses_to_be_read_past_the_cache_is_read_through_it(path, monkeypatch):
    opened, real = [], os.open

    def refusing(file, flags, *rest, **named):
        opened.append(flags)
        if flags & os.O_DIRECT:
            raise OSError(22, "Invalid argument")
        return real(file, flags, *rest, **named)

    monkeypatch.setattr(image_features.os, "open", refusing)
    assert read(path, ["B000000003"])[0] == ["B000000003"]
    assert opened == [os.O_RDONLY | os.O_DIRECT, os.O_RDONLY]


@pytest.mark.parametrize("left", [0, RECORD.itemsize, PORTION + 100])
def test_a_file_that_shrinks_while_it_is_read_is_refused(path, left):
    images = ImageFile(path)
    os.truncate(path, left)
    with pytest.raises(DataError, match="image_features_X.b became shorter while it was read"):
        list(images.blocks(frozenset()))
