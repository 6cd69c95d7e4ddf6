"""Yambda, VK-LSVD, H&M and MovieLens in the layouts of their authors."""

import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dataset_tools.converters.recipes import grouplens, hm, mmctr, vk_lsvd, yambda
from dataset_tools.dataset.reading import Dataset
from dataset_tools.errors import DataError
from tests.support.converted import nothing, rows, summary


@pytest.fixture(autouse=True)
def source(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def parquet(path, **columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)


def write_yambda(source):
    unsigned = pa.uint32()

    def events(kind, users, items, times, **more):
        parquet(
            source / "flat" / "50m" / f"{kind}.parquet",
            uid=pa.array(users, unsigned),
            item_id=pa.array(items, unsigned),
            timestamp=pa.array(times, unsigned),
            is_organic=pa.array([1] * len(users), pa.uint8()),
            **more,
        )

    events("likes", [1, 1, 2, 2], [10, 11, 10, 12], [100, 110, 90, 95])
    events("unlikes", [1, 2], [10, 10], [105, 80])  # the second comes before the like
    more = {"played_ratio_pct": pa.array([50, 49, 120], pa.uint16()), "track_length_seconds": [200, 200, 200]}
    events("listens", [1, 1, 1], [10, 11, 10], [1, 2, 3], **more)
    vectors = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]]
    parquet(
        source / "embeddings.parquet",
        item_id=pa.array([12, 11, 10, 99], unsigned),
        embed=pa.array(vectors, pa.list_(pa.float64())),
        normalized_embed=pa.array([[-x for x in row] for row in vectors], pa.list_(pa.float64())),
    )
    (source / "sequential" / "50m").mkdir(parents=True)
    parquet(source / "sequential" / "50m" / "likes.parquet", uid=[1], item_ids=[[10]])


def test_yambda_s_likes_count_until_a_later_unlike(source):
    write_yambda(source)
    yambda.convert(source, "x", "d")
    assert rows() == [("1", "11", 550.0), ("2", "10", 450.0), ("2", "12", 475.0)]
    dataset = Dataset("x", "d")
    assert dataset.matrix("audio")[0].tolist() == [[-5, -6], [-3, -4], [-1, -2]]
    assert summary()["notes"] == {"events taken back by unlikes.parquet": 1}
    unread = "not read, as not needed: sequential/, flat/50m/listens.parquet"
    assert summary()["remarks"][0] == unread
    yambda.convert(source, "y", "d", column="embed", size="50m")
    assert Dataset("y", "d").matrix("audio")[0][0].tolist() == [5, 6]
    shutil.copytree(source / "flat" / "50m", source / "flat" / "5b")
    several = r"flat/50m/likes.parquet, flat/5b/likes.parquet\); choose one with --size"
    with pytest.raises(DataError, match=f"in has more than one likes.parquet .*{several}"):
        yambda.convert(source, "z", "d")
    with pytest.raises(DataError, match="in has no likes.parquet in 500m/"):
        yambda.convert(source, "z", "d", size="500m")


def test_yambda_s_kinds_in_one_file(source):
    write_yambda(source)
    shutil.rmtree(source / "sequential")
    flat = source / "flat" / "50m"
    parts = []
    for kind in ("likes", "unlikes", "listens"):
        part = pq.read_table(flat / f"{kind}.parquet")
        parts.append(part.append_column("event_type", [[kind[:-1]] * len(part)]))
    pq.write_table(pa.concat_tables(parts, promote_options="default"), flat / "multi_event.parquet")
    for kind in ("likes", "listens"):
        yambda.convert(source, f"flat-{kind}", "d", kind=kind)
        (flat / f"{kind}.parquet").unlink()
        yambda.convert(source, f"mixed-{kind}", "d", kind=kind)
        assert rows(f"mixed-{kind}") == rows(f"flat-{kind}")
    assert summary("mixed-likes")["notes"]["events taken back by multi_event.parquet"] == 1
    with pytest.raises(DataError, match="multi_event.parquet has no row with .*'dislike'"):
        yambda.convert(source, "z", "d", kind="dislikes")


