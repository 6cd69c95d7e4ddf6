"""Advice in the errors of a training works when it is followed."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from dataset_tools.commands.command_line import main as tools
from recbole_micro import Config, UserError, cli
from recbole_micro.data.features import choose
from recbole_micro.training.experiment import build
from recbole_micro.training.quick_start import check_data
from tests.support import every
from tests.support.tiny import write_tiny


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    every.write_every(tmp_path / "data", "toy")
    every.write_every(tmp_path / "data", "fixed", parts=True)
    return tmp_path / "data"


def made(here, model="BPR", dataset="toy", **given):
    given = every.SMALL | {"data_path": str(here), "topk": [2]} | given
    return build(Config(model, dataset, config_dict=given), trainer=False)


def refused(here, *arguments, **given):
    """What is said, which fits three lines."""
    with pytest.raises(UserError) as said:
        made(here, *arguments, **given)
    assert fits_three_lines(str(said.value), here)
    return str(said.value)


def fits_three_lines(said, here):
    """Of 150 characters, wherever the tests' folder lies."""
    return len(said.replace(str(here), "data")) < 450


def follow(said, **filled):
    """Run the command of dataset_tools that a sentence advises, its placeholders filled."""
    line = re.search(r"python -m dataset_tools (.*?)(?:[.;)]? *$|[;,] |\. )", said)[1]
    for placeholder, value in filled.items():
        line = re.sub(rf"\b{placeholder}\b", str(value), line, count=1)
    assert tools(shlex.split(line)) == 0, line


# What is asked for in vain, and the options that the sentence advises (a pattern of it, what is then set).
OPTIONS = {
    "paper needs a full ranking": (
        {"protocol": "paper", "eval_args": {"mode": "uni5"}},
        "set mode: full in eval_args, or protocol: recbole",
        ({"eval_args": {"mode": "full"}}, {"protocol": "recbole"}),
    ),
    "cold start needs a full ranking": (
        {"cold_start": True, "eval_args": {"mode": "uni5"}},
        "set mode: full in eval_args, or cold_start: False",
        ({"eval_args": {"mode": "full"}}, {"cold_start": False}),
    ),
    "dynamic negatives without candidates": (
        {"train_neg_sample_args": {"dynamic": True}},
        "candidate_num: 4",
        ({"train_neg_sample_args": {"dynamic": True, "candidate_num": 4}},),
    ),
    "labels of what is ranked": (
        {"eval_args": {"mode": "labeled"}},
        "choose metrics among AUC",
        (
            {
                "metrics": ["AUC"],
                "valid_metric": "AUC",
                "load_col": {"inter": ["user_id", "item_id", "label"]},
            },
        ),
    ),
    "a list longer than the items": ({"topk": [99]}, "choose a shorter list", ({"topk": [9]},)),
    "an empty list of lengths": ({"topk": []}, "such as 20", ({"topk": [20]},)),
    "a metric that is not computed": (
        {"valid_metric": "MRR@9"},
        "choose one of these, or change",
        ({"valid_metric": "Recall@2"}, {"metrics": ["MRR"], "topk": [9]}),
    ),
    "clipping without a norm": (
        {"clip_grad_norm": {}},
        "write {max_norm: 5}",
        ({"clip_grad_norm": {"max_norm": 5}},),
    ),
    "an unknown level": ({"state": "LOUD"}, "allowed: debug", ({"state": "debug"},)),
    "a metric's direction": (
        {"valid_metric_bigger": False},
        "Leave it out",
        ({"valid_metric_bigger": None},),
    ),
    "cold items on other data": (
        {"cold_selection": "warm"},
        "set cold_start=True",
        ({"cold_start": True},),
    ),
    "a filter's field": (
        {"val_interval": {"rating": "[2,inf)"}},
        "name it in load_col",
        ({"load_col": {"inter": ["user_id", "item_id", "rating"]}},),
    ),
    "a filter's values": (
        {"load_col": None, "val_interval": {"age": "20"}},
        "give a list of the values",
        ({"val_interval": {"age": ["20", "21"]}},),
    ),
    "an interval": ({"user_inter_num_interval": "3"}, "[5,inf)", ({"user_inter_num_interval": "[5,inf)"},)),
    "an order by times that are not read": (
        {"eval_args": {"order": "TO"}},
        "load_col: {inter: [user_id, item_id, timestamp]}",
        ({"load_col": {"inter": ["user_id", "item_id", "timestamp"]}},),
    ),
    "a column that the interactions lack": (
        {"USER_ID_FIELD": "x", "load_col": None},
        "set USER_ID_FIELD",
        ({"USER_ID_FIELD": "user_id"},),
    ),
}


