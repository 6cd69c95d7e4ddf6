"""Top-k lists: against brute force, new items among them."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from dataset_tools.features.feature_file import FeatureWriter
from recbole_micro import load, run
from recbole_micro.data.features import Modality
from recbole_micro.errors import UserError
from recbole_micro.inference.recommend import NewItems, read_new_items, recommend
from recbole_micro.models.new_items import encode_new_items, nearest_known
from tests.support.scores import whole
from tests.support.tiny import QUICK, WIDTHS


@pytest.fixture(scope="module")
def checkpoints(tiny_data, tmp_path_factory):
    """A checkpoint per model, trained on the tiny data set."""
    saved = tmp_path_factory.mktemp("saved")
    given = {**QUICK, "data_path": str(tiny_data), "checkpoint_dir": str(saved), "epochs": 1}
    return {model: run(model, "tiny", config_dict=given)["checkpoint"] for model in ("MICRO", "NeuMF")}


@pytest.fixture
def micro(checkpoints):
    return load(checkpoints["MICRO"])


def interactions(source) -> set[tuple[str, str]]:
    dataset = source[2]
    pairs = set()
    for loader in source[3:]:
        rows = loader._dataset.inter_feat
        users = dataset.id2token("user_id", rows["user_id"].numpy())
        pairs |= set(zip(users, dataset.id2token("item_id", rows["item_id"].numpy()), strict=True))
    return pairs


def scores(source) -> pd.DataFrame:
    """Users x items with original ids."""
    _, model, dataset, *_ = source
    names = (dataset.field2id_token[field][1:] for field in ("user_id", "item_id"))
    return pd.DataFrame(whole(model)[1:, 1:].numpy(), *names)


@pytest.mark.parametrize("exclude_seen", [True, False])
def test_lists_equal_brute_force(micro, exclude_seen):
    found = recommend(micro, k=5, exclude_seen=exclude_seen)
    table, seen = scores(micro), interactions(micro)
    assert len(seen) == 240 and list(found.columns) == ["user_id", "rank", "item_id", "score"]
    assert found["user_id"].unique().tolist() == table.index.tolist()
    for user, rows in found.groupby("user_id"):
        row = table.loc[user]
        left = row[[item for item in row.index if (user, item) not in seen]] if exclude_seen else row
        expected = left.sort_values(ascending=False)[:5]
        assert rows["item_id"].tolist() == expected.index.tolist()
        assert rows["rank"].tolist() == list(range(1, 6))
        assert np.allclose(rows["score"], expected, atol=1e-6)


def test_lists_are_as_long_as_there_are_unseen_items(micro):
    found = recommend(micro, ["u3"], k=1000)
    assert len(found) == 16 - 10
    assert not {("u3", item) for item in found["item_id"]} & interactions(micro)


def test_the_order_of_users_is_kept_and_one_may_come_twice(micro):
    found = recommend(micro, ["u7", "u2", "u7"], k=2)
    assert found["user_id"].tolist() == ["u7", "u7", "u2", "u2", "u7", "u7"]
    assert found[:2].equals(found[4:].reset_index(drop=True))
    everyone = recommend(micro, k=2)
    assert found["item_id"][:2].tolist() == everyone[everyone["user_id"] == "u7"]["item_id"].tolist()


def test_models_that_score_pairs(checkpoints):
    source = load(checkpoints["NeuMF"])
    found = recommend(source, "u1,u5", k=4)
    assert found["user_id"].tolist() == ["u1"] * 4 + ["u5"] * 4
    assert not set(zip(found["user_id"], found["item_id"], strict=True)) & interactions(source)


def new_features(count: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(2)
    return {m: generator.standard_normal((count, d)).astype(np.float32) for m, d in WIDTHS.items()}


def test_new_items_are_ranked_among_the_others(micro):
    given = new_features(4)
    features = {m: Modality(torch.tensor(v), torch.ones(4, dtype=torch.bool)) for m, v in given.items()}
    found = recommend(micro, k=100, new_items=NewItems([f"new{n}" for n in range(4)], features))
    old = recommend(micro, k=100)
    table = found.pivot(index="user_id", columns="item_id", values="score")
    again = old.pivot(index="user_id", columns="item_id", values="score")
    assert np.allclose(table[again.columns].loc[again.index], again, equal_nan=True)
    vectors = encode_new_items(micro[1], given)
    users = torch.as_tensor(micro[2].token2id("user_id", table.index.to_numpy()))
    near = nearest_known(micro[1], given)
    dots = micro[1].embeddings()[0][users] @ vectors.T
    expected = (dots + micro[1].walk.of_new(users, near)).detach().numpy()
    assert np.allclose(table[[f"new{n}" for n in range(4)]], expected, atol=1e-6)
    assert (found.groupby("user_id")["score"].diff().dropna() <= 0).all()


def test_new_items_come_from_feature_files(micro, tmp_path):
    given = new_features(3)
    rows = {"textual": ["i0", "b", "a"], "visual": ["c", "a", "i1"]}
    for modality, names in rows.items():
        file = tmp_path / f"more.{modality}.parquet"
        with FeatureWriter(file, modality, WIDTHS[modality]) as writer:
            writer.write(names, given[modality])
    found = read_new_items(tmp_path, micro[2])
    assert found.tokens == ["a", "b", "c"]
    assert found.features["textual"].mask.tolist() == [True, True, False]
    assert found.features["visual"].mask.tolist() == [True, False, True]
    assert np.array_equal(found.features["textual"].values[:2], given["textual"][[2, 1]])
    assert np.array_equal(found.features["visual"].values[2], given["visual"][0])


def test_feature_files_of_new_items_are_read_as_those_of_the_data_set(micro, tmp_path):
    def write(names, values):
        vectors = pa.array(values, pa.list_(pa.float32(), WIDTHS["textual"]))
        columns = {"item_id:token": names, "textual:float_seq": vectors}
        pq.write_table(pa.table(columns), tmp_path / "more.textual.parquet")

    rows = new_features(2)["textual"].tolist()
    write(["a", "a"], rows)
    with pytest.raises(UserError, match="item id.s. a have more than one row"):
        read_new_items(tmp_path, micro[2])
    rows[1][0] = float("nan")
    write(["a", "b"], rows)
    with pytest.raises(UserError, match="b"):
        read_new_items(tmp_path, micro[2])


def test_only_micro_ranks_new_items(checkpoints):
    one = Modality(torch.ones(1, 6), torch.ones(1, dtype=torch.bool))
    with pytest.raises(UserError, match="NeuMF cannot encode new items"):
        recommend(checkpoints["NeuMF"], new_items=NewItems(["a"], {"textual": one}))


def test_only_the_items_asked_for_are_listed(micro):
    found = recommend(micro, ["u3"], k=100, exclude_seen=False, items=["i1", "i2", "i15", "unknown"])
    assert sorted(found["item_id"]) == ["i1", "i15", "i2"]
    with pytest.raises(UserError, match="No item is left"):
        recommend(micro, ["u3"], items=["unknown"])


def test_models_of_sequences_are_refused(tiny_data, tmp_path):
    write_tiny_with_times(tmp_path)
    given = {**QUICK, "data_path": str(tmp_path), "checkpoint_dir": str(tmp_path / "saved"), "epochs": 1}
    given |= {"train_neg_sample_args": None, "load_col": {"inter": ["user_id", "item_id", "timestamp"]}}
    checkpoint = run("GRU4Rec", "timed", config_dict=given)["checkpoint"]
    with pytest.raises(UserError, match="GRU4Rec scores a sequence of items rather than"):
        recommend(checkpoint)


def write_tiny_with_times(folder):
    """A data set whose interactions have times."""
    (folder / "timed").mkdir()
    rows = [f"u{u}\ti{(u + step) % 12}\t{step}" for u in range(10) for step in range(6)]
    header = "user_id:token\titem_id:token\ttimestamp:float"
    (folder / "timed" / "timed.inter").write_text("\n".join([header, *rows]) + "\n")