@pytest.mark.parametrize("names", [("item_id", "timestamp"), ("item_ids", "timestamps")])
def test_yambda_s_events_with_one_row_a_user(source, names):
    write_yambda(source)
    for kind in ("likes", "unlikes", "listens"):
        frame = pq.read_table(source / "flat" / "50m" / f"{kind}.parquet").to_pandas()
        lists = frame.groupby("uid").agg(list).reset_index()
        renamed = dict(zip(("item_id", "timestamp"), names, strict=True))
        lists.rename(columns=renamed).to_parquet(source / "sequential" / "50m" / f"{kind}.parquet")
    for kind in ("likes", "listens"):
        yambda.convert(source, f"flat-{kind}", "d", kind=kind)
    shutil.rmtree(source / "flat")
    for kind in ("likes", "listens"):
        yambda.convert(source, f"lists-{kind}", "d", kind=kind)
        assert rows(f"lists-{kind}") == rows(f"flat-{kind}")
    assert summary("lists-likes")["notes"] == {"events taken back by unlikes.parquet": 1}


def test_yambda_s_listens_count_from_half_of_the_track(source):
    write_yambda(source)
    (source / "embeddings.parquet").unlink()
    yambda.convert(source, "x", "d", kind="listens")
    assert rows() == [("1", "10", 5.0)]
    yambda.convert(source, "y", "d", kind="listens", where="played_ratio_pct > 0")
    assert rows("y") == [("1", "10", 5.0), ("1", "11", 10.0)]
    with pytest.raises(DataError, match="in has no dislikes.parquet"):
        yambda.convert(source, "z", "d", kind="dislikes")


def test_yambda_s_vectors_of_other_tracks_are_refused(source, tmp_path):
    write_yambda(source)
    columns = {name: [[1.0], [2.0]] for name in ("embed", "normalized_embed")}
    parquet(source / "embeddings.parquet", item_id=pa.array([70, 71], pa.uint32()), **columns)
    with pytest.raises(DataError, match="has vectors of 0 of the 3 items in the pairs"):
        yambda.convert(source, "x", "d")
    assert nothing(tmp_path)


def write_vk(source, parts=("train", "validation")):
    weeks = source / "subsamples" / "ur0.01"

    def week(path, users, items, spent, likes):
        parquet(path, user_id=pa.array(users, pa.uint32()), item_id=pa.array(items, pa.uint32()),
                place=pa.array([1] * len(users), pa.uint8()), timespent=pa.array(spent, pa.uint8()),
                like=pa.array(likes, pa.bool_()))  # fmt: skip

    week(weeks / "train" / "week_02.parquet", [1, 1], [7, 8], [9, 9], [True, False])
    week(weeks / "train" / "week_10.parquet", [2, 1], [7, 9], [3, 30], [True, True])
    for part in parts[1:]:
        week(weeks / part / "week_25.parquet", [2, 2], [9, 8], [10, 20], [True, False])
    metadata = source / "metadata" / "items_metadata.parquet"
    about = {"item_id": [7, 8, 9], "author_id": [0, 0, 0], "duration": [10, 20, 30]}
    parquet(metadata, **{name: pa.array(values, pa.uint32()) for name, values in about.items()})
    parquet(source / "metadata" / "users_metadata.parquet", user_id=[1], age=[20])
    np.savez(
        source / "metadata" / "item_embeddings.npz",
        item_id=np.array([9, 7, 5, 8], "u4"),
        embedding=np.arange(8, dtype="f2").reshape(4, 2),
    )


def test_vk_s_rows_are_in_the_order_of_time(source):
    write_vk(source)
    vk_lsvd.convert(source, "x", "d", where="like = 1")
    assert rows() == [("1", "7", 0.0), ("2", "7", 1.0), ("1", "9", 2.0), ("2", "9", 3.0)]
    dataset = Dataset("x", "d")
    assert dataset.items == ["7", "9"] and dataset.matrix("content")[0].tolist() == [[2, 3], [0, 1]]
    assert summary()["notes"] == {"rows left out by --where": 2}
    assert summary()["remarks"] == [
        "not read, as not needed: metadata/items_metadata.parquet, metadata/users_metadata.parquet"
    ]
    for part in ("train", "validation"):  # the whole set's, beside metadata/
        shutil.copytree(source / "subsamples" / "ur0.01" / part, source / part)
    with pytest.raises(DataError, match="with --subsample, or move subsamples/ away for the whole"):
        vk_lsvd.convert(source, "y", "d", where="like = 1")
    shutil.rmtree(source / "subsamples")
    vk_lsvd.convert(source, "y", "d", where="like = 1")
    assert rows("y") == rows("x")


