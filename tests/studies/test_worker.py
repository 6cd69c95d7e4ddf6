"""What a run of a study writes into its folder."""

import pandas as pd
import pytest
import yaml
from recbole.utils.case_study import full_sort_topk

from recbole_micro.errors import UserError
from recbole_micro.studies import cost, details, worker
from recbole_micro.studies.worker import train_in
from recbole_micro.training import loading


def test_a_run_of_a_study_without_cold_items_to_rank_keeps_its_users(tiny, tmp_path):
    more = {"model": "BPR", "epochs": 1, "cold_start": True}
    (tmp_path / "options.yaml").write_text(yaml.safe_dump({**tiny, **more}))
    result = train_in(tmp_path)
    users = pd.read_parquet(tmp_path / "users.parquet")
    assert result["test"]["recall@5"] == pytest.approx(users["recall@5"].mean())


def test_per_user_metrics_are_what_recbole_averages(tiny, tmp_path):
    metrics = ["Recall", "NDCG", "Precision", "Hit", "MRR", "MAP"]
    tiny |= {"model": "BPR", "topk": [3, 5], "metrics": metrics, "protocol": "paper"}
    (tmp_path / "options.yaml").write_text(yaml.safe_dump(tiny))
    result = worker.train_in(tmp_path)
    users = pd.read_parquet(tmp_path / "users.parquet")
    assert users["user"].is_unique and set(users["user"]) <= {f"u{user}" for user in range(24)}
    assert set(users.columns) == {"user", "train", *result["test"]}
    assert len(result["test"]) == 12
    for name, value in result["test"].items():
        assert users[name].mean() == pytest.approx(value, abs=1e-9)

    # User by user through RecBole's top-k lists.
    _, model, dataset, train_data, valid_data, test_data = loading.load(str(tmp_path / result["checkpoint"]))
    ids = dataset.token2id("user_id", list(users["user"]))
    _, best = full_sort_topk(ids, model, test_data, k=5)
    for user, items, recall in zip(ids, best.tolist(), users["recall@5"], strict=True):
        positive = set(test_data.uid2positive_item[user].tolist())
        assert len(positive & set(items)) / len(positive) == pytest.approx(recall)

    # Item by item from the same lists.
    found = pd.read_parquet(tmp_path / "items.parquet").set_index("item")
    tokens = dataset.id2token("item_id", best.numpy())
    pairs = zip(ids, tokens, strict=True)
    known = {user: dataset.id2token("item_id", test_data.uid2positive_item[user].numpy()) for user in ids}
    listed = [item for user, row in pairs for item in row if item in known[user]]
    assert found["hits@5"].to_dict() == {item: listed.count(item) for item in found.index}
    tested = [item for items in known.values() for item in items]
    assert found["test"].to_dict() == {item: tested.count(item) for item in found.index}
    train = train_data.dataset
    counter = {train.id2token("item_id", item): n for item, n in train.item_counter.items()}
    assert found["train"].to_dict() == {item: counter.get(item, 0) for item in found.index}
    counter = {train.id2token("user_id", user): n for user, n in train.user_counter.items()}
    assert list(users["train"]) == [counter.get(user, 0) for user in users["user"]]

    epochs = pd.read_csv(tmp_path / "epochs.csv")
    spent, about = result["cost"], result["about"]
    assert 0 < spent["epoch s"] < result["seconds"] and 50 < spent["memory MiB"] < 16000
    assert spent["best epoch"] == epochs["recall@5"][::-1].idxmax() + 1
    assert spent["to best s"] == pytest.approx(epochs["seconds"][: spent["best epoch"]].sum())
    numbers = [about["data"][part] for part in ("train", "valid", "test")]
    assert numbers == [len(data.dataset.inter_feat) for data in (train_data, valid_data, test_data)]
    assert about["versions"]["recbole"] and len(about["data"]["fingerprint"]) == 64
    assert list(epochs["epoch"]) == [1, 2] and epochs["train_loss"].notna().all()
    assert epochs["recall@5"].max() == pytest.approx(result["best_valid_score"], abs=1e-9)
    assert result["protocol"] == "paper"
    assert yaml.safe_load((tmp_path / "config.yaml").read_text())["embedding_size"] == 8


def test_a_run_without_test_interactions_ends_before_training(tiny, tmp_path):
    split = {"split": {"RS": [0.8, 0.2, 0.0]}}
    (tmp_path / "options.yaml").write_text(yaml.safe_dump({**tiny, "model": "BPR", "eval_args": split}))
    with pytest.raises(UserError, match="tiny has no test interactions to compare models by"):
        worker.train_in(tmp_path)
    assert not list(tmp_path.glob("*.pth"))


def test_epochs_without_validation_have_empty_cells(tmp_path):
    details.write_epochs(tmp_path / "epochs.csv", {0: 1.5, 1: 1.25}, {1: {"recall@5": 0.5}}, {0: 3.0})
    text = (tmp_path / "epochs.csv").read_text()
    assert text == "epoch,train_loss,seconds,recall@5\n1,1.5,3.0,\n2,1.25,,0.5\n"


def test_energy_is_estimated_where_codecarbon_is_installed():
    pytest.importorskip("codecarbon")
    meter = cost.Meter()
    sum(range(10**7))
    assert 0 < meter.energy() < 1


def test_the_selected_epoch_is_the_last_one_of_the_best():
    looks = {0: {"recall@5": 0.2}, 2: {"recall@5": 0.3}, 4: {"recall@5": 0.3}, 6: {"recall@5": 0.1}}
    assert cost.best_epoch(looks, "recall@5", True) == 4
    assert cost.best_epoch(looks, "recall@5", False) == 6 and cost.best_epoch({}, "recall@5", True) is None
