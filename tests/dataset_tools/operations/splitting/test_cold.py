"""Splits that withhold a share of the items from training."""

import json

import numpy as np

from dataset_tools.__main__ import main
from dataset_tools.dataset.reading import Dataset


def test_the_split_withholds_a_share_of_the_items(cold_world):
    record = json.loads((cold_world.folder / "world-cold" / "world-cold.cold.json").read_text())
    found = Dataset("world-cold", cold_world.folder).interactions
    items = np.array(found.items)[found.item]
    assert len(record["valid"]) == len(record["test"]) == 12  # of 96
    cold = {*record["valid"], *record["test"]}
    assert len(cold) == 24
    assert not cold & set(items[found.part == 0])
    assert not set(record["valid"]) & set(items[found.part == 2])
    assert not set(record["test"]) & set(items[found.part == 1])
    assert set(items[found.part == 2]) - cold  # warm items are tested too
    assert len(found) == len(Dataset("world", cold_world.folder).interactions)
    assert Dataset("world-cold", cold_world.folder).modalities == ["textual", "visual"]


def test_keep_warm_leaves_all_other_interactions_in_training(cold_world):
    command = ["split", "world", "--cold", "0.25", "--seed", "3", "--keep-warm", "--name", "world-kept"]
    assert main([*command, "--data-path", str(cold_world.folder)]) == 0
    record = json.loads((cold_world.folder / "world-kept" / "world-kept.cold.json").read_text())
    found = Dataset("world-kept", cold_world.folder).interactions
    expected = {1: set(record["valid"]), 2: set(record["test"])}
    for part, cold in expected.items():
        assert set(np.array(found.items)[found.item[found.part == part]]) <= cold
    same = json.loads((cold_world.folder / "world-cold" / "world-cold.cold.json").read_text())
    assert same["valid"] == record["valid"] and same["test"] == record["test"]


def test_another_split_of_a_cold_data_set_forgets_its_list(cold_world):
    command = ["split", "world-cold", "--name", "world-again", "--data-path", str(cold_world.folder)]
    assert main(command) == 0
    assert not (cold_world.folder / "world-again" / "world-again.cold.json").exists()
