"""The doctor: a sound folder, every kind of damage, what it says and its exit code."""

import ast
import json
import re
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from packaging.requirements import Requirement

from recbole_micro import cli
from recbole_micro.commands import doctor as command
from recbole_micro.doctor import environment
from recbole_micro.doctor.data_sets import data_sets
from recbole_micro.doctor.finding import ABSENT, BROKEN, OK, WARNING
from recbole_micro.recbole_patches import table
from tests.support.processes import ROOT
from tests.support.tiny import WIDTHS, write_dataset, write_tiny


@pytest.fixture
def data(tmp_path):
    return write_tiny(tmp_path / "data")


def found(folder: Path) -> dict:
    return {finding.name: finding for finding in data_sets(folder)}


def doctor(capsys, *words):
    code = cli.main(["doctor", *words])
    return code, capsys.readouterr().out


def test_a_sound_environment_and_folder(data, capsys):
    code, text = doctor(capsys, f"--data_path={data}")
    assert code == 0 and "\n0 broken" in text
    assert re.search(r"ok +tiny +240 interactions, 24 users, 16 items", text)
    assert re.search(r"ok +tiny\.visual +16 rows x 5, 16 of 16 items covered", text)
    assert re.search(r"ok +RecBole's own faults +(\d+) of \1 active", text)
    for section in ("Versions", "Mends", "Devices", "Threads", "Disk", "Data sets", "Optional"):
        assert f"{section}\n" in text


def test_as_json_with_the_exit_code_of_something_broken(data, capsys):
    (data / "tiny" / "tiny.inter").write_text("user_id:token\titem_id:token\n")
    code, text = doctor(capsys, f"--data_path={data}", "--json")
    known = json.loads(text)
    assert code == 1 and known["sound"] is False
    (broken,) = [one for one in known["findings"] if one["state"] == "broken"]
    assert broken["name"] == "tiny" and "no interactions" in broken["text"] and broken["remedy"]
    assert {"section", "name", "state", "text", "remedy"} == broken.keys()


def damage_header(home):
    (home / "tiny.inter").write_text("user\titem\nu1\ti1\n")


def damage_row(home):
    with open(home / "tiny.inter", "a") as file:
        file.write("u1\n")


def damage_bytes(home):
    (home / "tiny.inter").write_bytes(b"user_id:token\titem_id:token\n\xff\xfe\ti1\n")


def lose_interactions(home):
    (home / "tiny.inter").unlink()


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (damage_header, "header"),
        (damage_row, "line 242: 1 fields where the header has 2"),
        (damage_bytes, "utf-8|UTF-8"),
        (lose_interactions, "no tiny.inter"),
    ],
)
def test_interactions_that_cannot_be_read(data, damage, text):
    damage(data / "tiny")
    (finding,) = found(data).values()
    assert finding.state == BROKEN and re.search(text, finding.text) and "\n" not in finding.text


def test_a_split_without_one_of_its_parts(tmp_path):
    write_tiny(tmp_path, parts=True)
    (tmp_path / "tiny" / "tiny.valid.inter").unlink()
    assert "not the other parts" in found(tmp_path)["tiny"].text


def features(home, ids, values, modality="visual"):
    vectors = pa.FixedSizeListArray.from_arrays(
        pa.array(np.asarray(values, np.float32).ravel()), WIDTHS[modality]
    )
    file = home / f"tiny.{modality}.parquet"
    pq.write_table(pa.table({"item_id:token": ids, f"{modality}:float_seq": vectors}), file)


@pytest.mark.parametrize(
    ("ids", "value", "state", "text"),
    [
        (["x", "y"], 1, BROKEN, r"0 of 16 items covered \(the file's first: x, the data set's: i0\)"),
        (["i0", "i0"], 1, BROKEN, "1 ids come twice"),
        (["i0", "i1"], np.nan, BROKEN, "NaN or infinite"),
        (["i0", "i1"], 1, WARNING, "2 of 16 items covered"),
    ],
)
def test_features_that_do_not_fit(data, ids, value, state, text):
    features(data / "tiny", ids, np.full((2, WIDTHS["visual"]), value))
    finding = found(data)["tiny.visual"]
    assert finding.state == state and re.search(text, finding.text) and finding.remedy


