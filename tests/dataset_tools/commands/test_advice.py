"""Advice in errors works when it is followed, and what would not help is not advised."""

import gzip
import json
import re
import shlex
import subprocess

import numpy as np
import pandas as pd
import pytest

from dataset_tools.commands.command_line import main
from dataset_tools.dataset.reading import Dataset

PAIRS = [("a", "x"), ("a", "y"), ("b", "x"), ("b", "y")]
TABLE = "convert table --user user --item item --name toy --interactions"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pd.DataFrame(PAIRS, columns=["user", "item"]).to_csv("f.csv", index=False)
    np.save("v.npy", np.eye(2))
    (tmp_path / "ids.txt").write_text("x\ny\n")
    return tmp_path


@pytest.fixture
def run(capsys):
    """Run a command line that must fail; what it says, which fits three lines."""

    def fails(line):
        capsys.readouterr()
        assert main(shlex.split(line)) == 2
        said = capsys.readouterr().err
        assert said.startswith("error: ") and said.count("\n") == 1 and len(said) < 400
        return said

    return fails


def works(line):
    assert main(shlex.split(line)) == 0


def command(said, **filled):
    """The command that a sentence advises, its placeholders filled."""
    found = re.search(r"python -m dataset_tools (.*?)[.;)]?$", said.strip(), re.MULTILINE)[1]
    for placeholder, value in filled.items():
        found = re.sub(rf"\b{placeholder}\b", value, found, count=1)
    return found


def test_a_table_in_place_of_records_is_converted_as_a_table(run):
    said = run("convert amazon2023 --reviews f.csv --meta f.csv --name toy")
    line = command(said).replace("--user C", "--user user").replace("--item C", "--item item")
    works(line.replace("NAME", "toy"))
    assert len(Dataset("toy").interactions) == 4


def test_a_feature_file_of_another_tool_is_written_again(run):
    works(f"{TABLE} f.csv")
    frame = pd.DataFrame({"item_id:token": ["x", "y"], "visual:float_seq": [[1.0, 2.0], [3.0, 4.0]]})
    frame.to_parquet("dataset/toy/toy.visual.parquet")
    works(command(run("inspect toy")))
    assert Dataset("toy").matrix("visual")[0].tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_a_data_set_without_a_fixed_split_gets_one(run):
    works(f"{TABLE} f.csv")
    works(command(run("export mmrec --name toy --to out")) + " toy")
    works("export mmrec --name toy --to out")


@pytest.mark.parametrize("encoding", ["utf-16", "gbk"])
def test_other_text_is_converted_by_the_command(here, run, encoding):
    (here / "g.csv").write_bytes("user,item,标题\n用户,项目,x\n".encode(encoding))
    said = run(f"{TABLE} g.csv")
    subprocess.run(re.search(r"iconv .*", said)[0], shell=True, check=True, timeout=20)
    works(f"{TABLE} g.utf8.csv")
    assert Dataset("toy").items == ["项目"]


SKIPPED = {
    "a table": ("user,item\na,x\nb\nb,y\n", f"{TABLE} g.csv"),
    "times": ("user,item,t\na,x,1\nb,y,soon\n", f"{TABLE} g.csv --time t"),
    "features": ("id,0\nx,1\ny,one\n", "features --input g.csv --modality v --name toy"),
    "rows of strangers": ("id,0\nx,1\nz,1\n", "features --input g.csv --modality v --name toy"),
    "rows with NaN": ("id,0\nx,1\ny,nan\n", "features --input g.csv --modality v --name toy"),
    "rows with sentinels": ("id,0\nx,1\ny,-3.4e38\n", "features --input g.csv --modality v --name toy"),
}


@pytest.mark.parametrize("kind", SKIPPED)
def test_where_skipping_is_advised_it_helps(here, run, kind):
    content, line = SKIPPED[kind]
    if line.startswith("features"):
        works(f"{TABLE} f.csv")
    (here / "g.csv").write_text(content)
    assert "--skip-bad" in run(line)
    works(f"{line} --skip-bad")


