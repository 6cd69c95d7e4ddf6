"""Vectors by id in all the forms in which they are published, and ids that are none."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from dataset_tools.dataset.folder import DatasetFolder
from dataset_tools.dataset.reading import Dataset
from dataset_tools.errors import DataError
from dataset_tools.operations.joining import add_features

ORDER = ["30", "10", "20"]
VALUES = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)


@pytest.fixture(autouse=True)
def dataset(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with DatasetFolder("data", "toy") as folder:
        folder.write_items(["10", "20", "30"])
        (folder.path / "toy.inter").write_text("user_id:token\titem_id:token\nu\t10\n")
    return Dataset("toy", "data")


def rows():
    return [list(map(float, row)) for row in VALUES]


def by_id():
    return dict(zip(ORDER, rows(), strict=True))


def tensors():
    return dict(zip(ORDER, torch.tensor(VALUES), strict=True))


def parquet(**columns):
    pq.write_table(pa.table(columns), "f.parquet")
    return "f.parquet"


def text(name, content):
    with open(name, "w", encoding="utf-8") as file:
        file.write(content)
    return name


def saved(name, content):
    torch.save(content, name)
    return name


def safe(**arrays):
    pytest.importorskip("safetensors.numpy").save_file(arrays, "f.safetensors")
    return "f.safetensors"


def hdf5(**arrays):
    with pytest.importorskip("h5py").File("f.h5", "w") as file:
        for name, values in arrays.items():
            file[name] = values
    return "f.h5"


def npz(**arrays):
    np.savez("f.npz", **arrays)
    return "f.npz"


def spread(value):
    return {"ids": np.array(ORDER), "x": value}


FORMS = {
    "json": lambda: (text("f.json", json.dumps(dict(zip(ORDER, rows(), strict=True)))), {}),
    "json with a byte order mark": lambda: (
        text("f.json", "\ufeff" + json.dumps(dict(zip(ORDER, rows(), strict=True)), indent=1)),
        {},
    ),
    "json of rows": lambda: (text("f.json", json.dumps({i: [v] for i, v in by_id().items()})), {}),
    "json lines": lambda: (
        text("f.jsonl", "".join(json.dumps({"v": v, "n": int(i)}) + "\n" for i, v in by_id().items())),
        {},
    ),
    "pt of texts": lambda: (saved("f.pt", dict(zip(ORDER, torch.tensor(VALUES), strict=True))), {}),
    "pt of numbers": lambda: (
        saved("f.pt", {int(i): v[None].double() for i, v in zip(ORDER, torch.tensor(VALUES), strict=True)}),
        {},
    ),
    "pt of lists": lambda: (saved("f.pt", dict(zip(ORDER, rows(), strict=True))), {}),
    "pt under another name": lambda: (saved("f.data", tensors()), {}),
    "pt with ids": lambda: (saved("f.pt", {"item_ids": ORDER, "emb": torch.tensor(VALUES)}), {}),
    "pt with a tensor of ids": lambda: (
        saved("f.pt", {"who": torch.tensor([30, 10, 20]), "emb": torch.tensor(VALUES)}),
        {"ids_key": "who"},
    ),
    "safetensors with ids": lambda: (safe(item_id=np.array([30, 10, 20]), x=VALUES), {}),
    "safetensors of vectors": lambda: (safe(**dict(zip(ORDER, VALUES, strict=True))), {}),
    "hdf5": lambda: (hdf5(**{"a/item_id": np.array([30, 10, 20]), "a/emb": VALUES.astype(">f8")}), {}),
    "hdf5 of texts and float16": lambda: (hdf5(asin=ORDER, emb=VALUES.astype(np.float16)), {}),
    "hdf5 of bytes by name": lambda: (
        hdf5(who=np.array(ORDER, "S2"), emb=VALUES, other=VALUES * 2),
        {"key": "emb", "ids_key": "who"},
    ),
    "hdf5 of vectors": lambda: (hdf5(**{f"vectors/{i}": v for i, v in by_id().items()}), {}),
    "json of another name": lambda: (text("f.dat", json.dumps(by_id())), {}),
    "npz": lambda: (npz(item_id=np.array([30, 10, 20]), embedding=VALUES), {}),
    "npz of texts": lambda: (npz(item_id=np.array(ORDER), embedding=VALUES), {}),
    "npz of texts as objects": lambda: (npz(item_id=np.array(ORDER, object), embedding=VALUES), {}),
    "npz with labels too": lambda: (npz(item_id=np.array(ORDER), label=np.arange(3), embedding=VALUES), {}),
    "npz by name": lambda: (npz(rank=np.array([30, 10, 20]), embedding=VALUES), {"ids_key": "rank"}),
    "npz two matrices": lambda: (npz(ids=np.array(ORDER), a=VALUES, b=VALUES * 2), {"key": "a"}),
    "npz of float16": lambda: (npz(**spread(VALUES.astype(np.float16))), {}),
    "npz of float64": lambda: (npz(**spread(VALUES.astype(np.float64))), {}),
    "npz big-endian": lambda: (npz(**spread(VALUES.astype(">f4"))), {}),
    "npz by columns": lambda: (npz(**spread(np.asfortranarray(VALUES))), {}),
    "parquet of categories": lambda: (
        parquet(item_id=pa.array(ORDER).dictionary_encode(), emb=rows()),
        {},
    ),
    "parquet of whole numbers": lambda: (parquet(item_id=[30, 10, 20], emb=rows()), {}),
    "parquet of whole floats": lambda: (parquet(item_id=[30.0, 10.0, 20.0], emb=rows()), {"key": "item_id"}),
    "parquet of large texts": lambda: (parquet(item_id=pa.array(ORDER, pa.large_string()), emb=rows()), {}),
    "parquet of two lists": lambda: (
        parquet(item_id=pa.array([30, 10, 20], pa.uint32()), embed=rows(), other=[[1.0]] * 3),
        {"column": "embed"},
    ),
    "parquet beside a list of texts": lambda: (parquet(item_id=ORDER, tags=[["a"]] * 3, emb=rows()), {}),
    "csv in capitals": lambda: (
        pd.DataFrame(VALUES, index=ORDER).to_csv("f.CSV", index_label="id") or "f.CSV",
        {},
    ),
    "csv gzipped": lambda: (
        pd.DataFrame(VALUES, index=ORDER).to_csv("f.csv.gz", index_label="id") or "f.csv.gz",
        {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_vectors_find_their_items(dataset, form):
    source, options = FORMS[form]()
    add_features(dataset, "visual", source, **options)
    expected = VALUES[[1, 2, 0]]
    np.testing.assert_allclose(dataset.matrix("visual")[0], expected, rtol=2e-3 if "16" in form else 1e-6)


def test_a_large_json_is_read_in_pieces(dataset, monkeypatch):
    monkeypatch.setattr("dataset_tools.features.sources.vectors.READ", 7)
    add_features(dataset, "visual", FORMS["json"]()[0])
    np.testing.assert_allclose(dataset.matrix("visual")[0], VALUES[[1, 2, 0]])


@pytest.mark.parametrize("kind", [np.float16, np.float64, ">f8", ">i2", np.int64, np.uint8, bool])
@pytest.mark.parametrize("order", "CF")
def test_arrays_of_any_number_and_order(dataset, kind, order):
    values = (VALUES * 10).astype(kind)
    np.save("f.npy", np.array(values, order=order))
    text("ids.txt", "\n".join(ORDER))
    add_features(dataset, "visual", "f.npy", ids="ids.txt")
    np.testing.assert_array_equal(dataset.matrix("visual")[0], values[[1, 2, 0]].astype(np.float32))


BROKEN = {
    "two lists": (
        lambda: parquet(item_id=ORDER, embed=rows(), normalized=rows()),
        {},
        "f.parquet has embed, normalized; choose one with --column",
    ),
    "nested ids": (
        lambda: parquet(item_id=[{"x": 1}] * 3, emb=rows()),
        {"key": "item_id"},
        "f.parquet: the column 'item_id' holds struct<.*, no single values, so no ids",
    ),
    "ids with a fraction": (
        lambda: parquet(item_id=[1.5, 10.0, 20.0], emb=rows()),
        {"key": "item_id"},
        "f.parquet, row 1: the id 1.5 is no whole number",
    ),
    "ids of a table with a decimal point": (
        lambda: text("f.csv", "id,0,1\n10.0,1,2\n"),
        {},
        "f.csv, line 2: the id '10.0' is a whole number with a decimal point",
    ),
    "an absent key": (
        lambda: parquet(item_id=ORDER, emb=rows()),
        {"key": "asin"},
        r"f.parquet has no column 'asin'; it has item_id \(string\), emb \(list",
    ),
    "thousands of tensors": (
        lambda: saved("f.pt", {f"B{n:09d}": torch.zeros(4) for n in range(7000)}),
        {},
        "belong to no item of toy: their ids .first: B000000000, B000000001, .* are not those of its",
    ),
    "thousands of matrices": (
        lambda: saved("f.pt", {f"B{n:09d}": torch.zeros(2, 2) for n in range(7000)}),
        {},
        "f.pt has B000000000, .* and 6,992 more; choose one with --key",
    ),
    "unequal json": (lambda: text("f.json", '{"10": [1, 2], "20": [1]}'), {}, "of '20' has 1 numbers"),
    "a cut json": (lambda: text("f.json", '{"10": [1, 2], "20": [1, '), {}, "stops making sense at"),
    "json of texts": (lambda: text("f.json", '{"10": ["a"]}'), {}, "f.json is no JSON object"),
    "json of an id twice": (lambda: text("f.json", '{"10": [1], "10": [2]}'), {}, "'10' has two rows"),
    "ids that are objects": (
        lambda: npz(ids=np.array([{}, 1, 2], dtype=object), emb=VALUES),
        {},
        "f.npz: 'ids' holds no ids",
    ),
    "ids that are more than plain objects": (
        lambda: npz(ids=np.array([print, 1, 2], dtype=object), emb=VALUES),
        {},
        "f.npz holds more than arrays, numbers, texts and plain containers .it asks for builtins.print.",
    ),
    "hdf5": (
        lambda: text("f.h5", "\x89HDF\r\n\x1a\n"),
        {},
        "f.h5 is damaged or no HDF5 file|f.h5 needs the package h5py; run pip install",
    ),
    "a zip": (lambda: text("f.zip", "PK\x03\x04"), {}, "f.zip is a zip archive, not text; unpack it"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BROKEN)
def test_what_does_not_fit_is_a_short_sentence(dataset, kind):
    make, options, message = BROKEN[kind]
    with pytest.raises(DataError, match=message) as error:
        add_features(dataset, "visual", make(), **options)
    assert len(str(error.value)) < 330
    assert dataset.folder.joinpath("toy.visual.parquet").exists() is False


@pytest.mark.parametrize("huge", [1e30, -3.4e38, 1.9e19])
def test_values_that_float32_cannot_square_are_refused_and_left_out_as_advised(dataset, huge):
    values = VALUES.copy()
    values[1] = huge
    np.save("f.npy", values)
    text("ids.txt", "\n".join(ORDER))
    with pytest.raises(
        DataError, match="too large for float32 to square .*1 item.s., first 10: if .*--skip-bad"
    ):
        add_features(dataset, "visual", "f.npy", ids="ids.txt")
    add_features(dataset, "visual", "f.npy", ids="ids.txt", skip_bad=True)
    assert dataset.matrix("visual")[1].tolist() == [False, True, True]


def test_where_all_values_are_huge_a_division_is_advised_and_works(dataset):
    values = VALUES.astype(np.float64) * 1e30
    np.save("f.npy", values)
    text("ids.txt", "\n".join(ORDER))
    with pytest.raises(
        DataError, match="of 3 item.s., first 30, 10, 20: divide all features by a constant"
    ) as error:
        add_features(dataset, "visual", "f.npy", ids="ids.txt")
    assert "--skip-bad" not in str(error.value)
    np.save("f.npy", values / 1e30)
    add_features(dataset, "visual", "f.npy", ids="ids.txt")


def test_a_huge_value_in_a_file_that_is_there_is_refused_when_it_is_read(dataset):
    text("data/toy/toy.visual", "item_id:token\tvisual:float_seq\n10\t1e30 1\n20\t1 1\n")
    np.save("f.npy", VALUES)
    pq.write_table(
        pa.table(
            {
                "item_id:token": ["10", "20"],
                "visual:float_seq": pa.array([[1e30], [1.0]], pa.list_(pa.float32(), 1)),
            }
        ),
        "data/toy/toy.visual.parquet",
    )
    with pytest.raises(DataError, match="too large for float32 .* first 10: .*features --skip-bad"):
        dataset.matrix("visual")


@pytest.mark.parametrize("nested", [False, True])
def test_a_json_of_one_long_line_is_told_from_json_lines(dataset, nested):
    wide = {item: (np.arange(30_000.0) + number).tolist() for number, item in enumerate(ORDER)}
    text("f.json", json.dumps({item: [row] if nested else row for item, row in wide.items()}))
    add_features(dataset, "visual", "f.json")
    assert dataset.matrix("visual")[0][:, 0].tolist() == [1.0, 2.0, 0.0]
    short = {item: row[:20_000] for item, row in wide.items()}
    text("g.json", json.dumps({item: [row[:2]] if nested else row[:2] for item, row in short.items()}))
    add_features(dataset, "short", "g.json")


def test_a_folder_of_pictures_is_named_for_the_encoder(dataset, tmp_path):
    (tmp_path / "img" / "010").mkdir(parents=True)
    (tmp_path / "img" / "010" / "0108775015.jpg").touch()
    with pytest.raises(DataError, match="has no .npy files; make features of the pictures in .* --image ENC"):
        add_features(dataset, "visual", tmp_path / "img")
