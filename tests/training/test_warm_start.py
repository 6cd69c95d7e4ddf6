"""Training that starts from a checkpoint on data that have changed: rows by id, new ones, gone ones."""

import logging
import re

import numpy as np
import pytest
import torch

from recbole_micro import Config, UserError, load, run
from recbole_micro.checkpoint import load_checkpoint, write
from recbole_micro.models.new_items import encode_new_items
from recbole_micro.training import warm_start
from recbole_micro.training.experiment import build
from tests.support.tiny import QUICK, write_dataset

OLD, NEW = 12, 15  # items before and after; users are u0.. and u6..


def features(items: int) -> dict[str, np.ndarray]:
    """The first items have the same features whatever comes after them."""
    return {"visual": np.random.default_rng(3).standard_normal((items, 5))}


def write_before_and_after(folder):
    """`tiny` of users u0-u19 and items i0-i11; `later` without u0-u5 and i0, with u20-u23 and i12-i14."""
    draw = np.random.default_rng(1)
    pairs = [(user, item) for user in range(20) for item in draw.choice(OLD, 8, replace=False)]
    write_dataset(folder, "tiny", {None: pairs}, OLD, features(OLD))
    later = [(user, item) for user, item in pairs if user > 5 and item > 0]
    later += [(user, item) for user in range(12, 24) for item in draw.choice(range(1, NEW), 6, replace=False)]
    order = draw.permutation(len(later))  # RecBole numbers ids as they come
    write_dataset(folder, "later", {None: [later[n] for n in order]}, NEW, features(NEW))
    table = folder / "later" / "later.item"
    table.write_text(table.read_text().replace("i0\n", "", 1))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_before_and_after(folder)
    return folder


@pytest.fixture(scope="module")
def given(data):
    return {**QUICK, "data_path": str(data), "checkpoint_dir": str(data / "saved"), "epochs": 1}


@pytest.fixture(scope="module")
def checkpoints(given):
    models = ("MICRO", "BPR", "MMGCN", "VBPR")
    return {model: run(model, "tiny", config_dict=given)["checkpoint"] for model in models}


def experiment(given, model, checkpoint=None, **more):
    """Everything for a training on `later`; with `checkpoint` its weights are put in."""
    built = build(Config(model, "later", config_dict={**given, **more}))
    if checkpoint:
        warm_start.start_from(built, checkpoint)
    return built


TABLES = {
    "MICRO": {
        "backbone.user_embedding.weight": "user",
        "backbone.item_embedding.weight": "item",
        "scoring.bias": "item",
    },
    "BPR": {"user_embedding.weight": "user", "item_embedding.weight": "item"},
    "VBPR": {"user_taste.weight": "user", "item_embedding.weight": "item", "item_bias": "item"},
}


@pytest.mark.parametrize("model", TABLES)
def test_rows_are_found_by_id(model, given, checkpoints):
    before = load(checkpoints[model])
    old, old_data = before.model.state_dict(), before.dataset
    fresh = experiment(given, model).model.state_dict()
    built = experiment(given, model, checkpoints[model])
    now, now_data = built.model.state_dict(), built.train_data._dataset
    assert set(now) == set(fresh)
    for name, kind in TABLES[model].items():
        field = f"{kind}_id"
        known = [t for t in now_data.field2id_token[field] if t in old_data.field2token_id[field]]
        assert 12 <= len(known) < now_data.num(field)
        here, there = (
            torch.tensor([d.field2token_id[field][t] for t in known]) for d in (now_data, old_data)
        )
        assert torch.equal(now[name][here], old[name][there])
        new = torch.ones(now_data.num(field), dtype=torch.bool).index_fill(0, here, False)
        assert new.sum() >= 3
        if model != "MICRO" or kind == "user":
            assert torch.equal(now[name][new], fresh[name][new])
    for name in set(now) - set(TABLES[model]):
        if name != "user_embedding.weight":
            assert torch.equal(now[name], old[name])


def test_a_table_of_users_then_items(given, checkpoints):
    """MMGCN keeps both in one table."""
    before = load(checkpoints["MMGCN"])
    name = next(name for name, value in before.model.state_dict().items() if len(value) == 21 + 13)
    old, old_data = before.model.state_dict()[name], before.dataset
    built = experiment(given, "MMGCN", checkpoints["MMGCN"])
    now, now_data = built.model.state_dict()[name], built.train_data._dataset
    for user in ("u7", "u19"):
        assert torch.equal(now[now_data.token2id("user_id", user)], old[old_data.token2id("user_id", user)])
    for item in ("i3", "i11"):
        here = now_data.user_num + now_data.token2id("item_id", item)
        there = old_data.user_num + old_data.token2id("item_id", item)
        assert torch.equal(now[here], old[there])


