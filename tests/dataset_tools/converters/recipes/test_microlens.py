"""MicroLens in the layout of its authors, and MMRec's files beside it."""

import json

import numpy as np
import pandas as pd
import pytest

from dataset_tools.__main__ import main
from dataset_tools.converters.recipes import microlens
from dataset_tools.dataset.reading import Dataset
from dataset_tools.errors import DataError
from tests.support.converted import nothing, summary

ITEMS = 130
FEATURES = "MicroLens-100k_image_features_CLIPRN50"


@pytest.fixture(autouse=True)
def source(tmp_path, monkeypatch):
    """60 users in four groups, 130 videos; vectors say the group."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "in"
    (folder / "extracted_modality_features").mkdir(parents=True)
    generator = np.random.default_rng(0)
    group = np.arange(ITEMS) % 4
    pairs = [
        (user, int(item) + 1, 1_600_000_000_000 + 1000 * user + place)
        for user in range(1, 161)
        for place, item in enumerate(generator.choice(np.flatnonzero(group == user % 4), 8, replace=False))
    ]
    pairs += [(161, item, 1_700_000_000_000 + item) for item in range(1, ITEMS + 1)]
    frame = pd.DataFrame(pairs, columns=["user", "item", "timestamp"])
    frame.to_csv(folder / "MicroLens-100k_pairs.csv", index=False)
    lines = [f"{user}\t{' '.join(map(str, rows['item']))}" for user, rows in frame.groupby("user")]
    (folder / "MicroLens-100k_pairs.tsv").write_text("\n".join(lines) + "\n")
    titles = [f'{n},"Video {n}, ""quoted"" #tag 😀"' for n in range(1, ITEMS + 1)]
    (folder / "MicroLens-100k_title_en.csv").write_text("\n".join(titles) + "\n", encoding="utf-8")
    (folder / "MicroLens-100k_likes_and_views.txt").write_text("1\t2\t3\n")
    values = np.eye(4, 6)[group] + 0.1 * generator.standard_normal((ITEMS, 6))
    np.save(folder / "extracted_modality_features" / f"{FEATURES}.npy", values.astype("f4"))
    return folder


def features(source, name=FEATURES):
    return source / "extracted_modality_features" / f"{name}.npy"


def test_pairs_titles_and_features_belong_together(source):
    microlens.convert(source, "ml", "d")
    dataset = Dataset("ml", "d")
    found = dataset.interactions
    assert len(dataset.items) == ITEMS and len(found) == 160 * 8 + ITEMS
    assert found.timestamp.max() == 1_700_000_000.0 + ITEMS / 1000
    assert dataset.titles()["2"] == 'Video 2, "quoted" #tag 😀'
    values, mask = dataset.matrix("visual")
    expected = np.load(features(source))
    assert mask.all()
    for item in ("1", "2", "130"):
        np.testing.assert_array_equal(values[dataset.items.index(item)], expected[int(item) - 1])
    assert summary("ml")["remarks"] == [
        "not read, as not needed: MicroLens-100k_likes_and_views.txt, MicroLens-100k_pairs.tsv"
    ]


def test_the_list_without_a_header_is_in_the_order_of_time(source):
    (source / "MicroLens-100k_pairs.csv").unlink()
    microlens.convert(source, "ml", "d")
    found = Dataset("ml", "d").interactions
    assert len(found) == 160 * 8 + ITEMS
    last = [found.timestamp[found.user == found.users.index("161")][n] for n in (0, 1)]
    assert last[1] == last[0] + 1


def test_titles_with_a_header_and_texts(source):
    (source / "MicroLens-100k_title_en.csv").unlink()
    pd.DataFrame({"item": range(1, ITEMS + 1), "title": "red shoe"}).to_csv(
        source / "MicroLens-50k_titles.csv", index=False
    )
    assert (
        main(
            [
                "convert",
                "microlens",
                "--from",
                str(source),
                "--name",
                "ml",
                "--data-path",
                "d",
                "--text",
                "tfidf",
            ]
        )
        == 0
    )
    dataset = Dataset("ml", "d")
    assert dataset.titles()["7"] == "red shoe" and dataset.modalities == ["textual", "visual"]


def test_files_in_a_folder_of_their_own(source):
    here = source / "MicroLens-100k"
    here.mkdir()
    for path in [path for path in source.iterdir() if path != here]:
        path.rename(here / path.name)
    microlens.convert(source, "ml", "d")
    assert Dataset("ml", "d").modalities == ["visual"]
    assert summary("ml")["remarks"] == [
        "not read, as not needed: MicroLens-100k/MicroLens-100k_likes_and_views.txt, "
        "MicroLens-100k/MicroLens-100k_pairs.tsv"
    ]


def test_the_names_of_1m(source):
    for path in [*source.glob("*_title_en.csv"), features(source)]:
        path.unlink()
    (source / "MicroLens-100k_pairs.csv").rename(source / "MicroLens-1M_pairs.csv")
    (source / "MicroLens-100k_pairs.tsv").rename(source / "MicroLens-1M_pairs.tsv")
    (source / "MicroLens-1M_title.csv").write_text("item,title\n1,One\n2,Two\n")
    (source / "MicroLens-1M_items.tsv").write_text("1\tx\n")
    microlens.convert(source, "ml", "d")
    titles = Dataset("ml", "d").titles()
    assert (titles["1"], titles["2"], titles["3"]) == ("One", "Two", "")


def test_several_files_of_a_modality_are_told_apart_by_their_encoders(source):
    np.save(features(source, "MicroLens-100k_image_features_VIT"), np.load(features(source)) * 2)
    np.save(features(source, "MicroLens-100k_title_en_text_features_BgeM3"), np.load(features(source)) * 3)
    values = dict(zip(map(str, range(1, ITEMS + 1)), np.load(features(source)).tolist(), strict=True))
    (source / "MicroLens-100k_video_features_VideoMAE.json").write_text(json.dumps(values))
    microlens.convert(source, "ml", "d")
    assert Dataset("ml", "d").modalities == ["textual", "video", "visual_CLIPRN50", "visual_VIT"]


def test_a_file_of_vectors_that_is_there_in_both_forms_is_read_once(source):
    values = dict(zip(map(str, range(1, ITEMS + 1)), np.load(features(source)).tolist(), strict=True))
    features(source).with_suffix(".json").write_text(json.dumps(values))
    microlens.convert(source, "ml", "d")
    assert Dataset("ml", "d").modalities == ["visual"]
    assert f"{FEATURES}.json" in summary("ml")["remarks"][0]


def test_mmrec_s_features_are_joined_by_its_list_or_refused(source):
    order = np.random.default_rng(1).permutation(ITEMS)
    official = features(source)
    np.save(source / "image_feat.npy", np.load(official)[order])
    official.unlink()
    with pytest.raises(
        DataError, match="image_feat.npy has rows in MMRec's order, which only i_id_mapping.csv"
    ):
        microlens.convert(source, "ml", "d")
    rows = "".join(f"{item + 1}\t{number}\n" for number, item in enumerate(order))
    (source / "i_id_mapping.csv").write_text("asin\titemID\n" + rows)
    microlens.convert(source, "ml", "d")
    dataset = Dataset("ml", "d")
    values, _ = dataset.matrix("visual")
    np.testing.assert_array_equal(
        values[dataset.items.index(str(order[5] + 1))], np.load(source / "image_feat.npy")[5]
    )


def test_a_permuted_file_is_refused_by_what_is_co_interacted(source, tmp_path):
    np.save(features(source), np.random.default_rng(2).permutation(np.load(features(source))))
    with pytest.raises(
        DataError, match=r"does not fit the pairs: .*% of its neighbours .* --unchecked takes it"
    ):
        microlens.convert(source, "ml", "d")
    assert nothing(tmp_path)
    microlens.convert(source, "ml", "d", unchecked=True)


@pytest.mark.parametrize("rows", [ITEMS - 30, 4 * ITEMS])
def test_a_file_of_another_size_is_refused(source, tmp_path, rows):
    values = np.load(features(source))
    np.save(
        features(source),
        np.resize(values, (rows, 6))
        if rows < ITEMS
        else np.random.default_rng(3).permutation(np.resize(values, (rows, 6))),
    )
    with pytest.raises(
        DataError, match="has rows of the items 1 to 100, but 30 others|does not fit the pairs"
    ):
        microlens.convert(source, "ml", "d")
    assert nothing(tmp_path)


def test_a_file_with_more_rows_than_items_is_told(source):
    np.save(features(source), np.vstack([np.load(features(source))] * 2))
    microlens.convert(source, "ml", "d")
    told = f"{FEATURES}.npy has 260 rows, but the pairs name no item beyond 130; check"
    assert told in summary("ml")["remarks"][0]


def test_a_list_of_other_videos_is_refused(source, tmp_path):
    np.save(source / "image_feat.npy", np.eye(ITEMS, 6))
    (source / "i_id_mapping.csv").write_text(
        "asin\titemID\n" + "".join(f"{n + 5000}\t{n}\n" for n in range(ITEMS))
    )
    with pytest.raises(DataError, match="has vectors of 0 of the 130 items in the pairs|no row"):
        microlens.convert(source, "ml", "d")
    assert nothing(tmp_path)


def test_mmrec_s_folder_is_sent_to_its_converter(tmp_path):
    (tmp_path / "mm").mkdir()
    (tmp_path / "mm" / "microlens.inter").write_text("userID\titemID\n0\t0\n")
    with pytest.raises(
        DataError, match="mm has MMRec's files, no _pairs.csv: use python -m dataset_tools convert mmrec"
    ):
        microlens.convert(tmp_path / "mm", "ml", "d")
    with pytest.raises(DataError, match="There is no folder"):
        microlens.convert(tmp_path / "none", "ml", "d")
