"""Interactions that RecBole cannot read, and filters that do not fit them, are one sentence."""

import logging

import pytest

from recbole_micro import run
from recbole_micro.errors import UserError
from tests.support.logs import plain
from tests.support.tiny import write_tiny


def test_an_order_by_time_needs_the_times(given):
    with pytest.raises(UserError, match="order: TO needs the column timestamp, which .*tiny.inter"):
        run("BPR", "tiny", config_dict={**given, "eval_args": {"order": "TO"}})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "does not begin with a header .* dataset_tools convert"),
        ("user,item\nu1,i1\n", "does not begin with a header"),
        ("user_id:token\tmovie:token\nu1\ti1\n", "no column item_id:token, only user_id, movie"),
        ("user_id:token\titem_id:token\n", "no row left in inter"),
    ],
)
def test_interactions_that_recbole_cannot_read_are_one_sentence(given, tmp_path, text, sentence):
    folder = write_tiny(tmp_path / "broken")
    (folder / "tiny" / "tiny.inter").write_text(text)
    with pytest.raises(UserError, match=sentence):
        run("BPR", "tiny", config_dict={**given, "data_path": str(folder)})


@pytest.mark.parametrize(
    "options, sentence",
    [
        (
            {"val_interval": {"rating": "[3,inf)"}},
            "val_interval names rating, but only .*item_id.* are loaded",
        ),
        ({"val_interval": {"item_id": "i3"}}, "val_interval of item_id is 'i3': give a list"),
        ({"user_inter_num_interval": 50}, "The interval '50' .* cannot be read: write .5,inf."),
        ({"item_inter_num_interval": "[1,5);[9,7]"}, "The interval '.9,7.' .* cannot be read"),
        ({"item_inter_num_interval": "[a,b]"}, "The interval '.a,b.' .* cannot be read"),
        ({"item_inter_num_interval": "[1.2.3,5]"}, "The interval .*1.2.3.* cannot be read"),
        ({"eval_args": {"mode": "labeled"}}, "mode: labeled, in which nothing is ranked, so Recall, NDCG"),
        (
            {"eval_args": {"mode": "labeled"}, "metrics": "AUC", "valid_metric": "AUC"},
            "mode: labeled needs the column label",
        ),
        ({"val_interval": {"item_id": ["i3"]}}, "interacted with all items"),
    ],
)
def test_filters_and_evaluations_that_do_not_fit_the_data_are_one_sentence(given, options, sentence):
    with pytest.raises(UserError, match=sentence):
        run("BPR", "tiny", config_dict={**given, **options})


def test_filters_that_leave_nothing_are_one_sentence(given):
    with pytest.raises(UserError, match="no row left .*user_inter_num_interval"):
        run("BPR", "tiny", config_dict={**given, "user_inter_num_interval": "[99,inf)"})


def test_interactions_of_items_that_are_not_listed_are_counted(given, tmp_path, caplog):
    folder = write_tiny(tmp_path / "more")
    with open(folder / "tiny" / "tiny.inter", "a") as file:
        file.write("u1\tfresh\nu2\tfresh\n")
    with caplog.at_level(logging.WARNING):
        run("BPR", "tiny", config_dict={**given, "data_path": str(folder), "epochs": 1})
    (said,) = [message for message in caplog.messages if "left out" in message]
    assert plain(said).startswith("2 of 242 interactions are left out") and "tiny.item" in said
