"""Any bytes and odd numbers in feature files and tables: read, converted, trained on, or refused."""

import bz2
import gzip
import io
import json
import lzma
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import strategies as st

from recbole_micro import Config
from recbole_micro.training.experiment import build
from tests.fuzz.damage import damaged, damages, tables
from tests.fuzz.shared import CASES, corpus, fuzz, named_errors, tool, unchanged
from tests.support import every

IDS = [f"i{number}" for number in range(every.ITEMS)]
CONTENTS = (
    *("normal", "zeros", "constant", "twice", "huge", "largest", "tiny", "nan", "one nan", "inf", "float16"),
    *("float64", "int", "bool", "objects", "strings", "complex", "flat", "deep", "no rows", "no columns"),
    *("short", "long", "one row", "fortran", "big endian", "ragged"),
)
FORMS = (
    "npy",
    "npz",
    "pt",
    "csv",
    "json",
    "jsonl",
    "parquet",
    "visual",
    "csv.gz",
    "csv.bz2",
    "csv.xz",
    "csv.zst",
)
TABLE = b"user,item,rating,time\nu1,i1,1,100\nu1,i2,2,2020-01-01\nu2,i3,3,5\nu2,i1,4,7\n"
LAYOUTS = ("csv", "parquet", "jsonl", "csv.gz", "csv.zst", "json")
ROLES = "--user user --item item"
MORE = (
    "",
    "--rating rating",
    "--time time",
    "--where rating>0",
    "--skip-bad",
    "--k-core 2",
    "--time time --split time",
)
OPTIONS = (
    "",
    "--skip-bad",
    "--half",
    "--row-order",
    "--ids ids.txt",
    "--ids ids.txt --skip-bad",
    "--key id",
    "--column v",
)
kept = st.one_of(st.just([]), st.just([]), damages)


@st.composite
def cases(draw):
    """A feature file, a table of interactions or a model's own Parquet file, its content and its damage."""
    what = draw(st.sampled_from(("features", "features", "table", "parquet", "parquet")))
    case = {"what": what, "damage": draw(kept)}
    if what == "table":
        head = st.just(["user", "item", "rating", "time"])
        case |= {"form": draw(st.sampled_from(LAYOUTS)), "options": draw(st.sampled_from(MORE))}
        case["table"] = draw(st.one_of(st.none(), tables(head, ",")))
    else:
        case["content"] = draw(st.sampled_from(CONTENTS))
    if what == "features":
        case |= {"form": draw(st.sampled_from(FORMS)), "options": draw(st.sampled_from(OPTIONS))}
    if what == "parquet":
        case["model"] = draw(st.sampled_from(("MICRO", "VBPR", "EASEKNN")))
    return case


def values(content):
    """A matrix of features for IDS, or what somebody took for one."""
    matrix = np.random.default_rng(3).standard_normal((len(IDS), 4)).astype(np.float32)
    scaled = {"zeros": 0, "huge": 1e30, "tiny": 1e-38, "largest": np.float32(1e38)}
    if content in scaled:
        return matrix * np.float32(scaled[content])
    if content == "one nan":
        matrix[2, 1] = np.nan
    found = {
        "constant": np.ones_like(matrix),
        "twice": np.repeat(matrix[:1], len(matrix), axis=0),
        "nan": matrix * np.nan,
        "inf": np.full_like(matrix, -np.inf),
        "float16": matrix.astype(np.float16),
        "float64": matrix.astype(np.float64) * 1e300,
        "int": np.full(matrix.shape, 2**62),
        "bool": matrix > 0,
        "objects": np.array([[1, "x", None, {}]] * len(IDS), dtype=object),
        "strings": matrix.astype(str),
        "complex": matrix.astype(complex),
        "flat": matrix[:, 0],
        "deep": matrix.reshape(len(IDS), 2, 2),
        "no rows": matrix[:0],
        "no columns": matrix[:, :0],
        "short": matrix[:-1],
        "long": np.concatenate([matrix, matrix]),
        "one row": matrix[:1],
        "fortran": np.asfortranarray(matrix),
        "big endian": matrix.astype(">f4"),
        "ragged": np.array([row[: 1 + n % 4].tolist() for n, row in enumerate(matrix)], dtype=object),
    }
    return found.get(content, matrix)