def test_new_items_of_micro_start_from_their_features(given, checkpoints):
    built = experiment(given, "MICRO", checkpoints["MICRO"])
    model, dataset = built.model, built.train_data._dataset
    table = model.backbone.item_embedding.weight.detach().clone()
    new = torch.tensor([dataset.token2id("item_id", f"i{item}") for item in range(OLD, NEW)])
    known = torch.tensor([dataset.token2id("item_id", f"i{item}") for item in range(1, OLD)])
    with torch.no_grad():
        model.backbone.item_embedding.weight[new] = 0
    part = model.modalities["visual"]
    expected = encode_new_items(model, {"visual": part.values[new]})[:, : table.shape[1]]
    assert (expected.norm(dim=1) > 0.99).all()
    assert torch.allclose(table[new], table[known].norm(dim=1).median() * expected, atol=1e-6)


def test_the_log_counts_what_became_of_the_ids(given, checkpoints, caplog):
    with caplog.at_level(logging.INFO):
        result = run("MICRO", "later", config_dict={**given, "init_from": checkpoints["MICRO"]})
    (line,) = [text for text in caplog.messages if text.startswith("Started from")]
    assert re.search("14 users known, 4 new, 6 gone; 11 items known, 3 new, 1 gone", line)
    assert line.endswith("3 of the new items from their features.")
    stored = load_checkpoint(result["checkpoint"])
    assert "init_from" not in stored["config"] and len(stored["tokens"]["items"]) == NEW
    again = run(config_dict={"resume": result["checkpoint"], "epochs": 2, "gpu_id": ""})
    assert again["test_result"]


def test_options_are_those_of_the_checkpoint(given, data, tmp_path):
    first = run(
        "BPR",
        "tiny",
        config_dict={
            **given,
            "embedding_size": 12,
            "eval_args": {
                "order": "RO",
                "split": {"RS": [0.6, 0.2, 0.2]},
                "group_by": "user",
                "mode": "full",
            },
        },
    )
    same = Config(config_dict={"init_from": first["checkpoint"], "gpu_id": ""})
    assert (same["model"], same["dataset"], same["embedding_size"]) == ("BPR", "tiny", 12)
    assert same["eval_args"]["split"] == {"RS": [0.6, 0.2, 0.2]}
    other = Config(dataset="later", config_dict={"init_from": first["checkpoint"], "gpu_id": ""})
    assert other["embedding_size"] == 12 and other["eval_args"]["split"] == {"RS": [0.8, 0.1, 0.1]}


def test_what_cannot_be_started_from_is_refused(given, checkpoints, tmp_path):
    bpr = checkpoints["BPR"]
    for options, sentence in (
        ({"model": "LightGCN", "init_from": bpr}, "was trained with model BPR, not LightGCN"),
        ({"model": "BPR", "init_from": bpr, "embedding_size": 16}, "give the options of that training"),
        ({"model": "BPR", "init_from": "none.pth"}, "no checkpoint none.pth"),
        ({"model": "BPR", "init_from": bpr, "resume": bpr}, "give one of the two"),
    ):
        with pytest.raises(UserError, match=sentence):
            run(dataset="later", config_dict={**given, **options})
    state = load_checkpoint(bpr)
    del state["tokens"]
    write(state, tmp_path / "old.pth")
    with pytest.raises(UserError, match="does not say which ids its rows stand for"):
        experiment(given, "BPR", str(tmp_path / "old.pth"))
    closed = run("ItemKNN", "tiny", config_dict=given)["checkpoint"]
    with pytest.raises(UserError, match="learns nothing by steps"):
        experiment(given, "ItemKNN", closed)


def test_as_many_users_as_items_are_told_by_name():
    table = torch.zeros(5, 2)
    counts = {"users": (5, 5), "items": (5, 5), "users and items": (10, 10)}
    owner = torch.nn.Embedding(5, 2)
    assert warm_start.kind_of("user_embedding.weight", owner, table, table, counts) == "users"
    assert warm_start.kind_of("item_embedding.weight", owner, table, table, counts) == "items"
    assert warm_start.kind_of("maps.0.weight", torch.nn.Linear(2, 5), table, table, counts) is None
    with pytest.raises(UserError, match="as many users as items"):
        warm_start.kind_of("table.weight", owner, table, table, counts)
