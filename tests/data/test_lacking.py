"""Items that lose features, and what items without features get, against dense references."""

import logging
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from recbole.data import create_dataset, data_preparation

from dataset_tools.dataset.reading import Dataset
from dataset_tools.operations.splitting.missing import chosen, remove_features
from recbole_micro import Config
from recbole_micro.data import features, lacking
from recbole_micro.data.lacking import Modality
from recbole_micro.errors import UserError
from tests.support.tiny import QUICK, write_dataset, write_tiny

PARTS = {
    "train": [(0, 0), (0, 1), (1, 1), (1, 2), (2, 2), (2, 3), (2, 3), (3, 4)],
    "valid": [(0, 4), (3, 0)],
    "test": [(1, 4), (3, 1)],
}
LACKS = [1, 3, 4, 5]  # item 4 shares users with none, nobody has item 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """`toy`, whose items lack a modality, and `moved`, the same with other validation and test parts."""
    folder = tmp_path_factory.mktemp("data")
    values = np.random.default_rng(0).standard_normal((6, 3)).astype(np.float32)
    values[LACKS] = np.nan
    whole = np.random.default_rng(1).standard_normal((6, 2)).astype(np.float32)
    moved = {"train": PARTS["train"], "valid": [(1, 3), (2, 0)], "test": [(0, 3), (0, 2)]}
    for name, parts in {"toy": PARTS, "moved": moved}.items():
        write_dataset(folder, name, parts, 6, {"visual": values, "textual": whole})
    write_tiny(folder, parts=True)
    return folder


def loaded(folder, name="toy", model="MICRO", **options):
    """(features by modality in the order i0, i1, .., the training data set)."""
    given = {**QUICK, "data_path": str(folder), **options, "load_col": LOAD}
    config = Config(model, name, config_dict=given)
    train = data_preparation(config, create_dataset(config))[0]._dataset
    found = features.load(config, train)
    order = train.token2id("item_id", [f"i{item}" for item in range(train.item_num - 1)])
    return {m: Modality(part.values[order], part.mask[order]) for m, part in found.items()}, train


LOAD = {"inter": ["user_id", "item_id"], "item": ["item_id"]}


def by_hand(values, mask, how):
    """What the items of `toy` get, item by item."""
    users = {}
    for user, item in PARTS["train"]:
        users.setdefault(item, set()).add(user)
    values, after = values.clone().double(), mask.clone()
    known = values[mask]
    for item in LACKS:
        shares = [
            other for other in range(6) if mask[other] and users.get(other, set()) & users.get(item, set())
        ]
        rows = {"zero": torch.zeros(1, 3), "mean": known, "neighbours": values[shares]}[how].double()
        if len(rows):
            values[item], after[item] = rows.mean(0), True
    return values, after


@pytest.mark.parametrize("how", ["zero", "mean", "neighbours"])
def test_what_an_item_gets_equals_a_dense_reference(folder, how, caplog):
    before = loaded(folder)[0]["visual"]
    assert (~before.mask).nonzero()[:, 0].tolist() == LACKS and not before.values[LACKS].any()
    with caplog.at_level(logging.INFO):
        after = loaded(folder, missing=how)[0]
    values, mask = by_hand(*before, how)
    assert torch.equal(after["visual"].mask, mask)
    assert torch.allclose(after["visual"].values.double(), values, atol=1e-7)
    assert after["textual"].mask.all()
    count = "2" if how == "neighbours" else "4"
    assert f"Modality visual: {count} items without a row get {lacking.WHAT[how]}" in caplog.text
    assert ("2 share users with no item that has it" in caplog.text) == (how == "neighbours")
    assert "Modality textual: 0 items without a row" in caplog.text


def test_the_padding_never_gets_a_row(folder):
    config = Config("MICRO", "toy", config_dict={**QUICK, "data_path": str(folder), "missing": "mean"})
    train = data_preparation(config, create_dataset(config))[0]._dataset
    part = features.load(config, train)["visual"]
    assert not part.mask[0] and not part.values[0].any()


@pytest.mark.parametrize("how", ["zero", "mean", "neighbours"])
def test_validation_and_test_interactions_change_nothing(folder, how):
    one, other = (loaded(folder, name, missing=how)[0]["visual"] for name in ("toy", "moved"))
    assert torch.equal(one.values, other.values) and torch.equal(one.mask, other.mask)


def test_neighbours_are_found_in_portions(folder, monkeypatch):
    whole = loaded(folder, missing="neighbours")[0]["visual"]
    monkeypatch.setattr(lacking, "PAIRS", 1)
    assert torch.equal(loaded(folder, missing="neighbours")[0]["visual"].values, whole.values)


@pytest.mark.parametrize("modalities", [None, ["visual"]])
def test_a_share_removes_what_split_removes(folder, modalities):
    given = {"modalities": modalities or []}
    name = f"gone{len(given['modalities'])}"
    remove_features(Dataset("tiny", folder), 0.4, seed=3, name=name, **given)
    options = {"missing_share": 0.4, "missing_seed": 3, "missing_modalities": modalities}
    on_disk, at_run = loaded(folder, name)[0], loaded(folder, "tiny", **options)[0]
    for modality, part in on_disk.items():
        assert torch.equal(part.values, at_run[modality].values)
        assert torch.equal(part.mask, at_run[modality].mask)
    assert int((~at_run["visual"].mask).sum()) == len(chosen(range(16), 0.4)) == 6


def test_shares_that_leave_nothing_and_unused_modalities_are_refused(folder):
    with pytest.raises(UserError, match="leaves no item with textual features"):
        loaded(folder, "tiny", missing_share=1.0)
    with pytest.raises(UserError, match="missing_modalities names visual, which is not used"):
        loaded(folder, "tiny", missing_share=0.5, missing_modalities=["visual"], modalities=["textual"])


def test_groups_by_what_items_have():
    has = {"a": np.array([0, 1, 1, 0, 0], bool), "b": np.array([0, 1, 0, 1, 0], bool)}
    found = {name: group.nonzero()[0].tolist() for name, group in lacking.groups(has).items()}
    assert found == {"complete": [1], "partial": [2, 3], "without": [4]}


def test_without_lacking_items_nothing_is_given():
    part = Modality(torch.ones(3, 2), torch.tensor([False, True, True]))
    train = SimpleNamespace(inter_matrix=lambda form: np.ones((2, 3)))
    for how in ("zero", "mean"):
        after = lacking.filled({"visual": part}, how, train)["visual"]
        assert torch.equal(after.values, part.values) and torch.equal(after.mask, part.mask)
