"""The pilot studies against brute force, and the warning about features of other items."""

from itertools import combinations

import numpy as np
import pytest

from dataset_tools.dataset.folder import DatasetFolder
from dataset_tools.dataset.interactions import Builder
from dataset_tools.dataset.reading import Dataset
from dataset_tools.errors import DataError
from dataset_tools.features import feature_similarity
from dataset_tools.features.feature_file import FeatureWriter
from dataset_tools.inspection import dataset_plots, dataset_report


@pytest.fixture
def world():
    generator = np.random.default_rng(3)
    users, items = 12, 15
    pairs = {
        (int(u), int(i))
        for u, i in zip(generator.integers(0, users, 60), generator.integers(0, items, 60), strict=True)
    }
    user, item = map(np.array, zip(*sorted(pairs), strict=True))
    return feature_similarity.used(user, item, users, items), pairs, generator.standard_normal((items, 4))


def baskets(pairs):
    return [sorted(i for u, i in pairs if u == user) for user in sorted({u for u, _ in pairs})]


@pytest.mark.parametrize("at_once", [1, 20, 1 << 22])
def test_table_1_is_the_mean_over_pairs(world, monkeypatch, at_once):
    matrix, pairs, values = world
    monkeypatch.setattr(feature_similarity, "PAIRS_AT_ONCE", 7)
    monkeypatch.setattr(feature_similarity, "SHARED_AT_ONCE", at_once)
    unit = feature_similarity.unit_rows(values)
    cosine = unit @ unit.T
    together = {pair for basket in baskets(pairs) for pair in combinations(basket, 2)}
    expected = [cosine[i, j] for i, j in together]
    everything, found = feature_similarity.mean_similarity(unit, matrix)
    assert found == pytest.approx(np.mean(expected))
    assert everything == pytest.approx(np.mean([cosine[i, j] for i, j in combinations(range(15), 2)]))


@pytest.mark.parametrize("k", [1, 2, 5, 50])
def test_table_2_counts_users_with_a_neighbour_pair(world, k):
    matrix, pairs, values = world
    index, _ = feature_similarity.neighbours(feature_similarity.unit_rows(values), 50)
    cosine = feature_similarity.unit_rows(values) @ feature_similarity.unit_rows(values).T
    np.fill_diagonal(cosine, -2)
    near = {(i, int(j)) for i in range(15) for j in np.argsort(-cosine[i])[:k] if i != j}
    hits = [any((i, j) in near for i in basket for j in basket) for basket in baskets(pairs)]
    assert feature_similarity.similar_pair_share(matrix, index, k) == pytest.approx(np.mean(hits))


@pytest.mark.parametrize("at_once", [1, 20, 1 << 22])
def test_the_share_of_neighbours_that_some_user_has_both_of(world, monkeypatch, at_once):
    matrix, pairs, values = world
    monkeypatch.setattr(feature_similarity, "SHARED_AT_ONCE", at_once)
    index, _ = feature_similarity.neighbours(feature_similarity.unit_rows(values), 3)
    together = {pair for basket in baskets(pairs) for pair in combinations(basket, 2)}
    wanted = [tuple(sorted((i, int(j)))) in together for i in range(15) for j in index[i]]
    real, shuffled, _ = feature_similarity.alignment(index, matrix)
    assert real == pytest.approx(np.mean(wanted)) and 0 < shuffled < 1


def clusters(tmp_path, shuffle):
    """Users who stay within a cluster of items; features that tell the cluster, or not."""
    generator = np.random.default_rng(0)
    builder = Builder()
    tokens = [f"i{n:03d}" for n in range(80)]
    for user in range(120):
        for item in generator.choice(8, 4, replace=False):
            builder.add(f"u{user}", tokens[8 * (user % 10) + item])
    values = np.repeat(np.eye(10), 8, axis=0) + 0.05 * generator.standard_normal((80, 10))
    with DatasetFolder(tmp_path, "world") as folder:
        folder.write_interactions(builder.build())
        folder.write_items(tokens, {"title:token_seq": [f"Cluster {n // 8}" for n in range(80)]})
        order = generator.permutation(80) if shuffle else np.arange(80)
        folder.write_features("visual", tokens, values[order])
    return list(dataset_report.report(Dataset("world", tmp_path)))


