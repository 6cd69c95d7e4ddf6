"""Damaged files of every format end in a short sentence, never in an error from inside a library."""

import bz2
import gzip
import json
import lzma
import random
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from dataset_tools.converters import mmrec_layout, plain_tables
from dataset_tools.dataset.folder import DatasetFolder
from dataset_tools.dataset.reading import Dataset
from dataset_tools.errors import DataError
from dataset_tools.operations.joining import add_features

IDS = ["a", "b", "c"]
VALUES = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
TABLE = b"user,item,rating,time\nu1,a,1,100\nu1,b,2,2020-01-01\nu2,a,3,5\n"
PIECES = [b"\n", b",", b'"', b"\0", b"nan", b"1e400", b"{", b"]", b"\xff", b"\t", b"12.0", b"-", b"\\", b"[["]
COUNT = 25  # damaged copies of each file


def features():
    np.save("s.npy", VALUES)
    np.savez("s.npz", ids=np.array(IDS), x=VALUES)
    torch.save(dict(zip(IDS, torch.tensor(VALUES), strict=True)), "s.pt")
    pd.DataFrame({"id": IDS, "v": list(VALUES)}).to_parquet("s.parquet")
    Path("s.csv").write_text("id,0,1\na,1,2\nb,3,4\nc,5,6\n")
    Path("s.json").write_text(json.dumps(dict(zip(IDS, VALUES.tolist(), strict=True))))
    Path("s.jsonl").write_text('{"id":"a","v":[1,2]}\n{"id":"b","v":[3,4]}\n')
    Path("s.visual").write_text("item_id:token\tvisual:float_seq\na\t1 2\n")


def tables():
    Path("t.csv").write_bytes(TABLE)
    pd.read_csv("t.csv").to_parquet("t.parquet")
    pd.read_csv("t.csv").to_json("t.jsonl", orient="records", lines=True)
    for suffix, pack in (("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)):
        Path(f"t.csv.{suffix}").write_bytes(pack(TABLE))
    Path("t.csv.zst").write_bytes(pa.compress(TABLE, codec="zstd", asbytes=True))


def damaged(content, chance):
    found = bytearray(content)
    for _ in range(chance.choice([1, 1, 2, 5, 20])):
        place, what = chance.randrange(len(found) or 1), chance.random()
        if what < 0.4 and found:
            found[place] = chance.randrange(256)
        elif what < 0.6:
            del found[place : place + chance.randrange(1, 20)]
        elif what < 0.8:
            found[place:place] = chance.choice(PIECES)
        else:
            found = found[:place] if what < 0.9 else found + found[place:]
    return bytes(found)


@pytest.fixture(autouse=True)
def dataset(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with DatasetFolder("data", "toy") as folder:
        folder.write_items(IDS)
        (folder.path / "toy.inter").write_text("user_id:token\titem_id:token\nu\ta\n")
    Path("ids.txt").write_text("\n".join(IDS))
    return Dataset("toy", "data")


def short_sentence(run):
    try:
        run()
    except DataError as error:
        assert len(str(error)) < 420 and "\n" not in str(error)


@pytest.mark.parametrize("seed", range(COUNT))
def test_damaged_features(dataset, seed):
    features()
    chance = random.Random(seed)
    for file in sorted(Path().glob("s.*")):
        copy = Path(f"f{file.suffix}")
        copy.write_bytes(damaged(file.read_bytes(), chance))
        ids = "ids.txt" if file.suffix == ".npy" else None
        more = dict(ids=ids, skip_bad=chance.random() < 0.4, force=True)
        short_sentence(lambda copy=copy, more=more: add_features(dataset, "visual", copy, **more))


@pytest.mark.parametrize("seed", range(COUNT))
def test_damaged_tables(seed):
    tables()
    chance = random.Random(seed)
    roles = dict(user="user", item="item", rating="rating", time="time", where="rating > 0", force=True)
    for file in sorted(Path().glob("t.*")):
        copy = Path(file.name.replace("t.", "f.", 1))
        copy.write_bytes(damaged(file.read_bytes(), chance))
        more = dict(skip_bad=chance.random() < 0.4, **roles)
        short_sentence(lambda copy=copy, more=more: plain_tables.convert(copy, "t", "data", **more))


@pytest.mark.parametrize("seed", range(COUNT))
def test_damaged_layouts(seed):
    features()
    chance, folder = random.Random(seed), Path("in")
    folder.mkdir()
    files = {
        "x.inter": b"userID\titemID\tx_label\n0\t0\t0\n1\t1\t1\n1\t2\t2\n",
        "i_id_mapping.csv": b"asin\titemID\nA\t0\nB\t1\nC\t2\n",
        "image_feat.npy": Path("s.npy").read_bytes(),
        "other.pt": Path("s.pt").read_bytes(),
    }
    for name in files:
        for file, content in files.items():
            (folder / file).write_bytes(damaged(content, chance) if file == name else content)
        short_sentence(lambda: mmrec_layout.convert(folder, "t", "data", force=True))