def test_vk_s_conditions_know_the_items_durations(source):
    write_vk(source)
    vk_lsvd.convert(source, "x", "d", where="timespent >= 0.9 * duration", subsample="ur0.01")
    assert [row[:2] for row in rows()] == [("1", "7"), ("1", "9"), ("2", "8")]
    with pytest.raises(DataError, match="--where asks for the column 'length', which neither the rows"):
        vk_lsvd.convert(source, "y", "d", where="length > 3")
    with pytest.raises(DataError, match="in has no train/ in ur1/"):
        vk_lsvd.convert(source, "y", "d", where="like = 1", subsample="ur1")
    np.savez(source / "metadata" / "item_embeddings.npz", embedding=np.ones((4, 2)))
    with pytest.raises(DataError, match="item_embeddings.npz has rows without ids, so nobody knows"):
        vk_lsvd.convert(source, "y", "d", where="like = 1")


def test_vk_s_three_parts_stay_a_split(source):
    write_vk(source, ("train", "validation", "test"))
    vk_lsvd.convert(source, "x", "d", where="like = 1")
    assert rows() == [
        ("1", "7", 0.0, 0), ("2", "7", 1.0, 0), ("1", "9", 2.0, 0), ("2", "9", 3.0, 1), ("2", "9", 4.0, 2),
    ]  # fmt: skip


def write_hm(source, article="0108775015"):
    (source / "transactions_train.csv").write_text(
        "t_dat,customer_id,article_id,price,sales_channel_id\n"
        f"2018-09-20,000058a1,{article},0.0508,2\n2018-09-21,000058a1,{article},0.0508,2\n"
        "2018-09-20,00007d2d,0541518023,0.03,1\n"
    )
    (source / "articles.csv").write_text(
        "article_id,product_code,prod_name,product_type_name,detail_desc\n"
        '0108775015,0108775,Strap top,Vest top,"Jersey top, narrow"\n'
        "0541518023,0541518,Rae Push,Bra,\n0999999999,1,No,No,No\n"
    )
    (source / "images" / "010").mkdir(parents=True)


def test_h_and_m_s_articles_keep_their_leading_zero(source):
    write_hm(source)
    hm.convert(source, "x", "d", text="tfidf", events="count")
    day = 1537401600.0
    assert rows() == [("000058a1", "0108775015", 2.0, day + 86400), ("00007d2d", "0541518023", 1.0, day)]
    dataset = Dataset("x", "d")
    assert dataset.titles() == {"0108775015": "Strap top", "0541518023": "Rae Push"}
    assert next(dataset.texts(["text"])) == "Strap top Vest top Jersey top, narrow"
    assert summary()["remarks"] == ["not read, as not needed: images/"]


def test_h_and_m_s_articles_that_lost_it_are_refused(source, tmp_path):
    write_hm(source, "108775015")
    with pytest.raises(DataError, match="the article 108775015 has 9 digits instead of 10, as a program"):
        hm.convert(source, "x", "d")
    assert nothing(tmp_path)


def test_ml_1m_has_titles_in_latin_1_and_addresses_of_posters(source):
    (source / "ratings.dat").write_text(
        "1::1193::5::978300760\n1::661::3::978302109\n2::1193::4::978298413\n"
    )
    titles = "661::James (1996)::Animation|Children's\n1193::Misérables, Les (1995)::Drama\n"
    (source / "movies.dat").write_bytes(titles.encode("latin-1"))
    (source / "users.dat").write_text("1::F::1::10::48067\n")
    header = "movie_id\tdburl\twiki_url\timg_url\tname\tyoutubeId\n"
    (source / "ml1m_full_extended_mapping.tsv").write_text(
        header + "1193\td\tw\thttps://example.org/a.jpg\tLes\ty\n"
    )
    grouplens.convert(source, "x", "d", min_rating=4, text="tfidf")
    assert rows() == [("1", "1193", 5.0, 978300760.0), ("2", "1193", 4.0, 978298413.0)]
    dataset = Dataset("x", "d")
    assert dataset.titles()["1193"] == "Misérables, Les (1995)"
    assert list(dataset.texts(["text"]))[0] == "Misérables, Les (1995) Drama"
    assert list(dataset.texts(["image"]))[0] == "https://example.org/a.jpg"
    assert summary()["remarks"] == ["not read, as not needed: users.dat"]


