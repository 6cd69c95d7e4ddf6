"""MMRec's layout, there and back."""

from pathlib import Path

import numpy as np
import pytest

from dataset_tools.__main__ import main
from dataset_tools.converters import mmrec_export, mmrec_layout
from dataset_tools.dataset.folder import DatasetFolder
from dataset_tools.dataset.interactions import Builder
from dataset_tools.dataset.provenance import read_steps
from dataset_tools.dataset.reading import Dataset
from dataset_tools.errors import DataError

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data" / "lfm2k"
ROWS = [
    (0, 2, 5.0, 100.5, 0),
    (0, 1, 3.0, 90.0, 1),
    (1, 0, 1.0, 80.0, 0),
    (2, 3, 4.5, 70.0, 2),
    (1, 3, 2.0, 60.0, 0),
]
COLUMNS = ["userID", "itemID", "rating", "timestamp", "x_label"]


def write(folder, columns=COLUMNS, mappings=True, rows=ROWS, features=("image_feat", "text_feat", "vggish")):
    folder.mkdir()
    places = [COLUMNS.index(column) for column in columns]
    lines = ["\t".join(columns)] + ["\t".join(str(row[place]) for place in places) for row in rows]
    (folder / "x.inter").write_text("\n".join(lines) + "\n")
    for number, name in enumerate(features):
        values = np.random.default_rng(number).standard_normal((4, 3 + number))
        np.save(folder / f"{name}.npy", values if name == "vggish" else values.astype(np.float32))
    if mappings:
        (folder / "i_id_mapping.csv").write_text('asin\titemID\n007\t0\nB "q"\t1\n"c\td"\t2\ne\t3\n')
        (folder / "u_id_mapping.csv").write_text("user_id\tuserID\nzoe\t0\nadam\t1\né\t2\n")
    return folder


def rows_of(folder):
    (path,) = folder.glob("*.inter")
    header, *lines = [line.split("\t") for line in path.read_text().splitlines()]
    return sorted(
        tuple(float(dict(zip(header, line, strict=True))[c]) for c in COLUMNS if c in header)
        for line in lines
    )


@pytest.mark.parametrize("mappings", [True, False])
@pytest.mark.parametrize("columns", [COLUMNS, COLUMNS[::-1], ["x_label", "itemID", "userID"]])
def test_the_round_trip_is_identical(tmp_path, columns, mappings):
    source = write(tmp_path / "src", columns, mappings)
    mmrec_layout.convert(source, "toy", tmp_path / "data")
    target, missing = mmrec_export.export_mmrec(Dataset("toy", tmp_path / "data"), tmp_path / "back")
    assert rows_of(target) == rows_of(source)
    for name in ("image_feat", "text_feat", "vggish"):
        np.testing.assert_array_equal(
            np.load(target / f"{name}.npy"), np.load(source / f"{name}.npy").astype(np.float32)
        )
    assert missing == {"textual": 0, "vggish": 0, "visual": 0}
    mmrec_layout.convert(target, "again", tmp_path / "data")
    first, again = (Dataset(name, tmp_path / "data") for name in ("toy", "again"))
    assert first.items == again.items and first.users == again.users
    if mappings:
        assert first.items == ["007", 'B "q"', "c\td", "e"] and first.users == ["zoe", "adam", "é"]


def test_without_x_label_the_paper_s_split_is_made(tmp_path):
    source = write(tmp_path / "src", COLUMNS[:4])
    mmrec_layout.convert(source, "toy", tmp_path / "data")
    assert np.bincount(Dataset("toy", tmp_path / "data").interactions.part).tolist() == [3, 0, 2]


def test_modalities_can_be_renamed(tmp_path):
    source = str(write(tmp_path / "src"))
    where = ["--from", source, "--name", "toy", "--data-path", "data"]
    assert main(["convert", "mmrec", *where, "--rename", "vggish=audio"]) == 0
    assert Dataset("toy", "data").modalities == ["audio", "textual", "visual"]
    assert main(["convert", "mmrec", *where, "--force", "--rename", "vggish"]) == 2


def test_a_table_of_items_brings_titles(tmp_path, capsys):
    source = write(tmp_path / "src")
    (tmp_path / "t.tsv").write_text("itemID\tname\ttags\n2\tTwo\ta,b\n0\tZero\t\n")
    args = ["--from", str(source), "--name", "toy", "--data-path", "data", "--items", str(tmp_path / "t.tsv")]
    assert main(["convert", "mmrec", *args, "--title", "name", "--text", "name,tags"]) == 0
    dataset = Dataset("toy", "data")
    assert dataset.titles() == {"007": "Zero", 'B "q"': "", "c\td": "Two", "e": ""}
    assert list(dataset.texts(["text"])) == ["Zero", "", "Two a,b", ""]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(columns=COLUMNS[1:]), "x.inter has no column userID; its columns are itemID, rating"),
        (dict(rows=[*ROWS, (0, "x", 1, 1, 0)]), r"x.inter, line 7: expected numbers, got \['0', 'x'"),
        (
            dict(rows=[*ROWS, (0, 1, 1, 1, 3)]),
            "x.inter, line 7: ids run from 0 without large gaps and x_label is 0, 1 or 2",
        ),
        (dict(rows=[*ROWS, (0, -1, 1, 1, 0)]), "x.inter, line 7: ids run from 0"),
        (dict(rows=[*ROWS, (0, 4, 1, 1, 0)]), "image_feat.npy has 4 rows for 5 items"),
        (dict(rows=[*ROWS, (0, 4, 1, 1, 0)], mappings=True), "i_id_mapping.csv has no id for number 4"),
        (dict(rows=[*ROWS, (0, 10**12, 1, 1, 0)]), "x.inter, line 7: ids run from 0 without large gaps"),
        (dict(rows=[*ROWS, (0, 10**30, 1, 1, 0)]), "x.inter, line 7: ids run from 0 without large gaps"),
        (dict(rows=[*ROWS, (0, 1, 1, 1, "0\t9")]), "x.inter, line 7: 6 fields where the header has 5"),
        (dict(rows=[]), "toy would have no interactions"),
    ],
)
def test_broken_input_is_one_sentence_and_leaves_nothing(tmp_path, change, message):
    source = write(tmp_path / "src", **{"mappings": False, **change})
    with pytest.raises(DataError, match=message):
        mmrec_layout.convert(source, "toy", tmp_path / "data")
    data = tmp_path / "data"
    assert not data.exists() or list(data.iterdir()) == []