@pytest.mark.parametrize("case", OPTIONS)
def test_the_option_that_is_advised_helps(here, case):
    given, advice, helps = OPTIONS[case]
    assert advice in refused(here, **given)
    for more in helps:
        assert made(here, **given | more).dataset.inter_num


def test_the_parts_of_a_fixed_split_are_put_together_as_advised(here):
    options = {"user_inter_num_interval": "[4,inf)", "val_interval": {"rating": "[3,inf)"}}
    options["load_col"] = {"inter": ["user_id", "item_id", "rating"]}
    said = refused(here, "BPR", "fixed", **options)
    assert said.endswith("and give the option for fixed-whole.")
    follow(said.removesuffix(" and give the option for fixed-whole."))
    whole, kept = (made(here, "BPR", "fixed-whole", **more).dataset for more in ({}, options))
    assert 0 < kept.inter_num < whole.inter_num and kept.inter_feat["rating"].min() >= 3


def test_cold_items_are_withheld_as_advised(here):
    follow(refused(here, "MICRO", cold_selection="warm"))
    assert made(here, "MICRO", "toy-cold", cold_selection="warm").valid_data.parts


def test_a_damaged_list_of_cold_items(here):
    record = here / "toy" / "toy.cold.json"
    record.write_text('{"valid": 3}')
    assert "set cold_start=False" in refused(here, "MICRO")
    made(here, "MICRO", cold_start=False)


def test_features_are_made_as_advised(here):
    Path("ids.txt").write_text("\n".join(f"i{n}" for n in range(every.ITEMS)))
    np.save("f.npy", np.random.default_rng(0).standard_normal((every.ITEMS, 2)))
    said = refused(here, "MICRO", modalities=["sound"])
    follow(said, F="f.npy", LIST="ids.txt")
    made(here, "MICRO", modalities=["sound"])
    for file in (here / "toy").glob("*.parquet"):
        file.unlink()
    (here / "toy" / "toy.cold.json").unlink(missing_ok=True)
    with pytest.raises(UserError) as error:
        choose(here / "toy", "toy", None)
    follow(str(error.value), F="f.npy", LIST="ids.txt")
    made(here, "MICRO")


def test_parts_are_made_as_advised(here):
    write_tiny(here, "plain")  # a split in place would lose other columns
    parts = {"data_path": str(here), "benchmark_filename": ["train", "valid", "test"]}
    with pytest.raises(UserError) as error:
        check_data(Config("BPR", "plain", config_dict=parts))
    follow(str(error.value))
    assert made(here, "BPR", "plain", benchmark_filename=["train", "valid", "test"]).test_data


LINES = {
    "compare --models=BPR": "--models=NAME,NAME and --dataset=NAME",
    "tune --model=BPR": "--model=NAME and --dataset=NAME",
    "tune --model=BPR --dataset=toy --grace=1": "add --engine=ray",
    "reproduce --dataset=toy": "--table=4, 5 or 6",
    "recommend": "--checkpoint=FILE",
    "recommend --checkpoint=x --out=o.txt": "a .csv, .json, .jsonl or .parquet file",
    "train --epochs": "write --epochs=VALUE",
    "train epochs=3": "write --option=value",
    "train --epoch=3": "did you mean epochs?",
    "compare --models=BPR --dataset=toy --seeds=0": "write how many",
    "compare --models=BPR --dataset=toy --vary=x": "option=value,value",
    "compare --models=BPR --dataset=toy --vary=seed=1": "use --models and --seeds",
    "compare --models=BPR --dataset=toy --resume=x": "give it to recbole-micro train",
}


@pytest.mark.parametrize("line", LINES)
def test_what_a_command_asks_for(here, line, capsys):
    assert cli.main([*line.split(), f"--data_path={here}"]) == 2
    said = capsys.readouterr().err
    assert LINES[line] in said and said.count("\n") == 1 and fits_three_lines(said, here)