RECORDS = [
    json.dumps({"user_id": "a", "parent_asin": f"i{n}", "rating": 1, "timestamp": n}) for n in range(5)
]
USELESS = {
    "rows of another width": ("user,item\na\nb\n", f"{TABLE} g.csv"),
    "times that are none": ("user,item,t\na,x,soon\nb,y,later\n", f"{TABLE} g.csv --time t"),
    "ids with a point": ("user,item\na,1.0\nb,2.0\n", f"{TABLE} g.csv"),
    "ids of others": ("id,0\np,1\nq,1\n", "features --input g.csv --modality v --name toy"),
    "huge values only": ("id,0\nx,1e30\ny,1e30\n", "features --input g.csv --modality v --name toy"),
    "NaN only": ("id,0\nx,nan\ny,nan\n", "features --input g.csv --modality v --name toy"),
    "other records": (
        json.dumps({"asin": "x"}),
        "convert amazon2023 --reviews g.csv --meta g.csv --name toy",
    ),
    "a table of records": ("a,b\n", "convert amazon2023 --reviews g.csv --meta g.csv --name toy"),
}


@pytest.mark.parametrize("kind", USELESS)
def test_where_skipping_would_leave_nothing_it_is_not_advised(here, run, kind):
    content, line = USELESS[kind]
    if line.startswith("features"):
        works(f"{TABLE} f.csv")
    (here / "g.csv").write_text(content)
    before = sorted(here.rglob("*"))
    assert "--skip-bad" not in run(line)
    run(f"{line} --skip-bad")
    assert [path for path in sorted(here.rglob("*")) if path.name != "dataset"] == [
        path for path in before if path.name != "dataset"
    ]


def test_the_columns_that_a_sentence_names_can_be_chosen(run):
    works(f"{TABLE} f.csv")
    pd.DataFrame({"n": ["x", "y"], "v": [[1.0], [2.0]], "w": [[3.0], [4.0]]}).to_parquet("g.parquet")
    said = run("features --input g.parquet --modality v --name toy")
    assert "g.parquet has v, w; choose one with --column." in said
    works("features --input g.parquet --modality v --name toy --column w")
    np.savez("g.npz", left=np.eye(2), right=np.eye(2))
    assert "g.npz has left, right; choose one with --key." in run(
        "features --input g.npz --modality n --name toy"
    )
    works("features --input g.npz --modality n --name toy --key left --ids ids.txt")


def test_a_target_that_is_there_is_replaced_as_advised(run):
    for line in (f"{TABLE} f.csv", "features --input v.npy --ids ids.txt --modality v --name toy"):
        works(line)
        assert "--force" in run(line)
        works(f"{line} --force")


def test_times_in_milliseconds_become_seconds_as_advised(capsys):
    pd.DataFrame([("a", "x", 1588687728923)], columns=["user", "item", "t"]).to_csv("g.csv", index=False)
    works(f"{TABLE} g.csv --time t")
    advice = re.search(r"--time-unit \w+", capsys.readouterr().out)[0]
    works(f"{TABLE} g.csv --time t {advice} --force")
    assert Dataset("toy").interactions.timestamp.tolist() == [1588687728.923]


def test_a_file_under_a_wrong_name_that_is_what_is_wanted_is_read(here):
    records = [json.loads(line) for line in RECORDS]
    content = "\n".join(json.dumps({**record, "user_id": f"u{n % 2}"}) for n, record in enumerate(records))
    (here / "r.jsonl").write_bytes(gzip.compress(content.encode()))
    (here / "m.jsonl.gz").write_text(
        "\n".join(json.dumps({"parent_asin": f"i{n}", "title": "t w"}) for n in range(5))
    )
    works("convert amazon2023 --reviews r.jsonl --meta m.jsonl.gz --name toy --k-core 1")