def test_skip_bad_counts(tmp_path, capsys):
    source = write(tmp_path / "src", rows=[*ROWS, (0, "x", 1, 1, 0), (0, 1, "nan", 1, 0)])
    assert (
        main(["convert", "mmrec", "--from", str(source), "--name", "t", "--data-path", "d", "--skip-bad"])
        == 0
    )
    assert "2 broken rows left out" in capsys.readouterr().out
    assert len(Dataset("t", "d").interactions) == len(ROWS)


def test_skip_bad_leaves_out_rows_with_nan(tmp_path):
    source = write(tmp_path / "src", mappings=False)
    values = np.load(source / "text_feat.npy")
    values[2, 0] = np.nan
    np.save(source / "text_feat.npy", values)
    with pytest.raises(DataError, match="NaN or infinity in the textual features of 1 item.*first 2"):
        mmrec_layout.convert(source, "toy", tmp_path / "data")
    mmrec_layout.convert(source, "toy", tmp_path / "data", skip_bad=True)
    dataset = Dataset("toy", tmp_path / "data")
    assert dataset.matrix("textual")[1].tolist() == [True, True, False, True]
    notes = read_steps(dataset.folder, "toy")[-1]["summary"]["notes"]
    assert notes == {mmrec_layout.UNTRAINED: 1, "textual rows with NaN or infinity left out": 1}


def test_repeated_pairs_stay_and_are_counted(tmp_path):
    mmrec_layout.convert(write(tmp_path / "src", rows=[*ROWS, ROWS[0]]), "toy", tmp_path / "data")
    dataset = Dataset("toy", tmp_path / "data")
    assert len(dataset.interactions) == len(ROWS) + 1
    assert read_steps(dataset.folder, "toy")[-1]["summary"]["notes"] == {
        "interactions repeat a pair of user and item, kept as in the source": 1,
        mmrec_layout.UNTRAINED: 1,
    }


def test_export_replaces_only_what_is_an_export(tmp_path):
    mmrec_layout.convert(write(tmp_path / "src"), "toy", tmp_path / "data")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").touch()
    with pytest.raises(DataError, match="mine is no data set, so it is not replaced"):
        mmrec_export.export_mmrec(Dataset("toy", tmp_path / "data"), tmp_path / "mine", force=True)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]


def test_mrlib_s_interactions_may_be_called_inter_csv(tmp_path):
    source = write(tmp_path / "in")
    (source / "x.inter").rename(source / "inter.csv")
    mmrec_layout.convert(source, "toy", tmp_path)
    assert len(Dataset("toy", tmp_path).interactions) == len(ROWS)


def test_a_folder_without_interactions_is_refused(tmp_path):
    with pytest.raises(DataError, match="has 0 .inter files; --from must name a folder with one"):
        mmrec_layout.convert(tmp_path, "toy", tmp_path / "data")


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data are not here")
def test_last_fm_there_and_back(tmp_path):
    mmrec_layout.convert(SHARED, "lfm2k", tmp_path / "data")
    target, _ = mmrec_export.export_mmrec(Dataset("lfm2k", tmp_path / "data"), tmp_path / "back")
    assert rows_of(target) == rows_of(SHARED)
    for path in SHARED.glob("*.npy"):
        np.testing.assert_array_equal(np.load(target / path.name), np.load(path).astype(np.float32))
    ids = [(folder / "i_id_mapping.csv").read_text().splitlines()[1:] for folder in (SHARED, target)]
    assert ids[0] == ids[1]


def export_source(tmp_path, part=True):
    builder = Builder(part=part)
    for number, item in enumerate("abc"):
        builder.add("u", item, part=number)
    with DatasetFolder(tmp_path, "toy") as folder:
        folder.write_interactions(builder.build())
        folder.write_items(["c", "a", "b"])
        folder.write_features("visual", ["b", "c"], np.eye(2))
    return Dataset("toy", tmp_path)


def test_export_counts_missing_rows_and_refuses_an_existing_target(tmp_path):
    dataset = export_source(tmp_path)
    target, missing = mmrec_export.export_mmrec(dataset, tmp_path / "out")
    assert missing == {"visual": 1}
    np.testing.assert_array_equal(np.load(target / "image_feat.npy"), [[0, 1], [0, 0], [1, 0]])
    with pytest.raises(DataError, match="out is there already"):
        mmrec_export.export_mmrec(dataset, tmp_path / "out")
    mmrec_export.export_mmrec(dataset, tmp_path / "out", force=True)


def test_export_needs_a_fixed_split(tmp_path):
    with pytest.raises(
        DataError, match="toy has no fixed split; make one with python -m dataset_tools split"
    ):
        mmrec_export.export_mmrec(export_source(tmp_path, part=False), tmp_path / "out")