def test_counts_are_compared_where_nothing_is_left_out(source):
    (source / "ml-1m").mkdir()
    (source / "ml-1m" / "ratings.dat").write_text("1::1193::5::978300760\n2::1193::1::978300760\n")
    grouplens.convert(source / "ml-1m", "x", "d")
    assert summary()["remarks"] == [
        "DIFFERENT from what is published of ml-1m: 6,040 users, 3,706 items, 1,000,209 interactions"
    ]
    grouplens.convert(source / "ml-1m", "y", "d", min_rating=4)
    assert summary("y")["remarks"] == []


def test_newer_movielens_are_csv(source):
    (source / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,10,3.5,978300760\n")
    (source / "movies.csv").write_text('movieId,title,genres\n10,"Heat, The",(no genres listed)\n')
    grouplens.convert(source, "x", "d")
    assert rows() == [("1", "10", 3.5, 978300760.0)] and Dataset("x", "d").titles() == {"10": "Heat, The"}
    (source / "ratings.csv").unlink()
    with pytest.raises(DataError, match="in has no ratings.csv or ratings.dat; --from names the folder"):
        grouplens.convert(source, "y", "d")
    (source / "ml-latest.zip").write_bytes(b"PK")
    with pytest.raises(DataError, match="in has no ratings.csv or ratings.dat; unpack ml-latest.zip first"):
        grouplens.convert(source, "y", "d")
    with pytest.raises(DataError, match="ml-latest.zip is a file; --from names the folder of the files, unp"):
        grouplens.convert(source / "ml-latest.zip", "y", "d")


def write_mmctr(source, whole=True):
    """Users 1 to 3; item 0 fills histories up; the labels of test.parquet are not published."""
    x1 = source / "MicroLens_1M_x1"

    def part(name, users, items, histories, **label):
        more = {} if whole else {"item_seq": pa.array(histories, pa.list_(pa.int64()))}
        levels = {"likes_level": [1] * len(users), "views_level": [2] * len(users)}
        parquet(x1 / f"{name}.parquet", user_id=users, item_id=items, **more, **levels, **label)

    part("train", [1, 1, 2], [5, 6, 5], [[0, 0, 7], [0, 0, 7], [0, 8, 9]], label=[1, 0, 1])
    part("valid", [2, 1], [6, 7], [[0, 8, 9], [0, 0, 7]], label=[1, 0])
    part("test", [3], [5], [[0, 0, 6]])
    items = [0, 5, 6, 7, 8, 9]
    vectors = [[float(n), 1.0] for n in items]
    parquet(x1 / "item_info.parquet", item_id=items, item_tags=[[1, 0]] * 6, item_emb_d128=vectors)
    bert = pa.array([[float(n)] for n in items], pa.list_(pa.float32()))
    parquet(source / "item_emb.parquet", item_id=items, txt_emb_BERT=bert, img_emb_CLIPRN50=vectors)
    parquet(source / "item_feature.parquet", item_id=items, item_title=[f"T{n}" for n in items])
    (source / "item_images.rar").write_bytes(b"Rar!")
    if whole:
        parquet(source / "item_seq.parquet", user_id=[1, 2, 3], item_seq=[[0, 7], [8, 9], [0, 6]])


@pytest.mark.parametrize("whole", [True, False])
def test_mmctr_s_histories_come_before_its_clicks(source, whole):
    write_mmctr(source, whole)
    mmctr.convert(source, "x", "d", unchecked=True)
    assert [row[:2] for row in rows()] == [
        ("1", "7"), ("2", "8"), ("2", "9"), ("3", "6"), ("1", "5"), ("2", "5"), ("2", "6"),
    ]  # fmt: skip
    assert [row[2] for row in rows()] == sorted(row[2] for row in rows())
    dataset = Dataset("x", "d")
    assert dataset.modalities == ["content", "textual", "visual"]
    assert dataset.matrix("content")[0].tolist() == [[n, 1] for n in (5, 6, 7, 8, 9)]
    assert dataset.matrix("textual")[0].ravel().tolist() == [5, 6, 7, 8, 9]
    assert dataset.titles()["7"] == "T7"
    assert any("item_images.rar" in line for line in summary()["remarks"])
    mmctr.convert(source, "y", "d", clicks_only=True, unchecked=True)
    assert [row[:2] for row in rows("y")] == [("1", "5"), ("2", "5"), ("2", "6")]


def test_mmctr_without_its_parts_is_refused(source, tmp_path):
    write_mmctr(source)
    (source / "MicroLens_1M_x1" / "valid.parquet").unlink()
    with pytest.raises(DataError, match="in has no train.parquet and valid.parquet"):
        mmctr.convert(source, "x", "d")
    assert nothing(tmp_path)