def test_features_of_the_right_items_pass_and_neighbours_have_titles(tmp_path):
    lines = clusters(tmp_path, shuffle=False)
    assert not any("WARNING" in line for line in lines)
    shown = [line for line in lines if line.startswith("  i0")]
    assert len(shown) == 10
    for line in shown:
        name, near = line.strip().split(": ")
        assert near.count(name.split(" ", 1)[1]) == 3, line


def test_shuffled_features_are_warned_about(tmp_path):
    lines = clusters(tmp_path, shuffle=True)
    assert any(
        "WARNING: the nearest neighbours in visual are no more co-interacted" in line for line in lines
    )


def test_where_nearly_all_items_are_neighbours_nothing_is_warned_about(tmp_path):
    with DatasetFolder(tmp_path, "few") as folder:
        builder = Builder()
        for number in range(18):
            builder.add(f"u{number % 5}", f"i{number % 6}")
        folder.write_interactions(builder.build())
        folder.write_items([f"i{number}" for number in range(6)])
        folder.write_features("visual", [f"i{number}" for number in range(6)], np.eye(6))
    assert not any("WARNING" in line for line in dataset_report.report(Dataset("few", tmp_path)))


def test_statistics_are_counted(tmp_path):
    lines = clusters(tmp_path, shuffle=False)
    assert lines[0] == "120 users, 80 items, 480 interactions, density 5.0000%"
    assert "visual: 80 items (100.0%) with 10 columns" in lines
    assert "interactions per user: min 4, median 4, mean 4.00, max 4; 0 users without any" in lines


def by_hand(tmp_path, inter, item=None):
    folder = tmp_path / "toy"
    folder.mkdir()
    (folder / "toy.inter").write_text(inter)
    if item:
        (folder / "toy.item").write_text(item)
    return Dataset("toy", tmp_path)


@pytest.mark.parametrize(
    ("inter", "message"),
    [
        ("user_id:token\titem_id:token\n", "toy.inter has no interactions"),
        ("", "toy.inter does not begin with a header of name:type fields"),
        ("user_id:token\titem_id:token\trating:float\nu\ta\tx\n", "toy.inter, row 1: could not convert"),
    ],
)
def test_a_data_set_that_cannot_be_read_is_one_sentence(tmp_path, inter, message):
    with pytest.raises(DataError, match=message):
        list(dataset_report.report(by_hand(tmp_path, inter)))


def test_items_that_only_interactions_name_and_features_of_no_item(tmp_path):
    dataset = by_hand(
        tmp_path, "user_id:token\titem_id:token\nu\ta\nu\tc\n", "item_id:token\ttitle:token_seq\nb\tB\n"
    )
    with FeatureWriter(dataset.folder / "toy.v.parquet", "v", 2) as writer:
        writer.write(["a", "b", "unknown"], np.eye(3)[:, :2])
    assert dataset.items == ["b", "a", "c"]
    lines = list(dataset_report.report(dataset))
    assert "1 users, 3 items, 2 interactions, density 66.6667%" in lines
    assert "v: 2 items (66.7%) with 2 columns" in lines


@pytest.mark.parametrize(
    ("name", "message"), [("x.xyz", "end its name in .png"), ("no/x.png", "no folder no")]
)
def test_a_plot_that_cannot_be_written_is_refused_at_once(name, message):
    with pytest.raises(DataError, match=message):
        dataset_plots.check(name)


def test_the_plot_is_a_picture(tmp_path):
    image_module = pytest.importorskip("PIL.Image")
    clusters(tmp_path, shuffle=False)
    path = dataset_plots.save_plot(Dataset("world", tmp_path), tmp_path / "x.png")
    with image_module.open(path) as image:
        pixels = np.asarray(image.convert("L"))
    assert image.size == (1200, 480) and len(np.unique(pixels)) > 20
