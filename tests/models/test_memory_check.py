"""Trainings that would not fit are refused in a sentence whose advice makes them fit."""

import logging
import re

import psutil
import pytest
import torch

import recbole_micro
from recbole_micro.data import features
from recbole_micro.errors import UserError
from recbole_micro.models import memory, memory_check
from recbole_micro.options.config import Config
from recbole_micro.options.values import parse

SENTENCE = re.compile(
    r"(?P<model>\w+) on world takes about (?P<needed>[\d.,]+ .B) of memory \((?P<parts>.*)\), and "
    r"(?P<free>[\d.,]+ .B) are free: (?P<advice>.*); memory_check=False goes ahead all the same\."
)


@pytest.fixture(autouse=True)
def small_constants(monkeypatch):
    """What any training takes is far more than so small a data set does."""
    monkeypatch.setattr(memory, "WORKING", 0)


def config_of(bench, name, **options):
    given = {"eval_batch_size": 256 * bench.data.item_num, **options}
    if name in ("MICRO", "EASEKNN", "VBPR"):
        given["modalities"] = ["visual", "textual"]
    return Config(name, "world", config_dict=bench.world.config(**given))


def needed(bench, config):
    model = config.model_class
    return memory.estimate(model, config, memory.Sizes(config, bench.data, hasattr(model, "memory"))).total


def check(bench, config):
    memory_check.check(config, bench.data, config.model_class)


def refusal(bench, config):
    with pytest.raises(UserError) as caught:
        check(bench, config)
    return SENTENCE.fullmatch(str(caught.value))


def options_in(text):
    """The options that a piece of advice sets, `name=value` each."""
    return {name: parse(value) for name, value in re.findall(r"(\w+)=(\[[^]]*\]|\S+?)(?= |$)", text)}


@pytest.mark.parametrize("share", [0.9, 0.5, 0.2])
@pytest.mark.parametrize("name", ["MICRO", "VBPR", "EASEKNN", "BPR", "LightGCN", "MultiVAE", "EASE", "NeuMF"])
def test_the_advice_makes_it_fit(bench, monkeypatch, name, share):
    config = config_of(bench, name)
    free = int(share * needed(bench, config))
    monkeypatch.setattr(memory_check, "free_memory", lambda device: free)
    advice = refusal(bench, config)["advice"]
    if advice.startswith("no option makes it fit"):
        assert share < 0.9 and "item_inter_num_interval" in advice
        return
    asked = [options_in(advice)] if "together" in advice else map(options_in, advice.split(" or "))
    for options in asked:
        assert options and set(options) <= set(config.final_config_dict)
        check(bench, config_of(bench, name, **options))


def test_what_changes_no_result_is_proposed_first(bench, monkeypatch):
    config = config_of(bench, "BPR", train_batch_size=16)
    monkeypatch.setattr(memory_check, "free_memory", lambda device: needed(bench, config) - 1)
    said = refusal(bench, config)
    assert said["model"] == "BPR" and said["parts"].startswith("evaluation batch")
    assert said["advice"].startswith("set eval_batch_size=")


def test_only_options_that_help_are_proposed(bench, monkeypatch):
    """The square of the items is what EASE takes, whatever the batches are."""
    config, usual, large = config_of(bench, "EASEKNN"), memory.estimate, 10**9

    def of_many_items(model_class, options, sizes):
        found = usual(model_class, options, sizes)
        found.stay["pairs of items"] = large * (options["ease_items"] or 40) // 40
        return found

    monkeypatch.setattr(memory_check, "estimate", of_many_items)
    monkeypatch.setattr(memory_check, "free_memory", lambda device: large * 9 // 10)
    monkeypatch.setitem(memory_check.LEAST, "ease_items", 20)
    assert re.fullmatch(r"set ease_items=\d+", refusal(bench, config)["advice"])


def test_options_are_joined_where_none_suffices(bench, monkeypatch):
    config = config_of(bench, "MICRO")
    least = config_of(bench, "MICRO", eval_batch_size=bench.data.item_num, knn_memory=64)
    monkeypatch.setattr(memory_check, "free_memory", lambda device: needed(bench, least) + 1000)
    advice = refusal(bench, config)["advice"]
    assert "together" in advice or "knn_memory" in advice


def test_a_training_goes_ahead_where_it_is_told_to(bench, monkeypatch):
    monkeypatch.setattr(memory_check, "free_memory", lambda device: 0)
    check(bench, config_of(bench, "MICRO", memory_check=False))


def test_a_refusal_comes_before_anything_large_is_read(given, monkeypatch):
    monkeypatch.setattr(memory_check, "free_memory", lambda device: 1000)
    monkeypatch.setattr(features, "load", None)
    for model in ("MICRO", "LightGCN"):
        with pytest.raises(UserError, match=f"{model} on tiny takes about"):
            recbole_micro.run(model, "tiny", config_dict=given)


def test_the_log_says_what_a_large_training_takes(bench, monkeypatch, caplog):
    config = config_of(bench, "BPR")
    with caplog.at_level(logging.INFO):
        check(bench, config)
        assert not [line for line in caplog.messages if line.startswith("Memory")]
        monkeypatch.setattr(memory_check, "LARGE", 1000)
        check(bench, config)
    (line,) = [line for line in caplog.messages if line.startswith("Memory")]
    assert re.match(r"Memory: about .* of memory \(.*\); .* are free", line)


def test_processes_of_one_machine_share_what_is_free(bench, monkeypatch):
    config = config_of(bench, "BPR")
    monkeypatch.setattr(memory_check, "free_memory", lambda device: needed(bench, config) + 1)
    check(bench, config)
    config.final_config_dict.update(single_spec=False, nproc=2)
    assert refusal(bench, config)


@pytest.mark.parametrize("version", [1, 2])
def test_a_limit_of_the_control_group_counts(tmp_path, monkeypatch, version):
    kind = {1: "memory", 2: ""}[version]
    folder, limit, used, dropped = memory_check.GROUP_FILES[kind]
    own = tmp_path / "cgroup"
    own.write_text(f"12:cpu,cpuacct:/other\n3:{kind}:/outer/inner\n")
    inner = tmp_path / folder / "outer" / "inner"
    inner.mkdir(parents=True)
    for group, most, present in ((inner, "max", 5000), (inner.parent, "9000", 7000)):
        (group / limit).write_text(most + "\n")
        (group / used).write_text(f"{present}\n")
        (group / "memory.stat").write_text(f"anon 1\n{dropped} 500\n")
    monkeypatch.setattr(memory_check, "OWN_GROUPS", own)
    monkeypatch.setattr(memory_check, "CONTROL_GROUPS", tmp_path)
    assert list(memory_check.left_in_groups()) == [2500]
    assert memory_check.free_memory(torch.device("cpu")) == 2500
    monkeypatch.setattr(memory_check, "OWN_GROUPS", tmp_path / "nothing")
    assert memory_check.free_memory(torch.device("cpu")) > 2500 < psutil.virtual_memory().total


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_cuda_device_says_what_it_has_free():
    assert 0 < memory_check.free_memory(torch.device("cuda", 0)) <= torch.cuda.mem_get_info(0)[1]
