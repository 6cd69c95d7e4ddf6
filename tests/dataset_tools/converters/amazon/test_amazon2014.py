"""Amazon 2014: the three files in their exact format, written by the test."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from dataset_tools.__main__ import main
from dataset_tools.converters.amazon import amazon2014
from dataset_tools.dataset import catalog
from dataset_tools.dataset.provenance import read_steps
from dataset_tools.dataset.reading import Dataset
from dataset_tools.errors import DataError
from dataset_tools.formats.hashing import hash_file
from tests.support.amazon import ASINS, IMAGES, reviews, write


@pytest.fixture
def raw(tmp_path):
    return write(tmp_path / "raw")


def convert(raw, **options):
    return Dataset("toy", amazon2014.convert(raw, "Toy", "toy", raw.parent / "data", **options).parent)


def triples(dataset):
    found = dataset.interactions
    columns = (found.user, found.item, found.rating, found.timestamp)
    return {(found.users[u], found.items[i], r, t) for u, i, r, t in zip(*columns, strict=True)}


def test_ids_ratings_and_times_are_those_of_the_reviews(raw):
    dataset = convert(raw)
    assert triples(dataset) == {
        (r["reviewerID"], r["asin"], r["overall"], float(r["unixReviewTime"])) for r in reviews()
    }
    assert dataset.items == sorted({r["asin"] for r in reviews()})
    assert "0000000007" in dataset.items


def test_the_split_is_the_paper_s(raw):
    found = convert(raw).interactions
    for user in range(len(found.users)):
        n, train, valid, test = (
            (found.user == user).sum(),
            *np.bincount(found.part[found.user == user], minlength=3),
        )
        withheld = 2 if n < 10 else int(n * 0.2)
        assert (train, valid, test) == (n - withheld, withheld - withheld // 2, withheld // 2)


def test_images_are_joined_by_asin_and_a_missing_one_is_a_missing_row(raw):
    dataset = convert(raw)
    values, mask = dataset.matrix("visual")
    for row, asin in enumerate(dataset.items):
        assert mask[row] == (asin in IMAGES)
        np.testing.assert_array_equal(values[row], IMAGES.get(asin, np.zeros(4096)))


def test_official_images_give_the_mean_of_the_others(raw):
    dataset = convert(raw, official_images=True)
    values, mask = dataset.matrix("visual")
    assert mask.all()
    others = np.mean([IMAGES[asin] for asin in dataset.items if asin in IMAGES], axis=0, dtype=np.float64)
    np.testing.assert_allclose(values[dataset.items.index(ASINS[3])], others, rtol=1e-6)


def test_text_has_the_issue_s_order_or_the_official_one(raw):
    plain = dict(
        zip(*(list(x) for x in (convert(raw).items, convert(raw, force=True).texts(["text"]))), strict=True)
    )
    assert plain[ASINS[1]] == 'Title 1 "quoted" Brand1 Baby Cat1 Toys It\'s long text 1 é'
    assert plain[ASINS[2]] == 'Title 2 "quoted" Baby Cat2 Toys It\'s long text 2 é'
    dataset = convert(raw, force=True, official_text=True)
    official = dict(zip(dataset.items, dataset.texts(["text"]), strict=True))
    assert official[ASINS[1]] == 'Baby Cat1 Toys Title 1 "quoted" Title 1 "quoted" It\'s long text 1 é'
    assert official[ASINS[2]] == 'Baby Cat2 Toys Title 2 "quoted" It\'s long text 2 é'
    assert dataset.titles()[ASINS[1]] == 'Title 1 "quoted"'


def test_the_same_seed_gives_the_same_bytes_whatever_the_order_of_the_lines(raw):
    first = convert(raw).folder
    before = {path.name: path.read_bytes() for path in first.iterdir() if path.suffix == ".inter"}
    path = raw / "reviews_Toy_5.json.gz"
    write_lines(path, read_lines(path)[::-1])
    after = {path.name: path.read_bytes() for path in convert(raw, force=True).folder.iterdir()}
    for name, content in before.items():
        assert sorted(after[name].splitlines()) == sorted(content.splitlines())
    assert {p.name: p.read_bytes() for p in convert(raw, force=True, seed=1).folder.iterdir()} != after


def test_provenance_hashes_what_was_read(raw):
    (step,) = read_steps(convert(raw).folder, "toy")
    assert step["sources"] == [
        hash_file(raw / name)
        for name in ("reviews_Toy_5.json.gz", "meta_Toy.json.gz", "image_features_Toy.b")
    ]


def test_repeated_pairs_are_dropped_and_counted(raw):
    path = raw / "reviews_Toy_5.json.gz"
    write_lines(path, read_lines(path) * 2)
    dataset = convert(raw)
    assert len(dataset.interactions) == len(list(reviews()))
    (step,) = read_steps(dataset.folder, "toy")
    assert step["summary"]["notes"] == {"repeated interactions dropped": len(list(reviews()))}


def read_lines(path):
    return gzip.decompress(path.read_bytes()).decode().splitlines()


def write_lines(path, lines):
    path.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode()))


def gz_cut(path):
    path.write_bytes(path.read_bytes()[:-30])


def rewrite(path, change):
    write_lines(path, change(read_lines(path)))


PWN = "{'asin': 'B000000002', 'title': __import__('os').mkdir('pwned')}"
HUGE = '{"reviewerID": "x", "asin": "B1", "overall": 10, "unixReviewTime": 1}'
BROKEN = {
    "a cut gz": (
        "reviews_Toy_5.json.gz",
        gz_cut,
        r"reviews_Toy_5.json.gz is damaged or cut off after line \d+",
    ),
    "a cut meta": ("meta_Toy.json.gz", gz_cut, "meta_Toy.json.gz is damaged or cut off after line"),
    "no gz": (
        "meta_Toy.json.gz",
        lambda p: p.write_bytes(b"x" * 99),
        "meta_Toy.json.gz is damaged or cut off",
    ),
    "an empty file": (
        "reviews_Toy_5.json.gz",
        lambda p: p.write_bytes(b""),
        "reviews_Toy_5.json.gz is empty",
    ),
    "no records": ("reviews_Toy_5.json.gz", lambda p: p.write_bytes(gzip.compress(b"\n")), "has no records"),
    "a broken line": (
        "reviews_Toy_5.json.gz",
        lambda p: rewrite(p, lambda lines: [*lines[:2], lines[2][:20], *lines[3:]]),
        "reviews_Toy_5.json.gz, line 3: not a valid record .*; repair it or pass --skip-bad",
    ),
    "a missing field": (
        "reviews_Toy_5.json.gz",
        lambda p: rewrite(p, lambda lines: ['{"asin": "B000000001"}', *lines]),
        "reviews_Toy_5.json.gz, line 1: not a valid record .no field 'reviewerID'",
    ),
    "an id that RecBole cannot hold": (
        "reviews_Toy_5.json.gz",
        lambda p: rewrite(p, lambda lines: [lines[0].replace("A0", "null\\u0000"), *lines[1:]]),
        "reviews_Toy_5.json.gz, line 1: not a valid record .the user id 'null.*control character",
    ),
    "a list for an id": (
        "reviews_Toy_5.json.gz",
        lambda p: rewrite(p, lambda lines: [*lines, HUGE.replace("10", "1").replace('"B1"', '["B1"]')]),
        "not a valid record .an id is not a text",
    ),
    "a number of hundreds of digits": (
        "reviews_Toy_5.json.gz",
        lambda p: rewrite(p, lambda lines: [HUGE.replace("10", "1" + 400 * "0"), *lines]),
        "reviews_Toy_5.json.gz, line 1: not a valid record .*is not a finite number",
    ),
    "code": (
        "meta_Toy.json.gz",
        lambda p: rewrite(p, lambda lines: [*lines, PWN]),
        f"meta_Toy.json.gz, line {len(ASINS) + 3}: not a valid record",
    ),
    "a cut image file": (
        "image_features_Toy.b",
        lambda p: p.write_bytes(p.read_bytes()[:-7]),
        f"image_features_Toy.b is cut off in record {len(IMAGES) + 1} \\(16387 of 16394 bytes\\)",
    ),
    "NaN": (
        "image_features_Toy.b",
        lambda p: p.write_bytes(p.read_bytes()[:-4] + np.float32(np.nan).tobytes()),
        "NaN or infinity in the visual features of 1 item.*0000000007",
    ),
    "other items": (
        "image_features_Toy.b",
        lambda p: p.write_bytes(b"X" * 16394),
        "has no image of any item in the reviews",
    ),
    "a file that is not there": (
        "meta_Toy.json.gz",
        lambda p: p.unlink(),
        "meta_Toy.json.gz is missing; get it from",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_broken_input_is_one_sentence_and_leaves_nothing(raw, what):
    name, change, message = BROKEN[what]
    change(raw / name)
    with pytest.raises(DataError, match=message):
        convert(raw)
    data = raw.parent / "data"
    assert not data.exists() or list(data.iterdir()) == []
    assert not Path("pwned").exists()


@pytest.mark.parametrize(
    "what",
    [
        "a broken line",
        "a missing field",
        "an id that RecBole cannot hold",
        "a number of hundreds of digits",
        "code",
        "a cut image file",
        "NaN",
    ],
)
def test_skip_bad_leaves_them_out_and_counts_them(raw, what):
    name, change, _ = BROKEN[what]
    change(raw / name)
    dataset = convert(raw, skip_bad=True)
    (step,) = read_steps(dataset.folder, "toy")
    assert step["summary"]["notes"] == {"broken records left out": 1}
    assert not Path("pwned").exists()


def test_metadata_whose_asin_is_no_text_is_passed_over(raw):
    rewrite(raw / "meta_Toy.json.gz", lambda lines: ["{'asin': ['B000000001'], 'title': 'x'}", *lines])
    assert convert(raw).titles()["B000000001"] == 'Title 1 "quoted"'


def test_prepare_takes_files_from_raw_and_judges_the_counts(tmp_path, monkeypatch, capsys):
    raw = write(tmp_path / "raw", "Baby")
    assert main(["prepare", "baby", "--raw", str(raw), "--data-path", "data"]) == 0
    assert (
        "DIFFERENT from what is expected of Amazon 2014, Baby, 5-core: 19,445 users"
        in capsys.readouterr().out
    )
    found = Dataset("baby", "data").interactions
    counts = (len(found.users), len(found.items), len(found))
    monkeypatch.setitem(catalog.KNOWN, "baby", catalog._amazon("baby", "Baby", counts))
    assert main(["prepare", "baby", "--raw", str(raw), "--data-path", "data", "--force"]) == 0
    assert "  as expected of Amazon 2014, Baby, 5-core" in capsys.readouterr().out
