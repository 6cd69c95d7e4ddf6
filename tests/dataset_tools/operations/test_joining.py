"""Features from any format, joined by id, by mapping or by row order."""

import shlex
import sys

import numpy as np
import pandas as pd
import pytest
import torch

from dataset_tools.dataset.folder import DatasetFolder
from dataset_tools.dataset.provenance import read_steps
from dataset_tools.dataset.reading import Dataset
from dataset_tools.errors import DataError
from dataset_tools.operations.joining import add_features, export_text
from tests.support.processes import run_shell

ITEMS = ["B01", "007", "é x", 'q"t', "A9"]
ORDER = ["007", "A9", 'q"t', "B01"]  # one item has no features
VALUES = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)


@pytest.fixture
def dataset(tmp_path):
    with DatasetFolder(tmp_path / "data", "toy") as folder:
        folder.write_items(ITEMS)
        (folder.path / "toy.inter").write_text("user_id:token\titem_id:token\nu\tB01\n")
    return Dataset("toy", tmp_path / "data")


def save_npy(path):
    np.save(path.with_suffix(".npy"), VALUES.astype(np.float64))
    return path.with_suffix(".npy"), {}


def save_fortran(path):
    np.save(path.with_suffix(".npy"), np.asfortranarray(VALUES))
    return path.with_suffix(".npy"), {}


def save_npz(path):
    np.savez(path.with_suffix(".npz"), other=np.ones(3), feat=VALUES)
    return path.with_suffix(".npz"), {"key": "feat"}


def save_pt(path):
    torch.save(torch.from_numpy(VALUES).to(torch.float64), path.with_suffix(".pt"))
    return path.with_suffix(".pt"), {}


def save_pt_dict(path):
    torch.save({"feat": torch.from_numpy(VALUES)}, path.with_suffix(".pt"))
    return path.with_suffix(".pt"), {}


def save_safetensors(path):
    numpy = pytest.importorskip("safetensors.numpy")
    numpy.save_file({"feat": VALUES}, path.with_suffix(".safetensors"))
    return path.with_suffix(".safetensors"), {}


def frame():
    table = pd.DataFrame(VALUES, columns=["x", "y", "z"])
    table.insert(0, "asin", ORDER)
    return table


def save_csv(path):
    frame().to_csv(path.with_suffix(".csv"), index=False)
    return path.with_suffix(".csv"), {}


def save_tsv(path):
    table = frame()[["x", "y", "z", "asin"]]
    table.to_csv(path.with_suffix(".tsv"), sep="\t", index=False)
    return path.with_suffix(".tsv"), {"key": "asin"}


def save_parquet_wide(path):
    frame().to_parquet(path.with_suffix(".parquet"))
    return path.with_suffix(".parquet"), {}


def save_parquet_lists(path):
    table = pd.DataFrame({"asin": ORDER, "emb": list(VALUES)})
    table.to_parquet(path.with_suffix(".parquet"))
    return path.with_suffix(".parquet"), {}


def save_text(path):
    rows = [
        f'"{i.replace(chr(34), chr(34) * 2)}"\t{" ".join(map(repr, v))}'
        for i, v in zip(ORDER, VALUES.tolist(), strict=True)
    ]
    path.with_suffix(".visual").write_text("\n".join(["iid:token\tvisual:float_seq", *rows]) + "\n")
    return path.with_suffix(".visual"), {}


def save_folder(path):
    path.mkdir()
    for token, row in zip(ORDER, VALUES, strict=True):
        np.save(path / f"{token}.npy", row[None])
    return path, {}


WITHOUT_IDS = [save_npy, save_fortran, save_npz, save_pt, save_pt_dict, save_safetensors]
WITH_IDS = [save_csv, save_tsv, save_parquet_wide, save_parquet_lists, save_text, save_folder]


def expected():
    matrix = np.zeros((5, 3), dtype=np.float32)
    for token, row in zip(ORDER, VALUES, strict=True):
        matrix[ITEMS.index(token)] = row
    return matrix


