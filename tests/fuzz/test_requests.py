"""Any command line, users, checkpoint, search space or folder of new items: an answer or a sentence."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import strategies as st

from dataset_tools.features.feature_file import FeatureWriter
from recbole_micro import cli, load, run
from recbole_micro.inference import recommend
from recbole_micro.studies import pool
from recbole_micro.studies.paper import tables
from recbole_micro.training import quick_start
from recbole_micro.tuning import ray_engine, study
from tests.fuzz.damage import damaged, damages
from tests.fuzz.shared import CASES, corpus, fuzz, named_errors, tool, unchanged
from tests.fuzz.test_options import scalar, value, word, written
from tests.support import every
from tests.support.tiny import WIDTHS

IDS = ("u0", "u3", "u11", "all", "u0,u1", "[u0, u1]", "u99", "'u1'", "(u2,", "u1,u1", "None", "")
file = st.text(alphabet="ab.é ,;=-", max_size=8)  # no slashes: the test stays in its folder
OWN = {
    "recommend": {
        "checkpoint": st.sampled_from(
            ("CHECKPOINT",) * 8 + ("DAMAGED", "DAMAGED", ".", "none.pth", "data/tiny/tiny.inter")
        ),
        "users": st.one_of(st.sampled_from(IDS), word),
        "topk": st.one_of(st.sampled_from(("1", "5", "1000", "0", "-1", "2.5", "1e2", "9" * 30)), word),
        "out": st.one_of(st.sampled_from(("o.csv", "o.json", "o.txt", "no/o.csv", "")), file),
        "new_items": st.sampled_from(("new", "new", "data/tiny", "none", ".", "")),
        "data_path": st.sampled_from(("data", ".", "none", "")),
    },
    "compare": {
        "models": st.one_of(st.sampled_from(("BPR", "BPR,MICRO", "[BPR]", "X", "BPR,,", "")), word),
        "dataset": st.sampled_from(("tiny", "tiny", "fixed", "none", "")),
        "seeds": st.one_of(st.sampled_from(("2", "1,2", "0", "1e9", "9" * 30, "-1", "1.5", "[1]", "")), word),
        "vary": st.one_of(
            st.sampled_from(("learning_rate=0.1,0.2", "topk=5;", "x=1", "seed=1", "=", "epochs=")), word
        ),
        "workers": st.one_of(st.sampled_from(("1", "0", "x")), word),
        "title": word,
        "out": file,
        "seed": scalar.map(str),
        "learning_rate": scalar.map(str),
        "data_path": st.sampled_from(("data", "data", "none")),
    },
    "tune": {
        "model": st.sampled_from(("BPR", "MICRO", "ItemKNN", "X", "")),
        "dataset": st.sampled_from(("tiny", "tiny", "none")),
        "space": st.sampled_from(("space.yaml", "space.yaml", "none", ".")),
        "trials": st.one_of(st.sampled_from(("1", "0", "x")), word),
        "algo": st.one_of(st.sampled_from(("bayes", "random", "exhaustive", "x")), word),
        "engine": st.one_of(st.sampled_from(("hyperopt", "ray", "x")), word),
        "grace": st.one_of(st.sampled_from(("1", "0", "x")), word),
        "epochs": scalar.map(str),
        "out": file,
        "data_path": st.sampled_from(("data", "data", "none")),
    },
    "reproduce": {
        "table": st.one_of(st.sampled_from(("4", "5", "6", "7", "x")), word),
        "figure": st.one_of(st.sampled_from(("3", "4", "5", "6")), word),
        "dataset": st.sampled_from(("tiny", "tiny", "none")),
        "seeds": st.sampled_from(("1", "2", "x")),
        "quick": st.just(None),
        "literal": st.just(None),
        "out": file,
        "data_path": st.sampled_from(("data", "data", "none")),
    },
    "train": {
        "model": st.one_of(st.sampled_from(("BPR", "MICRO", "X")), word),
        "help": st.just(None),
        "config_files": st.one_of(st.sampled_from(("space.yaml", "a,b", "none")), word),
        "preset": st.one_of(st.sampled_from(("paper", "visual,textual")), word),
        "nproc": scalar.map(str),
        "dataset": st.sampled_from(("tiny", "none")),
    },
}
NEEDED = {
    "recommend": ("checkpoint",),
    "compare": ("models", "dataset", "data_path"),
    "tune": ("model", "dataset", "data_path"),
}
spaces = st.one_of(
    st.dictionaries(
        st.sampled_from(("choice", "uniform", "loguniform", "quniform", "x")),
        st.one_of(
            st.dictionaries(
                st.sampled_from(("learning_rate", "epochs", "topk", "embedding_size", "x")),
                st.one_of(st.lists(scalar, max_size=3), value),
                max_size=2,
            ),
            scalar,
        ),
        min_size=1,
        max_size=2,
    ).map(written),
    st.text(max_size=30),
)


STARTS = (
    *((pool, "run_all"), (tables, "run_all"), (tables, "Pool"), (quick_start, "run")),
    *((study, "search_here"), (ray_engine, "search")),
)


class Started(Exception):
    """The work that a command line asks for would begin here."""


@st.composite
def cases(draw):
    """A command and its words, or a call of `recommend`; what is in the files that they name."""
    command = draw(st.sampled_from(("recommend", "recommend", "recommend", "call", *OWN)))
    if command == "call":
        users = draw(st.one_of(scalar, st.lists(st.one_of(st.sampled_from(IDS), scalar), max_size=3)))
        return {"command": "call", "users": users, "k": draw(st.integers(-2, 40))}
    names = draw(st.lists(st.sampled_from(sorted(OWN[command])), max_size=4, unique=True))
    words = []
    for name in dict.fromkeys((*NEEDED.get(command, ()), *names)):
        text = draw(OWN[command][name])
        words += (
            [f"--{name}"]
            if text is None
            else draw(st.sampled_from(([f"--{name}={text}"],) * 5 + ([f"--{name}", text],)))
        )
    words += draw(st.one_of(st.just([]), st.just([]), st.just([]), st.lists(word, max_size=2)))
    words = [one.replace("\0", "") for one in words]  # no process can be given one
    return {
        "command": command,
        "words": words,
        "damage": draw(damages),
        "space": draw(spaces) if command != "recommend" else "",
    }


def prepared(folder):
    """Train a model, write new items; a function that gives a command its files and runs it."""
    every.write_every(folder / "data", "tiny")
    every.write_every(folder / "data", "fixed", parts=True)
    given = every.SMALL | {"data_path": str(folder / "data"), "checkpoint_dir": str(folder)}
    checkpoint = Path(run("MICRO", "tiny", config_dict=given)["checkpoint"])
    source = load(checkpoint)
    shutil.copytree(folder / "data", "data")
    Path("new").mkdir()
    for modality, width in WIDTHS.items():
        with FeatureWriter(Path("new") / f"new.{modality}.parquet", modality, width) as writer:
            writer.write(["n1", "n2"], np.ones((2, width), np.float32))
    whole = checkpoint.read_bytes()

    def check(case):
        if case["command"] == "call":
            with named_errors():
                recommend.recommend(source, case["users"], case["k"])
            return
        Path("damaged.pth").write_bytes(damaged(whole, case["damage"]))
        Path("space.yaml").write_text(case["space"], encoding="utf-8", errors="replace")
        shutil.rmtree("run", ignore_errors=True)
        paths = {"CHECKPOINT": str(checkpoint), "DAMAGED": "damaged.pth"}
        words = [case["command"]]
        for text in case["words"]:
            name, equals, rest = text.partition("=")
            words.append(name + equals + paths.get(rest, rest) if equals else paths.get(text, text))
        try:
            with unchanged(Path.cwd()) as passes:
                passes.append(tool(words, cli.main) == 0)
                assert complete(Path.cwd())
        except Started:
            pass

    return check


def complete(folder):
    """Whether lists of recommendations, where there are some, can be read."""
    for path in folder.glob("o.*"):
        json.loads(path.read_text()) if path.suffix == ".json" else pd.read_csv(path)
        path.unlink()
    return True


def stop(*_, **__):
    raise Started


@pytest.fixture(autouse=True)
def nothing_is_trained(monkeypatch):
    """What a command would start."""
    for place, name in STARTS:
        monkeypatch.setattr(place, name, stop)


@pytest.mark.parametrize("count", CASES)
def test_requests(tmp_path, count):
    fuzz(prepared(tmp_path), cases(), count, corpus("requests"))
