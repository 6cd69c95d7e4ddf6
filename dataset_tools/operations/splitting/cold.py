"""The cold-start split: some items have no training interaction, and `<name>.cold.json` lists them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from dataset_tools.dataset.interactions import Interactions
from dataset_tools.files import write_text
from dataset_tools.operations.splitting import splits


def split(
    interactions: Interactions, seed: int = 0, share: float = splits.WITHHELD, keep_warm: bool = False
) -> tuple[Interactions, dict]:
    """The interactions with their parts and the record of the cold items, half for test, half for validation.

    The interactions of the other, warm items are split as the paper splits a whole data set, so that warm
    items can be ranked too; `keep_warm` keeps them all in training, as MICRO's published files do.
    """
    found = splits.cold(interactions, seed, share)
    order = splits.cold_order(len(interactions.items), seed, share)
    half = len(order) // 2
    if not keep_warm:
        part = np.array(found.part)
        warm = part == 0
        part[warm] = splits.per_user(found.take(warm), seed).part
        found = replace(found, part=part)
    names = np.array(interactions.items, dtype=object)
    record = {"share": share, "seed": seed, "keep_warm": keep_warm}
    return found, record | {"valid": sorted(names[order[half:]]), "test": sorted(names[order[:half]])}


def withheld(interactions: Interactions) -> dict:
    """The record of a cold-start split that is there: its items without training interactions."""
    found = [set(interactions.item[interactions.part == part].tolist()) for part in range(3)]
    test, valid = found[2] - found[0], found[1] - found[0] - found[2]
    names = interactions.items
    return {"valid": [names[i] for i in sorted(valid)], "test": [names[i] for i in sorted(test)]}


def write(folder: Path, name: str, record: dict) -> None:
    """Write `<name>.cold.json`."""
    text = json.dumps(record, indent=1, ensure_ascii=False)
    write_text(folder / f"{name}.cold.json", text + "\n")
