"""Reranked lists: against a greedy choice by hand, and their price on the test set."""

from pathlib import Path

import numpy as np
import pytest
import torch

from recbole_micro import load, recommend, run
from recbole_micro.errors import UserError
from recbole_micro.inference import rerank
from recbole_micro.inference.recommend import Ranker
from tests.support import shop


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = shop.write_shop(tmp_path_factory.mktemp("data"))
    return load(run("MICRO", "shop", config_dict=shop.options(folder))["checkpoint"])


def lists(source, choice, k=4, **more):
    ranker = Ranker(source, more.pop("hide", False), rerank=choice)
    (found,) = ranker.lists(np.arange(1, source.dataset.user_num), k)
    return found


@pytest.mark.parametrize("kind", [rerank.MMR, rerank.Calibrated])
def test_without_diversity_the_lists_are_those_of_the_scores(source, kind):
    assert lists(source, kind(source, 0.0)).equals(lists(source, None))


def scaled(source):
    """Scores of all items [n_users, n_items], scaled to 0..1, without the paddings."""
    found = recommend(source, k=100, exclude_seen=False)
    table = found.pivot(index="user_id", columns="item_id", values="score")
    table = table.sub(table.min(axis=1), axis=0)
    return table.div(table.max(axis=1), axis=0)


def greedy(relevance, gain, k, weight):
    chosen: list = []
    for _ in range(k):
        worth = {
            i: (1 - weight) * relevance[i] + weight * gain(i, chosen)
            for i in relevance.index
            if i not in chosen
        }
        chosen.append(max(worth, key=worth.get))
    return chosen


@pytest.mark.parametrize("weight", [0.3, 0.9])
def test_mmr_chooses_as_by_hand(source, weight):
    table, features = scaled(source), {}
    for modality, (values, mask) in source.model.modalities.items():
        assert mask[1:].all()
        features[modality] = values / values.norm(dim=1, keepdim=True)

    def alike(i, j):
        rows = source.dataset.token2id("item_id", np.array([i, j], dtype=object))
        return np.mean([float(unit[rows[0]] @ unit[rows[1]]) for unit in features.values()])

    found = lists(source, rerank.MMR(source, weight))
    changed = 0
    for user, rows in found.groupby("user_id"):
        expected = greedy(
            table.loc[user], lambda i, chosen: -max((alike(i, j) for j in chosen), default=0), 4, weight
        )
        assert rows["item_id"].tolist() == expected
        changed += expected != table.loc[user].nlargest(4).index.tolist()
    assert changed > 3


def test_calibrated_chooses_as_by_hand(source):
    table = scaled(source)
    words = {f"i{i}": [shop.GENRES[i % 3]] + ([] if i % 2 else ["Short"]) for i in range(shop.ITEMS)}
    names = sorted({word for each in words.values() for word in each})
    shares = {i: np.array([(name in each) / len(each) for name in names]) for i, each in words.items()}
    train = source.train_data._dataset
    found = lists(source, rerank.Calibrated(source, 0.5))
    for user, rows in found.groupby("user_id"):
        mine = train.inter_feat["item_id"][train.inter_feat["user_id"] == train.token2id("user_id", user)]
        p = sum(shares[item] for item in train.id2token("item_id", mine.numpy()))
        p = p / p.sum()

        def gain(i, chosen, p=p):
            q = sum(shares[j] for j in [*chosen, i]) / (len(chosen) + 1)
            q = (1 - rerank.SMOOTHING) * q + rerank.SMOOTHING * p
            return -sum(a * np.log(a / b) for a, b in zip(p, q, strict=True) if a)

        assert rows["item_id"].tolist() == greedy(table.loc[user], gain, 4, 0.5)


def test_lists_end_where_no_item_is_left(source):
    found = lists(source, rerank.MMR(source, 0.5), k=100, hide=True)
    plain = lists(source, None, k=100, hide=True)
    assert len(found) == len(plain) == 24 * 6
    assert set(zip(found["user_id"], found["item_id"], strict=True)) == set(
        zip(plain["user_id"], plain["item_id"], strict=True)
    )
    merged = found.merge(plain, on=["user_id", "item_id"])
    assert np.allclose(merged["score_x"], merged["score_y"])


def test_without_a_column_similar_items_are_the_categories(source, monkeypatch):
    monkeypatch.setattr(rerank, "category_column", lambda dataset: None)
    chosen = rerank.Calibrated(source, 0.4)
    assert chosen.categories.shape[0] == source.dataset.item_num
    assert chosen.categories[1:].sum(1).eq(1).all() and not chosen.categories[0].any()
    assert len(lists(source, chosen)) == 24 * 4


def test_a_column_that_is_not_there_is_refused(source):
    with pytest.raises(UserError, match="--categories is 'gnre', .* did you mean genre?"):
        rerank.Calibrated(source, 0.4, "gnre")


def test_a_model_without_features_or_vectors_is_measured_by_those_of_the_data_set(source):
    folder = Path(source.config["data_path"]).parent
    other = load(run("NeuMF", "shop", config_dict=shop.options(folder, epochs=1))["checkpoint"])
    items = torch.arange(1, 6)
    own = rerank.MMR(source, 0.5)
    assert torch.equal(rerank.MMR(other, 0.5).similarity(items), own.similarity(items))
    before, after = rerank.price(other, rerank.MMR(other, 0.9), 3)
    assert after.similarity < before.similarity


def test_the_price_is_measured_on_the_test_set(source):
    before, after = rerank.price(source, rerank.MMR(source, 0.9), 3)
    hide = ["train", "valid"]
    test = source.test_data._dataset.inter_feat
    for price, choice in ((before, None), (after, rerank.MMR(source, 0.9))):
        found = lists(source, choice, k=3, hide=hide)
        hits, alike = 0.0, []
        for user, rows in found.groupby("user_id"):
            row = source.dataset.token2id("user_id", user)
            wanted = set(source.dataset.id2token("item_id", test["item_id"][test["user_id"] == row].numpy()))
            hits += len(wanted & set(rows["item_id"])) / len(wanted)
            items = torch.as_tensor(source.dataset.token2id("item_id", rows["item_id"].to_numpy()))
            matrix = rerank.MMR(source, 0.9).similarity(items)
            alike.append(matrix[~torch.eye(3, dtype=bool)].mean().item())
        assert price.recall == pytest.approx(hits / found["user_id"].nunique(), abs=1e-4)
        assert price.coverage == found["item_id"].nunique() / shop.ITEMS
        assert price.similarity == pytest.approx(np.mean(alike), abs=1e-5)
    assert after.similarity < before.similarity
