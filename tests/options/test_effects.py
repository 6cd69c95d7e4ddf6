"""Options that would change nothing are refused, and what the sentence advises works when it is followed."""

import re

import pytest

from recbole_micro import Config, UserError, cli
from recbole_micro.options import effects, known_names
from recbole_micro.training.experiment import build
from tests.support.tiny import QUICK, write_tiny


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """`tiny` with one file of interactions, and `fixed` with three."""
    folder = tmp_path_factory.mktemp("data")
    write_tiny(folder)
    write_tiny(folder, "fixed", parts=True)
    file = folder / "tiny" / "tiny.inter"
    head, *rows = file.read_text().splitlines()
    rated = [f"{row}\t{1 + number % 5}" for number, row in enumerate(rows)]
    file.write_text("\n".join([f"{head}\trating:float", *rated]) + "\n")
    return folder


def make(folder, model="MICRO", dataset="tiny", **options):
    return Config(model, dataset, config_dict={**QUICK, "data_path": str(folder), **options})


@pytest.mark.parametrize(
    "given",
    [
        {"val_interval": {"rating": "[4,inf)"}},
        {"user_inter_num_interval": "[8,inf)"},
        {"item_inter_num_interval": "[8,inf)"},
        {"rm_dup_inter": "first"},
        {"eval_args": {"split": {"LS": "valid_and_test"}}},
        {"eval_args": {"order": "TO"}},
        {"eval_args": {"group_by": "none"}},
    ],
)
@pytest.mark.parametrize("model", ["MICRO", "BPR"])
def test_a_fixed_split_takes_no_filter_and_no_other_split(folder, model, given):
    name = next(iter(given))
    with pytest.raises(UserError, match=f"{name}.*would change nothing: fixed has a fixed split"):
        make(folder, model, "fixed", **given)
    if "order" not in given.get("eval_args", {}):
        make(folder, model, **given)  # has its effect where RecBole splits


def test_what_a_fixed_split_leaves_open_is_taken(folder):
    assert make(folder, "BPR", "fixed", eval_args={"mode": "uni5"})["eval_args"]["mode"]["test"] == "uni5"


@pytest.mark.parametrize("model", ["MICRO", "BPR", "NeuMF", "ItemKNN"])
def test_a_threshold_is_for_labels(folder, model):
    columns = {"inter": ["user_id", "item_id", "rating"]}
    with pytest.raises(UserError, match="threshold would change nothing") as refused:
        make(folder, model, load_col=columns, threshold={"rating": 4})
    interval, load_col = re.search(
        r"val_interval=(\{.*?\}) and load_col=(\{.*?\})\.", str(refused.value)
    ).groups()
    every, some = (
        build(make(folder, model, **given), trainer=False).dataset.inter_num
        for given in ({}, {"val_interval": interval, "load_col": load_col})
    )
    assert 0 < some < every


def test_a_threshold_of_labels_is_taken(folder):
    given = {
        "load_col": {"inter": ["user_id", "item_id", "rating"]},
        "threshold": {"rating": 4},
        "eval_args": {"mode": "labeled"},
        "metrics": ["AUC"],
        "valid_metric": "AUC",
    }
    assert build(make(folder, "BPR", **given), trainer=False).dataset.inter_feat["label"].mean() < 1


@pytest.mark.parametrize("model", ["FREEDOM", "VBPR", "BPR", "LightGCN"])
def test_a_pairwise_loss_needs_negatives(folder, model):
    with pytest.raises(UserError, match=f"train_neg_sample_args is ~, but {model} compares"):
        make(folder, model, train_neg_sample_args=None)


def test_a_loss_without_negatives_takes_none(folder):
    assert make(folder, "BM3", train_neg_sample_args=None)["train_neg_sample_args"]["distribution"] == "none"


def test_a_file_to_start_from_is_read_or_refused(folder):
    asked = {"pre_model_path": "saved/BPR.pth"}
    with pytest.raises(
        UserError, match="pre_model_path would change nothing: .* train_method=after_pretrain"
    ):
        make(folder, "ConvNCF", **asked)
    assert make(folder, "ConvNCF", **asked, train_method="after_pretrain")["pre_model_path"]