@pytest.mark.parametrize("save", WITHOUT_IDS + WITH_IDS)
def test_every_format_is_joined_by_id(tmp_path, dataset, save):
    source, options = save(tmp_path / "feat")
    if save in WITHOUT_IDS:
        options["ids"] = tmp_path / "ids.txt"
        options["ids"].write_text("\n".join(ORDER) + "\n")
    add_features(dataset, "visual", source, **options)
    values, mask = dataset.matrix("visual")
    np.testing.assert_allclose(values, expected(), rtol=1e-6)
    assert mask.tolist() == [True, True, False, True, True]


@pytest.mark.parametrize(
    ("header", "line"),
    [("itemID,asin", "{n},{i}"), ("asin\titemID", "{i}\t{n}"), (None, "{i}\t{n}")],
)
def test_a_mapping_file_names_the_rows(tmp_path, dataset, header, line):
    source, _ = save_npy(tmp_path / "feat")
    rows = [line.format(i=i, n=n) for n, i in enumerate(["007", "A9", "é x", "B01"])]
    mapping = tmp_path / "map.csv"
    mapping.write_text("\n".join(([header] if header else []) + rows[::-1]))
    add_features(dataset, "visual", source, mapping=mapping)
    np.testing.assert_array_equal(dataset.matrix("visual")[0][[1, 4, 2, 0]], VALUES)


def test_row_order_only_when_asked_for_and_only_when_the_counts_agree(tmp_path, dataset):
    source, _ = save_npy(tmp_path / "feat")
    with pytest.raises(DataError, match="has rows without ids; say whose they are"):
        add_features(dataset, "visual", source)
    with pytest.raises(DataError, match="feat.npy has 4 rows for 5 items in toy; they must agree"):
        add_features(dataset, "visual", source, row_order=True)
    np.save(source, np.vstack([VALUES, VALUES[:1]]))
    add_features(dataset, "visual", source, row_order=True)
    np.testing.assert_array_equal(dataset.matrix("visual")[0][1], VALUES[1])


@pytest.mark.parametrize("count", [3, 5])
def test_another_number_of_ids_is_refused(tmp_path, dataset, count):
    source, _ = save_npy(tmp_path / "feat")
    (tmp_path / "ids.txt").write_text("\n".join(ITEMS[:count]))
    with pytest.raises(DataError, match=f"feat.npy has 4 rows for {count} ids in .*ids.txt; they must agree"):
        add_features(dataset, "visual", source, ids=tmp_path / "ids.txt")
    assert dataset.modalities == []


def test_rows_that_do_not_fit_are_refused_or_left_out_and_counted(tmp_path, dataset):
    values = np.vstack([VALUES, VALUES])
    values[1, 0] = np.nan
    tokens = ["B01", "A9", "007", "gone", "B01", "é x", "gone2", 'q"t']
    np.save(tmp_path / "f.npy", values)
    (tmp_path / "ids.txt").write_text("\n".join(tokens))
    with pytest.raises(
        DataError, match="items that toy lacks, first gone, gone2; leave them out with --skip-bad"
    ):
        add_features(dataset, "visual", tmp_path / "f.npy", ids=tmp_path / "ids.txt")
    add_features(dataset, "visual", tmp_path / "f.npy", ids=tmp_path / "ids.txt", skip_bad=True)
    assert dataset.matrix("visual")[1].tolist() == [True, True, True, True, False]
    np.testing.assert_array_equal(dataset.matrix("visual")[0][0], values[0])


def broken_object(path):
    np.save(path / "f.npy", np.array([[None]] * 4), allow_pickle=True)
    return path / "f.npy", "f.npy holds Python objects, which are never opened"


def broken_object_npz(path):
    np.savez(path / "f.npz", x=np.array([[None]] * 4, dtype=object))
    return path / "f.npz", "f.npz holds Python objects, which are never opened"


def broken_pickle(path):
    torch.save({"feat": Exploit()}, path / "f.pt")
    return path / "f.pt", "f.pt is not a whole file of tensors only, so it is not opened"


