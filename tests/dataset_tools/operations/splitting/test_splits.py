"""Splits, k-core and duplicates against their definitions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recbole.data.dataset import Dataset as RecBoleDataset

from dataset_tools.dataset.folder import DatasetFolder
from dataset_tools.dataset.interactions import Builder
from dataset_tools.dataset.reading import Dataset
from dataset_tools.errors import DataError
from dataset_tools.operations.filtering import at_least, deduplicate, k_core
from dataset_tools.operations.splitting import splits
from dataset_tools.operations.splitting.resplit import split_dataset

pairs = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 40)), min_size=1, max_size=120)


def build(rows):
    builder = Builder(rating=True, timestamp=True)
    for time, (user, item) in enumerate(rows):
        builder.add(f"u{user}", f"i{item:02d}", item % 5 + 1.0, float(time))
    return builder.build()


def named(found):
    part = np.zeros(len(found)) if found.part is None else found.part
    return sorted(
        (found.users[u], found.items[i], int(p)) for u, i, p in zip(found.user, found.item, part, strict=True)
    )


@settings(max_examples=60, deadline=None)
@given(pairs, st.integers(0, 5), st.randoms(use_true_random=False))
def test_the_paper_s_split_has_its_counts_and_ignores_the_order(rows, seed, random):
    rows = sorted(set(rows))
    found = splits.per_user(build(rows), seed)
    for user in range(len(found.users)):
        n = int((found.user == user).sum())
        withheld = min(2, n - 1) if n < 10 else n // 5
        test = 1 if withheld == 1 else withheld // 2
        counts = np.bincount(found.part[found.user == user], minlength=3)
        assert counts.tolist() == [n - withheld, withheld - test, test]
    shuffled = rows.copy()
    random.shuffle(shuffled)
    assert named(splits.per_user(build(shuffled), seed)) == named(found)


def test_seeds_differ_and_every_interaction_can_be_withheld():
    found = build([(0, item) for item in range(12)])
    tested = {
        int(found.item[np.flatnonzero(splits.per_user(found, seed).part == 2)[0]]) for seed in range(200)
    }
    assert tested == set(range(12))


@settings(max_examples=40, deadline=None)
@given(pairs)
def test_by_time_the_latest_are_tested(rows):
    found = splits.by_ratio(build(sorted(set(rows))), (0.5, 0.25, 0.25), by_time=True)
    for user in range(len(found.users)):
        mine = found.user == user
        n = int(mine.sum())
        test = n // 4 or int(n > 1)  # of few interactions one each, as long as training keeps one
        assert np.bincount(found.part[mine], minlength=3)[1:].tolist() == [n // 4 or int(n - test > 1), test]
        order = found.part[mine][np.argsort(found.timestamp[mine])]
        assert (np.diff(order) >= 0).all()


@pytest.mark.parametrize("ratios", [(0.8, 0.1, 0.1), (0.5, 0.2, 0.3), (0.9, 0.1, 0.0), (0.7, 0.0, 0.3)])
def test_shares_are_rounded_as_recbole_rounds_them(ratios):
    rows = [(count, item) for count in range(1, 40) for item in range(count)]
    found = splits.by_ratio(build(rows), ratios)
    for user in range(len(found.users)):
        mine = np.bincount(found.part[found.user == user], minlength=3)
        ends = RecBoleDataset._calcu_split_ids(None, int(mine.sum()), list(ratios))
        assert np.cumsum(mine)[:2].tolist() == [int(end) for end in ends]


def test_cold_items_are_never_trained_on():
    found = splits.cold(build([(user, item) for user in range(5) for item in range(30)]), seed=3)
    parts = {item: set(found.part[found.item == item].tolist()) for item in range(30)}
    assert all(len(part) == 1 for part in parts.values())
    assert sorted(part.pop() for part in parts.values()) == [0] * 24 + [1] * 3 + [2] * 3


def test_a_split_in_place_keeps_what_else_is_in_the_folder(tmp_path):
    with DatasetFolder(tmp_path, "toy") as folder:
        folder.write_interactions(build([(user, item) for user in range(5) for item in range(30)]))
    home = tmp_path / "toy"
    (home / "images" / "deep").mkdir(parents=True)
    (home / "images" / "deep" / "a.jpg").write_text("mine")
    (home / "NOTES.txt").write_text("mine")
    split_dataset(Dataset("toy", tmp_path), "paper")
    split_dataset(Dataset("toy", tmp_path), "ratio", force=True)
    names = {path.name for path in home.iterdir()}
    assert names >= {"images", "NOTES.txt", "toy.train.inter"} and "toy.inter" not in names
    assert (home / "images" / "deep" / "a.jpg").read_text() == "mine"
    split_dataset(Dataset("toy", tmp_path), "paper", name="other")
    assert not (tmp_path / "other" / "images").exists()


def test_columns_that_a_split_would_lose_are_refused(tmp_path):
    home = tmp_path / "toy"
    home.mkdir()
    rows = "".join(f"u{user}\ti{item}\tfine\n" for user in range(5) for item in range(30))
    (home / "toy.inter").write_text("user_id:token\titem_id:token\treview:token_seq\n" + rows)
    with pytest.raises(DataError, match="has the column.s. review, which a split leaves out"):
        split_dataset(Dataset("toy", tmp_path), "paper")
    assert (home / "toy.inter").is_file()
    split_dataset(Dataset("toy", tmp_path), "paper", name="other")
    split_dataset(Dataset("toy", tmp_path), "paper", force=True)
    assert (home / "toy.train.inter").is_file()


@pytest.mark.parametrize("share, words", [(0.05, "is 1 cold item"), (0, "between"), (1.2, "between")])
def test_shares_that_leave_nothing_to_split_are_refused(share, words):
    with pytest.raises(DataError, match=words):
        splits.cold(build([(user, item) for user in range(5) for item in range(30)]), share=share)


def test_ratios_must_add_up():
    with pytest.raises(DataError, match=r"\(0.8, 0.1, 0.2\) must be three shares that add up to 1"):
        splits.by_ratio(build([(0, 0)]), (0.8, 0.1, 0.2))


@settings(max_examples=60, deadline=None)
@given(pairs, st.integers(1, 4))
def test_k_core_is_what_removing_one_by_one_leaves(rows, k):
    rows = sorted(set(rows))
    left = set(rows)
    while True:
        poor = {
            (u, i) for u, i in left if sum(x == u for x, _ in left) < k or sum(y == i for _, y in left) < k
        }
        if not poor:
            break
        left -= poor
    found = k_core(build(rows), k)
    assert named(found) == sorted((f"u{u}", f"i{i:02d}", 0) for u, i in left)
    assert found.items == sorted({f"i{i:02d}" for _, i in left})


def test_the_first_of_repeated_pairs_stays():
    found, dropped = deduplicate(build([(0, 1), (1, 1), (0, 1), (0, 2), (1, 1)]))
    assert dropped == 2 and found.timestamp.tolist() == [0, 1, 3]


def test_low_ratings_are_left_out():
    assert at_least(build([(0, item) for item in range(5)]), 4).rating.tolist() == [4, 5]


@pytest.fixture
def dataset(tmp_path):
    with DatasetFolder(tmp_path, "toy") as folder:
        found = build([(user, item) for user in range(4) for item in range(12)])
        folder.write_interactions(found)
        folder.write_items(found.items)
        folder.write_features("visual", found.items, np.eye(12))
    return Dataset("toy", tmp_path)


def test_splitting_in_place_keeps_the_rest_and_needs_force_the_second_time(dataset, tmp_path):
    split_dataset(dataset, "paper", seed=1)
    again = Dataset("toy", tmp_path)
    assert sorted(path.name for path in again.folder.iterdir()) == [
        "toy.item", "toy.source.json", "toy.test.inter", "toy.train.inter", "toy.valid.inter",
        "toy.visual.parquet",
    ]  # fmt: skip
    assert np.bincount(again.interactions.part).tolist() == [40, 4, 4]
    with pytest.raises(DataError, match="toy has a fixed split; replace it with --force"):
        split_dataset(again, "cold")
    split_dataset(again, "none", force=True)
    assert Dataset("toy", tmp_path).inter_files == [tmp_path / "toy" / "toy.inter"]
    assert named(Dataset("toy", tmp_path).interactions) == named(dataset.interactions)


def test_splitting_to_another_name_leaves_the_first_alone(dataset, tmp_path):
    (dataset.folder / "toy.textual.parquet.partial").touch()  # a killed run's
    split_dataset(dataset, "cold", name="toycold")
    assert not list((tmp_path / "toycold").glob("*.partial"))
    assert Dataset("toy", tmp_path).interactions.part is None
    cold = Dataset("toycold", tmp_path)
    assert cold.matrix("visual")[1].all() and cold.interactions.part.max() == 2