@pytest.mark.parametrize("name", [*effects.OLD_NAMES, *effects.INSIDE])
def test_old_names_and_keys_say_what_to_write(folder, name, capsys):
    with pytest.raises(UserError, match=f"{name}.*: write |is a key of"):
        make(folder, "BPR", **{name: 1})
    if name not in known_names():
        assert cli.main(["train", "--model=BPR", "--dataset=tiny", f"--{name}=1"]) == 2
        assert f"no option --{name}" in capsys.readouterr().err


@pytest.mark.parametrize("advice", sorted(set(effects.OLD_NAMES.values()) - {effects.OLD_NAMES["device"]}))
def test_the_advice_works(folder, advice):
    name, _, value = advice.partition("=")
    more = {"load_col": {"inter": ["user_id", "item_id", "rating"]}} if "rating" in value else {}
    value = value.replace("[5,inf)", "[2,inf)")
    assert build(make(folder, "BPR", **more, **{name: value}), trainer=False).dataset.inter_num


def test_a_path_is_no_name(folder):
    with pytest.raises(UserError, match="a path: name its last part") as refused:
        make(folder, "BPR", str(folder / "tiny"))
    data_path, dataset = re.search(r"--data_path=(\S+) --dataset=(\w+)", str(refused.value)).groups()
    assert (data_path, dataset) == (str(folder), "tiny")


def test_parts_that_are_not_there(folder):
    with pytest.raises(UserError, match="asks for parts of tiny that are not in .* tiny.inter is"):
        build(make(folder, "BPR", benchmark_filename=["train", "valid", "test"]), trainer=False)


@pytest.mark.parametrize(
    "given, told",
    [
        ({"NEG_PREFIX": None}, "NEG_PREFIX"),
        ({"numerical_features": ["rating"]}, "numerical_features"),
        ({"unload_col": {"inter": ["rating"]}, "load_col": {"inter": ["user_id", "item_id"]}}, "unload_col"),
        ({"alias_of_item_id": ["x"]}, "alias_of_item_id"),
        ({"additional_feat_suffix": ["itememb"]}, "additional_feat_suffix"),
        ({"preload_weight": {"iid": "emb"}}, "preload_weight"),
    ],
)
def test_what_recbole_ends_with_while_it_reads_is_one_sentence(folder, given, told):
    given = {"load_col": {"inter": ["user_id", "item_id"]}, **given}
    with pytest.raises(UserError, match=f"cannot read the data set tiny with these options .*{told}"):
        build(make(folder, "BPR", **given), trainer=False)


def test_interactions_in_another_encoding(folder, tmp_path):
    text = (folder / "tiny" / "tiny.inter").read_text().replace("\nu", "\n用户")
    (tmp_path / "gbk").mkdir()
    (tmp_path / "gbk" / "gbk.inter").write_text(text, encoding="gbk")
    dataset = build(make(tmp_path, "BPR", "gbk", encoding="gbk"), trainer=False).dataset
    assert dataset.field2id_token["user_id"][1].startswith("用户")


def test_columns_between_spaces(folder, tmp_path):
    text = (folder / "tiny" / "tiny.inter").read_text().replace("\t", " ")
    (tmp_path / "sp").mkdir()
    (tmp_path / "sp" / "sp.inter").write_text(text)
    with pytest.raises(UserError, match="set field_separator=' '"):
        build(make(tmp_path, "BPR", "sp"), trainer=False)
    assert build(make(tmp_path, "BPR", "sp", field_separator=" "), trainer=False).dataset.inter_num


def test_a_column_that_a_model_needs(folder):
    with pytest.raises(UserError, match="FM needs the column label of the data, which is not there"):
        cli_train(folder, "FM")


def cli_train(folder, model):
    from recbole_micro import run

    given = {**QUICK, "data_path": str(folder), "metrics": ["AUC"], "valid_metric": "AUC"}
    return run(model, "tiny", config_dict=given, saved=False)