def broken_cut(path):
    np.save(path / "f.npy", VALUES)
    content = (path / "f.npy").read_bytes()
    (path / "f.npy").write_bytes(content[:-5])
    return path / "f.npy", "f.npy is cut off"


def broken_shape(path):
    np.save(path / "f.npy", VALUES.ravel())
    return path / "f.npy", r"f.npy has the shape \(12,\); features must be a matrix"


def broken_strings(path):
    np.save(path / "f.npy", np.array([["a"]]))
    return path / "f.npy", "f.npy holds <U1 values; features must be real numbers"


def broken_empty(path):
    (path / "f.csv").touch()
    return path / "f.csv", "f.csv is empty"


def broken_csv_number(path):
    (path / "f.csv").write_text("id,a,b\nB01,1,2\n007,1,x\n")
    return path / "f.csv", "f.csv, line 3: expected an id and numbers"


def broken_csv_width(path):
    (path / "f.csv").write_text("id,a,b\nB01,1,2\n007,1\n")
    return path / "f.csv", "f.csv, line 3: expected an id and 2 numbers, got 1"


def broken_parquet_width(path):
    pd.DataFrame({"id": ["B01", "007"], "emb": [[1.0, 2.0], [1.0]]}).to_parquet(path / "f.parquet")
    return path / "f.parquet", "f.parquet: the vectors of column 'emb' differ in width"


def broken_parquet_texts(path):
    pd.DataFrame({"id": ["B01"], "emb": [["a", "b"]]}).to_parquet(path / "f.parquet")
    return path / "f.parquet", "f.parquet needs one column of lists of numbers, or columns of numbers"


def broken_parquet_without_rows(path):
    pd.DataFrame({"id": ["B01"], "x": [1.0]}).iloc[:0].astype({"id": "str"}).to_parquet(path / "f.parquet")
    return path / "f.parquet", "f.parquet has no rows"


def broken_csv_encoding(path):
    (path / "f.csv").write_bytes(b"id,a\n\xe9,1\n")
    return path / "f.csv", "f.csv, line 2: the row is not UTF-8 text"


def broken_csv_header(path):
    (path / "f.csv").write_text("B01,0.5,2\n007,1,2\n")
    return path / "f.csv", "f.csv begins with numbers; put a header line"


def broken_csv_index(path):
    frame().to_csv(path / "f.csv")
    return path / "f.csv", "f.csv begins with a column without a name, .* with --key, one of "


def broken_csv_columns(path):
    (path / "f.csv").write_text("id\nB01\n")
    return path / "f.csv", "f.csv needs a header with an id column and one column per number"


def broken_folder_of_texts(path):
    (path / "f").mkdir()
    np.save(path / "f" / "B01.npy", np.array(["a", "b"]))
    return path / "f", "B01.npy holds <U1 values; features must be real numbers"


def broken_folder(path):
    (path / "f").mkdir()
    np.save(path / "f" / "B01.npy", np.ones(3))
    np.save(path / "f" / "A9.npy", np.ones(2))
    return path / "f", "B01.npy has 3 numbers instead of 2"


def broken_unknown(path):
    (path / "f.xyz").write_text("what")
    return path / "f.xyz", "f.xyz is in no known format; use .npy"


def broken_absent(path):
    return path / "none.npy", "There is no file .*none.npy"


class Exploit:
    """Would run a command when unpickled."""

    def __reduce__(self):
        import os

        return os.mkdir, ("pwned",)


BROKEN = [value for name, value in list(globals().items()) if name.startswith("broken_")]


@pytest.mark.parametrize("make", BROKEN)
def test_broken_files_are_one_sentence_and_leave_nothing(tmp_path, dataset, make):
    source, message = make(tmp_path)
    (tmp_path / "ids.txt").write_text("\n".join(ORDER))
    own_ids = source.suffix in (".csv", ".parquet", "")
    before = sorted(dataset.folder.iterdir())
    with pytest.raises(DataError, match=message):
        add_features(dataset, "visual", source, ids=None if own_ids else tmp_path / "ids.txt")
    assert sorted(dataset.folder.iterdir()) == before
    assert not (tmp_path / "pwned").exists()


