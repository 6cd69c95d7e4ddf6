"""Metrics of given lists and scores: those of the model that made them, under both protocols."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from recbole.data.interaction import Interaction

from recbole_micro import Config, load, recommend, run
from recbole_micro.errors import UserError
from recbole_micro.evaluation.metrics import with_beyond
from recbole_micro.evaluation.protocol import evaluate
from recbole_micro.inference.given_results import evaluate_given, read_given
from recbole_micro.training.experiment import build
from tests.support import cold
from tests.support import world as worlds

METRICS = with_beyond(["Recall", "NDCG", "Precision", "Hit", "MRR", "MAP", "NDCG_hits"])
HIDDEN = {"recbole": ["train", "valid"], "paper": ["train"]}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The world, what `load` gives of a model trained on it, and its trainer, which measures."""
    world = worlds.build(tmp_path_factory.mktemp("data"))
    options = world.config(epochs=3, topk=[3, 10], metrics=METRICS, valid_metric="Recall@10")
    options |= {"metric_decimal_place": 10, "checkpoint_dir": str(tmp_path_factory.mktemp("saved"))}
    checkpoint = run("MICRO", world.name, config_dict=options)["checkpoint"]
    return world, options, load(checkpoint), experiment(options, checkpoint)


def experiment(options, checkpoint):
    built = build(Config("MICRO", "world", config_dict=options))
    built.trainer.eval_collector.data_collect(built.train_data)
    return built, checkpoint


def measured(options, table, path, lists, **more):
    config = Config("Pop", "world", config_dict={**options, **more})
    built = build(config, trainer=False)
    if not isinstance(table, dict):
        table.to_csv(path, index=False) if path.suffix == ".csv" else table.to_parquet(path)
    given, remarks = read_given(path, built.dataset, lists)
    found = evaluate_given(given, config, built.train_data, built.test_data)
    return found.metrics, remarks + found.remarks


@pytest.mark.parametrize("protocol", HIDDEN)
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_lists_of_a_model_have_its_metrics(trained, protocol, kind, tmp_path):
    _, options, source, (built, checkpoint) = trained
    expected = evaluate(built.trainer, built.test_data, protocol, load_best_model=True, model_file=checkpoint)
    lists = recommend(source, k=10, exclude_seen=HIDDEN[protocol])
    if kind == "parquet":
        lists = lists.drop(columns=["rank", "score"])  # their order is left
    found, remarks = measured(options, lists, tmp_path / f"lists.{kind}", True, protocol=protocol)
    assert dict(found) == pytest.approx(dict(expected), abs=1e-9) and found.protocol == protocol
    assert remarks == [] and found["recall@10"] > 0 and len(found) == 2 * len(METRICS)


def scores(source) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    _, model, dataset, *_ = source
    everyone = torch.arange(1, dataset.user_num)
    with torch.no_grad():
        values = model.full_sort_predict(Interaction({"user_id": everyone})).view(len(everyone), -1)[:, 1:]
    return dataset.field2id_token["user_id"][1:], dataset.field2id_token["item_id"][1:], values.numpy()


@pytest.mark.parametrize("protocol", HIDDEN)
def test_scores_of_a_model_have_its_metrics(trained, protocol, tmp_path):
    _, options, source, (built, checkpoint) = trained
    expected = evaluate(built.trainer, built.test_data, protocol, load_best_model=True, model_file=checkpoint)
    users, items, values = scores(source)
    table = pd.DataFrame(values, users, items).rename_axis("user").reset_index()
    table = table.melt("user", var_name="item", value_name="score")
    table = table.sample(frac=1, random_state=0)
    found, _ = measured(options, table, tmp_path / "scores.csv", False, protocol=protocol)
    assert dict(found) == pytest.approx(dict(expected), abs=1e-9)
    arrays = dict(users=users.astype(str), items=items.astype(str), scores=values)
    np.savez(tmp_path / "scores.npz", **arrays)
    found, _ = measured(options, arrays, tmp_path / "scores.npz", False, protocol=protocol)
    assert dict(found) == pytest.approx(dict(expected), abs=1e-9)


def test_all_rankings_of_a_cold_start_run_from_scores_and_those_of_all_items_from_lists(cold_world, tmp_path):
    options = cold.options(cold_world, epochs=1, checkpoint_dir=str(tmp_path))
    result = run("MICRO", "world-cold", config_dict=options)
    source = load(result["checkpoint"])
    users, items, values = scores(source)
    np.savez(tmp_path / "s.npz", users=users.astype(str), items=items.astype(str), scores=values)
    config = Config("Pop", "world-cold", config_dict=options)
    built = build(config, trainer=False)
    given, _ = read_given(tmp_path / "s.npz", built.dataset, False)
    found = evaluate_given(given, config, built.train_data, built.test_data).metrics
    assert dict(found) == pytest.approx(dict(result["test_result"]), abs=1e-9)
    assert any(name.startswith("warm:") for name in found) and "warm: " in found.note
    recommend(source, k=5, exclude_seen=["train", "valid"]).to_csv(tmp_path / "l.csv", index=False)
    given, _ = read_given(tmp_path / "l.csv", built.dataset, True)
    listed = evaluate_given(given, config, built.train_data, built.test_data).metrics
    assert {name.rpartition(":")[0] for name in listed} == {"", "cold_all", "warm_all"}
    assert dict(listed) == pytest.approx({name: found[name] for name in listed}, abs=1e-9)


