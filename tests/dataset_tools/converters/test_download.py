"""Downloads against a local server that breaks off and resumes."""

import json

import pytest

from dataset_tools.converters import download
from dataset_tools.errors import DataError
from tests.support.servers import CONTENT, Server


@pytest.fixture(params=[True, False], ids=["ranges", "no ranges"])
def server(request):
    server = Server(request.param)
    yield server
    server.shutdown()
    server.server_close()


def fetch(server, folder, path="a/file.gz"):
    (found,) = download.fetch(server.url + "/base/", [path], folder)
    return found


def test_a_download_that_breaks_off_goes_on_where_it_stopped(tmp_path, server):
    server.breaks = 2
    assert fetch(server, tmp_path).read_bytes() == CONTENT
    starts = [int(asked[6:-1]) for asked in server.asked]
    assert starts[0] == 0 and len(starts) == 3
    if server.ranges:
        assert 0 < starts[1] < starts[2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["downloads.json", "file.gz"]


def test_a_run_that_gave_up_is_continued_by_the_next(tmp_path, server, capsys):
    server.breaks, server.limit = download.ATTEMPTS, 100_000
    with pytest.raises(
        DataError, match="file.gz could not be downloaded: the connection broke off 5 times; run"
    ):
        fetch(server, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"file.gz.part", "file.gz.part.version"}
    assert fetch(server, tmp_path).read_bytes() == CONTENT
    assert capsys.readouterr().err == "  file.gz: 1.05 MB\n"  # what came is told where no bar is shown
    if server.ranges:
        assert int(server.asked[-1][6:-1]) == 5 * download.CHUNK


@pytest.mark.parametrize("limit", [1000, 100_000])  # less than a chunk, and more
def test_the_rest_of_another_version_is_never_appended(tmp_path, server, limit):
    server.breaks, server.limit = download.ATTEMPTS, limit
    with pytest.raises(DataError, match="the connection broke off"):
        fetch(server, tmp_path)
    server.content, server.tag = CONTENT[::-1], '"2"'
    assert fetch(server, tmp_path).read_bytes() == CONTENT[::-1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["downloads.json", "file.gz"]


def test_size_and_checksum_are_recorded_and_verified_later(tmp_path, server):
    target = fetch(server, tmp_path)
    record = json.loads((tmp_path / "downloads.json").read_text())["file.gz"]
    assert record["bytes"] == len(CONTENT) and len(record["sha256"]) == 64
    server.asked.clear()
    fetch(server, tmp_path)
    assert server.asked == []
    target.write_bytes(CONTENT[:-1])
    with pytest.raises(
        DataError, match="file.gz is not what was downloaded .*delete it to download it again"
    ):
        fetch(server, tmp_path)
    target.unlink()
    server.content = CONTENT[::-1]
    with pytest.raises(DataError, match="file.gz could not be downloaded: .*hash"):
        fetch(server, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["downloads.json"]


def test_a_part_that_is_already_whole_is_taken(tmp_path, server):
    (tmp_path / "file.gz.part").write_bytes(CONTENT)
    assert fetch(server, tmp_path).read_bytes() == CONTENT


def test_what_is_left_to_fetch_is_told_before(tmp_path, server):
    base, paths = server.url + "/base", ["a/file.gz", "a/other"]
    assert download.remaining(base, paths, tmp_path) == (2, 2 * len(CONTENT))
    fetch(server, tmp_path)
    (tmp_path / "other.part").write_bytes(CONTENT[:1000])
    assert download.remaining(base, paths, tmp_path) == (1, len(CONTENT) - 1000)
    with pytest.raises(DataError, match="absent could not be downloaded: the server answers 404"):
        download.remaining(base, ["absent"], tmp_path)


def test_an_absent_file_is_one_sentence(tmp_path, server):
    with pytest.raises(DataError, match="absent could not be downloaded: the server answers 404"):
        fetch(server, tmp_path, "absent")


def test_prepare_downloads_from_a_mirror(tmp_path, monkeypatch):
    from dataset_tools.__main__ import main
    from dataset_tools.converters.amazon import amazon2014

    server = Server()
    seen = {}
    stop = lambda _, options: seen.update(raw=options.raw) or exit_now()  # noqa: E731
    monkeypatch.setattr(amazon2014.convert, "_write", stop)
    try:
        assert main(["prepare", "sports", "--mirror", server.url, "--data-path", str(tmp_path)]) == 2
    finally:
        server.shutdown()
        server.server_close()
    names = sorted(path.name for path in seen["raw"].iterdir())
    assert names == [
        "downloads.json",
        "image_features_Sports_and_Outdoors.b",
        "meta_Sports_and_Outdoors.json.gz",
        "reviews_Sports_and_Outdoors_5.json.gz",
    ]


def test_an_existing_data_set_is_refused_before_anything_is_downloaded(tmp_path, server, capsys):
    from dataset_tools.__main__ import main

    (tmp_path / "baby").mkdir()
    assert main(["prepare", "baby", "--mirror", server.url, "--data-path", str(tmp_path)]) == 2
    assert "is there already; replace it with --force" in capsys.readouterr().err
    assert server.asked == []


def exit_now():
    raise DataError("far enough")