def test_broken_lines_of_a_table_are_left_out_and_counted(tmp_path, dataset):
    (tmp_path / "f.csv").write_text("id,0,1\nB01,1,2\n007,1\nA9,x,2\né x,3,4\n")
    add_features(dataset, "visual", tmp_path / "f.csv", skip_bad=True)
    assert dataset.matrix("visual")[1].tolist() == [True, False, True, False, False]
    assert read_steps(dataset.folder, "toy")[-1]["summary"]["notes"] == {"rows left out": 2}


def test_an_integer_column_is_the_id_when_it_is_named(tmp_path):
    with DatasetFolder(tmp_path / "data", "toy") as folder:
        folder.write_items(["7", "8"])
        (folder.path / "toy.inter").write_text("user_id:token\titem_id:token\nu\t7\n")
    pd.DataFrame({"n": [8, 7], "x": [1.0, 2.0]}).to_parquet(tmp_path / "f.parquet")
    dataset = Dataset("toy", tmp_path / "data")
    add_features(dataset, "visual", tmp_path / "f.parquet", key="n")
    assert dataset.matrix("visual")[0].tolist() == [[2.0], [1.0]]


def test_a_folder_is_recorded_by_all_its_files(tmp_path, dataset):
    source, _ = save_folder(tmp_path / "feat")
    add_features(dataset, "visual", source)
    (record,) = read_steps(dataset.folder, "toy")[-1]["sources"]
    assert record["file"] == "feat/" and record["files"] == 4
    assert record["bytes"] == sum(path.stat().st_size for path in source.iterdir())
    np.save(source / "A9.npy", VALUES[:1])
    add_features(dataset, "visual", source, force=True)
    assert read_steps(dataset.folder, "toy")[-1]["sources"][0]["sha256"] != record["sha256"]


@pytest.mark.parametrize("name", ["inter", "item", "a/b", ""])
def test_a_modality_cannot_take_another_file_s_name(tmp_path, dataset, name):
    source, _ = save_csv(tmp_path / "feat")
    with pytest.raises(DataError, match="The modality"):
        add_features(dataset, name, source)


def test_an_existing_modality_needs_force(tmp_path, dataset):
    source, _ = save_csv(tmp_path / "feat")
    add_features(dataset, "visual", source)
    with pytest.raises(DataError, match="toy.visual.parquet is there already; replace it with --force"):
        add_features(dataset, "visual", source)
    add_features(dataset, "visual", source, force=True)


def test_the_text_form_is_written_for_exchange_and_read_back(tmp_path, dataset):
    source, _ = save_csv(tmp_path / "feat")
    add_features(dataset, "visual", source)
    before = dataset.matrix("visual")[0]
    text = export_text(dataset, "visual")
    assert text.read_text().startswith("item_id:token\tvisual:float_seq\n")
    add_features(dataset, "visual", text, force=True)
    np.testing.assert_array_equal(dataset.matrix("visual")[0], before)


def test_a_full_disk_leaves_the_data_set_as_it_was(tmp_path, dataset):
    np.save(tmp_path / "f.npy", np.ones((5, 20_000)))
    before = {path.name: path.read_bytes() for path in dataset.folder.iterdir()}
    command = [sys.executable, "-m", "dataset_tools", "features", "--input", str(tmp_path / "f.npy")]
    command += ["--row-order", "--modality", "visual"]
    command += ["--name", "toy", "--data-path", str(dataset.folder.parent)]
    run = run_shell(f"trap '' XFSZ; ulimit -f 100; exec {shlex.join(command)}")
    assert run.returncode == 2
    assert run.stderr.startswith("error: ") and len(run.stderr.strip().splitlines()) == 1
    assert "free some space" in run.stderr
    assert {path.name: path.read_bytes() for path in dataset.folder.iterdir()} == before