def test_a_damaged_feature_file(data):
    file = data / "tiny" / "tiny.visual.parquet"
    file.write_bytes(file.read_bytes()[:100])
    known = found(data)
    assert known["tiny.visual"].state == BROKEN and "tiny.visual.parquet" in known["tiny.visual"].text
    assert known["tiny"].state == known["tiny.textual"].state == OK


def test_interactions_of_items_that_are_not_listed(data):
    with open(data / "tiny" / "tiny.inter", "a") as file:
        file.write("u1\tfresh\nu2\tfresh\n")
    finding = found(data)["tiny.item"]
    assert finding.state == WARNING and "items of 2 interactions" in finding.text and finding.remedy


def test_folders_without_data_sets(tmp_path):
    assert found(tmp_path / "none")[str(tmp_path / "none")].state == WARNING
    assert found(tmp_path)[str(tmp_path)].state == WARNING
    (tmp_path / ".half.partial").mkdir()
    write_dataset(tmp_path, "small", {None: [(0, 0), (1, 1)]}, 2)
    assert list(found(tmp_path)) == ["small"]


def test_large_files_are_not_read_to_the_end(data, monkeypatch):
    monkeypatch.setattr("recbole_micro.doctor.data_sets.ROWS", 100)
    assert found(data)["tiny"].text.startswith("at least 100 interactions")


def test_packages_that_are_missing_or_too_old(monkeypatch):
    monkeypatch.setattr(environment.metadata, "version", lambda name: "1.0")
    assert environment.requirement(Requirement("numpy>=1.0")).state == OK
    old = environment.requirement(Requirement("numpy>=2.0"))
    assert old.state == BROKEN and old.remedy == 'pip install "numpy>=2.0".'

    def absent(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(environment.metadata, "version", absent)
    assert environment.requirement(Requirement("numpy>=2.0")).state == BROKEN
    monkeypatch.setattr(environment.importlib.util, "find_spec", lambda name: None)
    assert {finding.state for finding in environment.optional()} == {ABSENT}


def test_packages_of_all_extras_for_users_are_looked_for(capsys, monkeypatch, data):
    tree = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
    named = {node.targets[0].id: node.value for node in tree.body if isinstance(node, ast.Assign)}
    extras = ast.literal_eval(named["EXTRAS"])
    users = set(extras) - {"test", "dev", "docs"}
    needs = {Requirement(need).name for name in users for need in extras[name]}
    modules = {"faiss-cpu": "faiss", "pillow": "PIL", "sentence-transformers": "sentence_transformers"}
    assert {modules.get(name, name) for name in needs} <= set(environment.OPTIONAL)
    monkeypatch.setattr(environment.importlib.util, "find_spec", lambda name: None)
    assert re.search(r"-  +h5py .* \(pip install h5py\)", doctor(capsys, f"--data_path={data}")[1])


def test_a_mend_that_is_not_in_place_is_told(monkeypatch):
    title, rows = "RecBole's own faults", table.SECTIONS["RecBole's own faults"]
    patch = next(row for row in rows if row.how == "wrap")
    lost = replace(patch, name="not_" + patch.name)
    monkeypatch.setitem(environment.SECTIONS, title, (*rows, lost))
    finding = next(one for one in environment.mends() if one.name == title)
    assert finding.state == BROKEN and lost.key in finding.remedy and patch.key not in finding.remedy


def test_threads_and_disk(monkeypatch, tmp_path):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 10_000)
    (finding,) = environment.threads()
    assert finding.state == WARNING and "OMP_NUM_THREADS" in finding.remedy
    usage = environment.shutil.disk_usage(tmp_path)
    for free, state in ((1 << 20, BROKEN), (1 << 30, WARNING), (1 << 40, OK)):
        monkeypatch.setattr(environment.shutil, "disk_usage", lambda path, n=free: usage._replace(free=n))
        assert [one.state for one in environment.disk([tmp_path, tmp_path / "a" / "b"])] == [state]


def test_help_and_unknown_arguments(capsys):
    code, text = doctor(capsys, "--help")
    assert code == 0 and text.strip() == command.HELP
    assert cli.main(["doctor", "--datapath=x"]) == 2
    assert "'--datapath=x' is unknown" in capsys.readouterr().err
