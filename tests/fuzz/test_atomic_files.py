"""Any bytes in the atomic files of a data set: it is read, inspected, split and exported, or refused."""

import shutil
from pathlib import Path

import pytest
from hypothesis import strategies as st

from recbole_micro import Config
from recbole_micro.training.experiment import build
from tests.fuzz.damage import damaged, damages, tables
from tests.fuzz.shared import CASES, corpus, fuzz, named_errors, tool, unchanged
from tests.support import every

FILES = (
    "inter",
    "inter",
    "item",
    "user",
    "kg",
    "link",
    "train.inter",
    "test.inter",
    "visual.parquet",
    "textual",
    "cold.json",
)
names = st.one_of(
    st.sampled_from(("user_id", "item_id", "rating", "timestamp", "label", "title", "class", "x")),
    st.text(max_size=5),
)
kinds = st.sampled_from(
    (":token", ":float", ":token_seq", ":float_seq", ":", "", ":int", ":token:float", " :token")
)
column = st.builds(str.__add__, names, kinds)
heads = st.one_of(
    st.just(["user_id:token", "item_id:token"]),
    st.just(["user_id:token", "item_id:token", "timestamp:float"]),
    st.just(["item_id:token", "title:token_seq"]),
    st.lists(column, min_size=1, max_size=4),
    st.lists(column, max_size=2).map(lambda more: ["user_id:token", "item_id:token", *more]),
)
ACTIONS = (
    *("BPR", "BPR", "MICRO", "SASRec", "FM", "CFKG"),
    *("inspect {}", "split {} --to-name new --how ratio", "export mmrec --name {} --to out"),
)


@st.composite
def cases(draw):
    """Which file is damaged how, what is done with the data set, and which of its columns are read."""
    file = draw(st.sampled_from(FILES))
    content = draw(st.one_of(damages, damages, tables(heads, "\t"), st.binary(max_size=60)))
    action = draw(st.sampled_from(ACTIONS))
    return {
        "file": file,
        "content": content,
        "action": action,
        "columns": draw(st.sampled_from(("needed", "all"))),
    }


def prepared(folder):
    """Write the data sets; a function that damages a file of a copy and uses it."""
    home = folder / "whole"
    every.write_every(home, "toy")
    every.write_every(home, "fixed", parts=True)

    def check(case):
        name = "fixed" if case["file"] in ("train.inter", "test.inter") else "toy"
        copy = folder / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(home / name, copy / name)
        file, content = copy / name / f"{name}.{case['file']}", case["content"]
        if isinstance(content, list):
            content = damaged((home / name / file.name).read_bytes() if file.exists() else b"", content)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        use(case, name, copy)

    return check


def use(case, name, copy):
    action = case["action"]
    if " " in action:
        with unchanged(copy) as passes, unchanged(Path("out")) as too:
            passes.append(tool(action.format(name).split() + ["--data-path", str(copy)]) == 0)
            too += passes
        shutil.rmtree("out", ignore_errors=True)
        return
    given = every.SMALL | (every.needed(action) if name == "toy" else {}) | {"data_path": str(copy)}
    if case["columns"] == "all":
        given["load_col"] = None
    with named_errors():
        build(Config(action, name, config_dict=given), trainer=False)


@pytest.mark.parametrize("count", CASES)
def test_atomic_files(tmp_path, count):
    fuzz(prepared(tmp_path), cases(), count, corpus("atomic_files"))