def test_what_is_not_listed_is_no_hit_whatever_fills_the_list(trained, tmp_path):
    world, options, source, _ = trained
    test = worlds.pairs(world, "test")
    wanted = test[test[:, 0] == 0][0]
    plain = {**options, "metrics": ["Recall", "Precision"], "valid_metric": "Recall@3"}
    table = pd.DataFrame({"user_id": ["u0"], "item_id": [f"i{wanted[1]}"]})
    found, remarks = measured(plain, table, tmp_path / "one.csv", True)
    n = len(world.taste)
    assert found["recall@3"] == pytest.approx(0.5 / n, abs=1e-9)  # one of two test items, of one user of n
    assert found["precision@10"] == pytest.approx(0.1 / n, abs=1e-9)
    assert remarks == [f"{n - 1} of {n} test users have no item: they count as 0."]


def test_remarks_say_what_takes_no_part(trained, tmp_path):
    world, options, _, _ = trained
    plain = {**options, "metrics": ["Recall"], "valid_metric": "Recall@3"}
    user, item = worlds.pairs(world, "train")[0]
    rows = [(f"u{user}", f"i{item}"), ("nobody", "i1"), (f"u{user}", "nothing")]
    found, remarks = measured(
        plain, pd.DataFrame(rows, columns=["user_id", "item_id"]), tmp_path / "x.csv", True
    )
    text = " ".join(remarks)
    assert "1 users of" in text and "1 items of" in text and "1 pairs of user and item are masked" in text
    assert "No test item is among them" in text and found["recall@3"] == 0


@pytest.mark.parametrize(
    "name, content, sentence",
    [
        ("x.csv", "user_id,item\nu1,i1\nu1,i1\n", "has the item i1 twice for the user u1"),
        ("x.csv", "who,what\nu1,i1\n", "needs the columns user_id and item_id"),
        ("x.csv", "user_id,item_id,rank\nu1,i1,first\n", "the rank of row 1 is 'first'"),
        ("x.csv", "user_id,item_id\nx1,i1\n", "has no users of world .first: x1"),
        ("x.csv", "user_id,item_id\nu1,y1\n", "has no items of world .first: y1"),
        ("x.csv", "", "cannot be read as .csv"),
        ("x.jsonl", "{]\n", "cannot be read as .jsonl"),
        ("x.jsonl", '{"items": []}\n', "has no 'user_id'|has no users|user_id and items"),
        ("x.json", "[1]", "cannot be read as .json"),
        ("x.parquet", "PAR1", "cannot be read as .parquet"),
        ("x.txt", "u1 i1", "is none of .csv, .tsv, .json, .jsonl, .parquet"),
    ],
)
def test_files_that_cannot_be_read_are_refused(trained, name, content, sentence, tmp_path):
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=sentence):
        read_given(tmp_path / name, trained[2].dataset, True)


def test_objects_are_never_unpickled(trained, tmp_path):
    class Evil:
        def __reduce__(self):
            return open, (str(tmp_path / "made"), "w")

    evil = np.array([Evil()], dtype=object)
    np.savez(tmp_path / "x.npz", users=evil, items=evil, scores=evil)
    with pytest.raises(UserError, match="x.npz cannot be read"):
        read_given(tmp_path / "x.npz", trained[2].dataset, False)
    assert not (tmp_path / "made").exists()


def test_json_may_list_plain_ids(trained, tmp_path):
    entries = [{"user_id": "u0", "items": ["i1", "i2"]}, {"user_id": "u1", "items": [{"item_id": "i3"}]}]
    (tmp_path / "x.json").write_text(json.dumps(entries))
    given, _ = read_given(tmp_path / "x.json", trained[2].dataset, True)
    users = torch.from_numpy(trained[2].dataset.token2id("user_id", ["u0", "u1"]))
    found = given.scores(users)
    listed = trained[2].dataset.token2id("item_id", ["i1", "i2", "i3"])
    assert found[0].topk(2).indices.tolist() == list(listed[:2]) and found[1].argmax() == listed[2]
    assert (found > -torch.inf).sum() == 3


def test_metrics_that_lists_cannot_tell_are_refused(trained, tmp_path):
    _, options, source, _ = trained
    short = recommend(source, k=2, exclude_seen=["train", "valid"])
    with pytest.raises(
        UserError, match="itemcoverage, .*cannot be measured: 144 of 144 users have fewer than 10"
    ):
        measured(options, short, tmp_path / "x.csv", True)
    more = {"metrics": ["GAUC"], "valid_metric": "GAUC"}
    with pytest.raises(UserError, match="gauc is no metric of top-k lists"):
        measured(options, short, tmp_path / "x.csv", True, **more)
