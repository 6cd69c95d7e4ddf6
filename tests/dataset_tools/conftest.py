"""Small source files that several converter tests share."""

import json

import numpy as np
import pytest


@pytest.fixture
def write_micro():
    """A function that writes the JSON layout of MICRO with 4 users and 5 items into a folder."""

    def write(folder, core="5-core", lists=True, features=("image", "text"), rows=5):
        split = folder / core
        split.mkdir(parents=True)
        train = {"0": [4, 1], "1": [0, 2], "2": [1], "3": [2, 3]}
        for part, content in {
            "train": train,
            "val": {"0": [2], "3": [0]},
            "test": {"1": [3], "2": []},
        }.items():
            (split / f"{part}.json").write_text(json.dumps(content))
        if lists:
            (split / "item_list.txt").write_text("".join(f"{i}\t{n}\n" for n, i in enumerate(ITEMS)))
            (split / "user_list.txt").write_text("".join(f"{u}\t{n}\n" for n, u in enumerate(USERS)))
        for number, name in enumerate(features):
            values = np.random.default_rng(number).standard_normal((rows, 3 + number)).astype(np.float32)
            np.save(folder / f"{name}_feat.npy", values)
        return folder

    return write


ITEMS = ["B01", "007", "é x", 'q"t', "A9"]
USERS = ["U1", "0042", "u 3", "zz"]
