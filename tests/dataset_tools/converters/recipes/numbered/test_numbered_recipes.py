"""MMSSL's, LLMRec's, RecSys '25's, MMGCN's and DGMRec's data in the layouts of their authors."""

import json
import pickle

import numpy as np
import pytest
import torch
from scipy import sparse

from dataset_tools.converters.recipes.numbered import dgmrec, diffmm, llmrec, mmgcn, mmssl, recsys25
from dataset_tools.dataset.reading import Dataset
from dataset_tools.errors import DataError
from tests.support.converted import nothing, rows, summary

PARTS = {"train": {"0": [0, 1], "1": [2]}, "val": {"0": [2]}, "test": {"1": [3]}}


@pytest.fixture(autouse=True)
def source(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiktok").mkdir()
    return tmp_path / "tiktok"


def write_json(source, modalities=("image", "audio", "text")):
    for part, content in PARTS.items():
        (source / f"{part}.json").write_text(json.dumps(content))
    for number, name in enumerate(modalities):
        np.save(source / f"{name}_feat.npy", np.arange(4 * (2 + number), dtype="f4").reshape(4, -1) + number)


def test_mmssl_s_parts_and_da_mrs_s(source):
    write_json(source)
    mmssl.convert(source, "x", "d")
    assert rows() == [("0", "0", 0), ("0", "1", 0), ("1", "2", 0), ("0", "2", 1), ("1", "3", 2)]
    assert Dataset("x", "d").modalities == ["acoustic", "textual", "visual"]
    assert summary()["remarks"] == [
        "DIFFERENT from what is published of tiktok: 9,319 users, 6,710 items, 59,541 training interactions"
    ]
    mmssl.convert(source, "y", "d", swapped=True)
    assert rows("y")[3:] == [("1", "3", 1), ("0", "2", 2)]


def test_llmrec_s_titles_are_in_a_file_without_a_header(source):
    write_json(source, ("image", "text"))
    (source / "item_attribute.csv").write_text(
        "0,1999.0,The Matrix\n1,2001,Crouching Tiger, Hidden Dragon\n3,NULL,X\n"
    )
    (source / "train_mat").write_bytes(b"\x80\x04...")
    llmrec.convert(source, "x", "d")
    dataset = Dataset("x", "d")
    assert list(dataset.titles().values()) == ["The Matrix", "Crouching Tiger, Hidden Dragon", "", "X"]
    assert [*dataset.texts(["text"])][0::3] == ["The Matrix 1999", "X"]
    assert summary()["remarks"] == ["not read, as not needed: train_mat"]
    (source / "item_attribute.csv").write_text('0,"Heat, The",Action|Crime\n1,Up,Kids\n')
    llmrec.convert(source, "y", "d")
    assert Dataset("y", "d").titles()["0"] == "Heat, The"
    assert next(Dataset("y", "d").texts(["text"])) == "Heat, The Action Crime"


def test_llmrec_s_titles_of_other_items_are_refused(source, tmp_path):
    write_json(source, ("image",))
    (source / "item_attribute.csv").write_text("0,1999,A\n4,2001,B\n")
    with pytest.raises(DataError, match="item_attribute.csv, line 2: expected the number of one of 4 items"):
        llmrec.convert(source, "x", "d")
    assert nothing(tmp_path)


def objects(path, rows):
    array = np.empty(len(rows), dtype=object)
    array[:] = rows
    np.save(path, array)


def write_mmgcn(source, users=3):
    train = np.array([[0, 0], [0, 1], [1, 2], [2, 3]]) + [0, users]
    np.save(source / "train.npy", train)
    sets = {0: {users, users + 1}, 1: {users + 2}, 2: {users + 3}}
    np.save(source / "user_item_dict.npy", sets)
    objects(source / "val_full.npy", [[0, users + 2], [1, users, users + 3], [2]])
    objects(source / "test_full.npy", [[0, users + 3], [1], [2, users]])
    for name in ("FeatureVideo_normal", "FeatureAudio_avg_normal", "FeatureText_stl_normal"):
        np.save(source / f"{name}.npy", np.arange(8.0).reshape(4, 2) + len(name))


def test_mmgcn_s_items_are_shifted_by_the_number_of_users(source):
    write_mmgcn(source)
    mmgcn.convert(source, "x", "d")
    assert rows() == [
        ("0", "0", 0), ("0", "1", 0), ("1", "2", 0), ("2", "3", 0),
        ("0", "2", 1), ("1", "0", 1), ("1", "3", 1), ("0", "3", 2), ("2", "0", 2),
    ]  # fmt: skip
    dataset = Dataset("x", "d")
    assert dataset.modalities == ["acoustic", "textual", "visual"]
    np.testing.assert_array_equal(dataset.matrix("visual")[0], np.load(source / "FeatureVideo_normal.npy"))
    assert summary()["remarks"][0].startswith("DIFFERENT from what is published of tiktok: 36,656 users")


def test_mmgcn_s_tensors_and_its_indices_of_words(source):
    write_mmgcn(source)
    for path in source.glob("Feature*"):
        path.unlink()
    torch.save(torch.arange(8.0).reshape(4, 2), source / "feat_v.pt")
    torch.save(torch.tensor([[0, 0, 1], [5, 6, 5]]), source / "feat_t.pt")
    mmgcn.convert(source, "x", "d")
    assert Dataset("x", "d").matrix("visual")[0][3].tolist() == [6, 7]
    assert "feat_t.pt is not read: it holds indices of items and words, no vectors" in summary()["remarks"]


def write_diffmm(source, kind=sparse.coo_matrix):
    for (part, users), name in zip(PARTS.items(), ("trn", "val", "tst"), strict=True):
        dense = np.zeros((3, 4), dtype="f4")
        for user, items in users.items():
            dense[int(user), items] = 1
        matrix = kind(dense)
        if part == "train" and kind is sparse.coo_matrix:  # a stored 0 is no pair, a pair stored twice is one
            more = ([2, 0], [3, 0])
            matrix = kind(
                (np.r_[matrix.data, 0, 1], (np.r_[matrix.row, more[0]], np.r_[matrix.col, more[1]])), (3, 4)
            )
        (source / f"{name}Mat.pkl").write_bytes(pickle.dumps(matrix))
    for number, name in enumerate(("image", "audio", "text")):
        np.save(source / f"{name}_feat.npy", np.arange(8, dtype="f4").reshape(4, 2) + number)


@pytest.mark.parametrize("kind", [sparse.coo_matrix, sparse.csr_matrix])
def test_diffmm_s_matrices(source, kind):
    write_diffmm(source, kind)
    diffmm.convert(source, "x", "d")
    assert rows() == [("0", "0", 0), ("0", "1", 0), ("1", "2", 0), ("0", "2", 1), ("1", "3", 2)]
    dataset = Dataset("x", "d")
    assert (dataset.items, dataset.users) == (["0", "1", "2", "3"], ["0", "1", "2"])
    assert dataset.modalities == ["acoustic", "textual", "visual"]


class Harmful:
    def __reduce__(self):
        return (open, ("harm", "w"))


def test_a_number_of_users_that_the_files_leave_open_is_asked_for(source):
    write_mmgcn(source, 5)
    for path in [*source.glob("Feature*"), source / "user_item_dict.npy"]:
        path.unlink()
    with pytest.raises(DataError, match="which may be 3 to 5 here; say it with --users"):
        mmgcn.convert(source, "x", "d")
    mmgcn.convert(source, "x", "d", users=5)
    assert rows()[0] == ("0", "0", 0) and len(Dataset("x", "d").users) == 5


def write_mmrec(source, items=6):
    pairs = [(user, item) for user in range(4) for item in range(items) if user != item]
    rows = [f"{user}\t{item}\t1\t{(user + item) % 3}\n" for user, item in pairs]
    (source / "baby.inter").write_text("userID\titemID\trating\tx_label\n" + "".join(rows))
    np.save(source / "image_feat.npy", np.arange(2.0 * items).reshape(items, 2))
    np.save(source / "text_feat.npy", np.arange(3.0 * items).reshape(items, 3))
    return rows


def test_dgmrec_s_masks_say_what_an_item_lacks(source):
    write_mmrec(source)
    (source / "baby_del.inter").write_text("userID\titemID\trating\tx_label\n")
    mask = {"t": np.array([0]), "v": np.array([1, 2]), "all": np.array([5])}
    np.save(source / "missing_items_0.666.npy", mask)
    dgmrec.convert(source, "x", "d")
    dataset = Dataset("x", "d")
    assert dataset.matrix("textual")[1].tolist() == [False, True, True, True, True, False]
    values, there = dataset.matrix("visual")
    assert there.tolist() == [True, False, False, True, True, False] and values[3].tolist() == [6, 7]
    assert summary()["notes"] == {
        "items lack visual by missing_items_0.666.npy": 3,
        "items lack textual by missing_items_0.666.npy": 2,
    }
    assert summary()["remarks"] == ["not read, as not needed: baby_del.inter"]
    np.save(source / "missing_items_0.6.npy", {"tv": np.array([3])})
    with pytest.raises(DataError, match="several masks .*missing_items_0.6.npy.* choose one with --mask"):
        dgmrec.convert(source, "y", "d")
    dgmrec.convert(source, "y", "d", mask=source / "missing_items_0.6.npy")
    assert [Dataset("y", "d").coverage(name) for name in ("textual", "visual")] == [5, 5]
    told = "missing_items_0.666.npy is not read: `convert dgmrec` takes away the features that it names"
    assert told in summary("y")["remarks"]


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        ({"x": np.array([1])}, "'x' is no key of item numbers"),
        ({"t": np.array([6])}, "names the item 6 of 6"),
        ({"a": np.array([1])}, "is about acoustic, of which .* has no features"),
        ([1, 2], "holds no dictionary of item numbers"),
    ],
)
def test_other_masks_are_refused(source, tmp_path, mask, message):
    write_mmrec(source)
    np.save(source / "missing_items_0.666.npy", np.array(mask, dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=message):
        dgmrec.convert(source, "x", "d")
    assert nothing(tmp_path)


def write_recsys(source):
    rows = write_mmrec(source)
    for path in source.glob("*_feat.npy"):
        path.unlink()
    (source / "baby.inter").rename(source / "ml1m.inter")
    original = [row.split("\t") for row in rows]
    lines = [f"{int(row[0]) + 70}\t{int(row[1]) * 10 + 9}\t1\t{row[3]}" for row in original]
    (source / "ml1m_og_ids.inter").write_text("userID\titemID\trating\tx_label\n" + "".join(lines))
    np.save(source / "all-MiniLM-L6-v2.npy", np.arange(12, dtype="f4").reshape(6, 2))
    vectors = {str(10 * number + 9): [number, -number, 0.5] for number in range(5, -1, -1)}
    (source / "vggish.json").write_text(json.dumps(vectors))
    arrays = {int(item): np.array(vector, "f8") for item, vector in vectors.items()}
    (source / "whisper.pkl").write_bytes(pickle.dumps(arrays))
    header = "movie_id\tdburl\twiki_url\timg_url\tname\tyoutubeId\n"
    (source / "ml1m_full_extended_mapping.tsv").write_text(
        header + "19\td\tw\thttps://example.org/x.jpg\tHeat\ty\n"
    )


def test_recsys_25_s_vectors_by_original_ids_and_by_number(source):
    write_recsys(source)
    recsys25.convert(source, "x", "d")
    dataset = Dataset("x", "d")
    assert dataset.items == ["9", "19", "29", "39", "49", "59"] and dataset.users[0] == "70"
    assert dataset.modalities == ["all-MiniLM-L6-v2", "vggish", "whisper"]
    assert dataset.matrix("all-MiniLM-L6-v2")[0][1].tolist() == [2, 3]
    assert dataset.matrix("vggish")[0][1].tolist() == dataset.matrix("whisper")[0][1].tolist() == [1, -1, 0.5]
    assert (
        dataset.titles()["19"] == "Heat" and list(dataset.texts(["image"]))[1] == "https://example.org/x.jpg"
    )
    assert summary()["remarks"] == []


def test_recsys_25_s_table_of_numbers(source):
    write_recsys(source)
    (source / "text.tsv").write_text("itemID\tartistID\tname\ttext\n1\t19\tGroove\t00s,ambient\n")
    recsys25.convert(source, "x", "d", items=source / "text.tsv", title="name", texts=["text"])
    recsys25.convert(source, "y", "d", items=source / "text.tsv", item_key="artistID", title="name")
    assert Dataset("x", "d").titles()["19"] == Dataset("y", "d").titles()["19"] == "Groove"


SPOILT = {  # recipe: (its converter, what writes its files, what spoils them and the message)
    "diffmm": (
        diffmm,
        write_diffmm,
        [
            (lambda source: (source / "valMat.pkl").unlink(), "has no valMat.pkl"),
            (lambda source: (source / "trnMat.pkl").write_bytes(pickle.dumps(Harmful())), "holds more than"),
            (lambda source: (source / "trnMat.pkl").write_bytes(pickle.dumps([1])), "holds no sparse matrix"),
            (
                lambda source: (source / "tstMat.pkl").write_bytes(pickle.dumps(sparse.coo_matrix((3, 5)))),
                r"are matrices of \(3, 4\), \(3, 4\) and \(3, 5\)",
            ),
            (lambda source: np.save(source / "text_feat.npy", np.ones((5, 2))), "5 rows"),
            (
                lambda source: (source / "image_feat.npy").rename(source / "image_feat.npy.zip"),
                "image_feat.npy.zip is a zip archive; unpack it",
            ),
        ],
    ),
    "mmgcn": (
        mmgcn,
        write_mmgcn,
        [
            (
                lambda source: objects(source / "val_full.npy", [Harmful()]),
                "val_full.npy holds more than arrays",
            ),
            (lambda source: np.save(source / "user_item_dict.npy", {0: {3}}), "lacks the training pair 0, 4"),
            (lambda source: write_mmgcn(source, 0), "is none that is shifted by 3 users or more"),
            (lambda source: (source / "test_full.npy").unlink(), "has no test_full.npy"),
            (lambda source: objects(source / "val_full.npy", [[0, 3.5]]), "val_full.npy holds no pairs"),
            (lambda source: np.save(source / "FeatureVideo_normal.npy", np.ones((9, 2))), "9 rows"),
        ],
    ),
    "recsys25": (
        recsys25,
        write_recsys,
        [
            (
                lambda source: (source / "ml1m_og_ids.inter").unlink(),
                "vggish.json has original ids, which only",
            ),
            (
                lambda source: (source / "vggish.json").write_text(json.dumps({"1": [1.0], "2": [2.0]})),
                "vggish.json has vectors of 0 of the 6 items",
            ),
            (
                lambda source: (source / "whisper.pkl").write_bytes(pickle.dumps(Harmful())),
                "holds more than arrays",
            ),
            (
                lambda source: (source / "ml1m_og_ids.inter").write_text("userID\titemID\n1\t2\n"),
                "ml1m_og_ids.inter does not tell one id for each number",
            ),
        ],
    ),
}


@pytest.mark.parametrize(
    ("recipe", "number"),
    [(name, number) for name, (*_, cases) in SPOILT.items() for number in range(len(cases))],
)
def test_files_that_do_not_belong_together_are_refused(source, tmp_path, recipe, number):
    module, write, cases = SPOILT[recipe]
    spoil, message = cases[number]
    write(source)
    spoil(source)
    with pytest.raises(DataError, match=message):
        module.convert(source, "x", "d")
    assert nothing(tmp_path) and not (tmp_path / "harm").exists()