def write(path, form, rows):
    """Write rows of features in one of FORMS, as a tool of the format would."""
    ids = [IDS[n % len(IDS)] for n in range(len(rows))]
    listed = rows.tolist()
    if form == "npy":
        np.save(path, rows, allow_pickle=True)
    elif form == "npz":
        np.savez(path, ids=np.array(ids), x=rows)
    elif form == "pt":
        torch.save(dict(zip(ids, listed, strict=True)), path)
    elif form == "parquet":
        pd.DataFrame({"id": ids, "v": listed}).to_parquet(path)
    elif form == "json":
        path.write_text(json.dumps(dict(zip(ids, listed, strict=True)), default=str))
    elif form == "jsonl":
        lines = (json.dumps({"id": one, "v": row}, default=str) for one, row in zip(ids, listed, strict=True))
        path.write_text("\n".join(lines))
    elif form == "visual":
        lines = (f"{one}\t{spaced(row)}" for one, row in zip(ids, listed, strict=True))
        path.write_text("\n".join(["item_id:token\tvisual:float_seq", *lines]))
    else:
        frame = pd.DataFrame([np.ravel(np.array(row, dtype=object)) for row in listed])
        text = frame.assign(id=ids).to_csv(index=False).encode()
        path.write_bytes(packed(text, form))


def spaced(row):
    return " ".join(map(str, row if isinstance(row, list) else [row]))


def packed(text, form):
    pack = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}.get(form.split(".")[-1])
    if form.endswith("zst"):
        return pa.compress(text, codec="zstd", asbytes=True)
    return pack(text) if pack else text


def written_table(form, table):
    """The bytes of a table of interactions in one of LAYOUTS."""
    if form.startswith("csv"):
        return packed(TABLE if table is None else table, form)
    frame = pd.read_csv(io.BytesIO(TABLE))
    if form == "parquet":
        return frame.to_parquet()
    return frame.to_json(orient="records", lines=form == "jsonl").encode()


def prepared(folder):
    """Write a data set; a function that makes the file of a case and uses it."""
    home = folder / "whole"
    every.write_every(home, "toy")
    Path("ids.txt").write_text("\n".join(IDS))

    def check(case):
        copy = folder / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(home, copy)
        USES[case["what"]](case, copy)

    return check


def features(case, copy):
    path = Path(f"f.{case['form']}")
    try:
        write(path, case["form"], values(case["content"]))
    except (ValueError, TypeError, pa.ArrowException):  # the format cannot hold it
        return
    path.write_bytes(damaged(path.read_bytes(), case["damage"]))
    line = f"features --input {path} --modality new --name toy --data-path {copy} {case['options']}"
    with unchanged(copy) as passes:
        passes.append(tool(line.split()) == 0)
    if passes[-1]:
        train("MICRO", copy, modalities=["new"])


def table(case, copy):
    path = Path(f"t.{case['form']}")
    path.write_bytes(damaged(written_table(case["form"], case["table"]), case["damage"]))
    line = f"convert table --interactions {path} --name new --data-path {copy} {ROLES} {case['options']}"
    with unchanged(copy) as passes:
        passes.append(tool(line.split()) == 0)


def parquet(case, copy):
    rows = values(case["content"])
    file = copy / "toy" / "toy.visual.parquet"
    try:
        column = pa.array(rows.tolist())
        if rows.dtype in (np.float32, np.float16) and rows.ndim == 2:
            column = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), rows.shape[1])
        pq.write_table(
            pa.table(
                {"item_id:token": [IDS[n % len(IDS)] for n in range(len(rows))], "visual:float_seq": column}
            ),
            file,
        )
    except (ValueError, TypeError, pa.ArrowException):
        return
    file.write_bytes(damaged(file.read_bytes(), case["damage"]))
    train(case["model"], copy)


def train(model, copy, **more):
    with named_errors():
        build(Config(model, "toy", config_dict=every.SMALL | {"data_path": str(copy)} | more), trainer=False)


USES = {"features": features, "table": table, "parquet": parquet}


@pytest.mark.parametrize("count", CASES)
def test_feature_files(tmp_path, count):
    fuzz(prepared(tmp_path), cases(), count, corpus("feature_files"))
