"""Data sets that are not there: prepared if they are known, else one sentence."""

import io
import json

import pytest
from recbole.quick_start import run_recbole

from dataset_tools.converters.amazon import amazon2014
from recbole_micro import Config, run
from recbole_micro.cli import main
from recbole_micro.data import missing
from recbole_micro.errors import UserError
from tests.support.amazon import write
from tests.support.servers import Server
from tests.support.tiny import write_tiny


def test_a_missing_data_set_is_one_sentence(given, tmp_path):
    for name, sentence in (
        ("baby", "get it with python -m dataset_tools prepare baby --data-path"),
        ("babby", "convert your files .* did you mean baby"),
        ("microlens-50k", "dataset_tools convert microlens, or pass --data_path=FOLDER where"),
    ):
        with pytest.raises(UserError, match=sentence):
            run("BPR", name, config_dict={**given, "data_path": str(tmp_path)})


def test_a_known_data_set_is_prepared_on_first_use(given, tmp_path, monkeypatch):
    from dataset_tools.dataset import catalog

    prepared = []

    def prepare(name, data_path):
        prepared.append(name)
        return write_tiny(data_path, name) / name

    monkeypatch.setattr(catalog, "prepare", prepare)
    for start in (run, run_recbole):
        start("MICRO", "ml-100k", config_dict={**given, "data_path": str(tmp_path)})
    assert prepared == ["ml-100k"]


def test_a_missing_part_of_a_fixed_split_counts_as_missing(given, tmp_path):
    folder = write_tiny(tmp_path / "parts", "tiny", parts=True)
    made = Config("BPR", "tiny", config_dict={**given, "data_path": str(folder)})
    assert missing.missing_files(made) == []
    (folder / "tiny" / "tiny.test.inter").unlink()
    assert [path.rsplit("/", 1)[1] for path in missing.missing_files(made)] == ["tiny.test.inter"]


@pytest.fixture(scope="module")
def amazon(tmp_path_factory):
    """A server of Baby's three files, which breaks the first connection off."""
    folder = tmp_path_factory.mktemp("server")
    write(folder / "raw", "Baby")
    server = Server()
    server.files = {path.name: path.read_bytes() for path in (folder / "raw").iterdir()}
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def first_contact(amazon, given, tmp_path, monkeypatch):
    """`train --model=MICRO --dataset=baby` where there is no such data set; its exit code."""
    monkeypatch.setattr(amazon2014, "AMAZON_2014", amazon.url)
    folder = tmp_path / "first"
    options = {**given, "data_path": str(folder), "knn_k": 3}
    words = [f"--{name}={json.dumps(value)}" for name, value in options.items()]
    return folder, lambda *more: main(["train", "--model=MICRO", "--dataset=baby", *words, *more])


def test_download_fetches_prepares_and_trains(first_contact, amazon, capsys, tmp_path):
    folder, start = first_contact
    amazon.breaks, amazon.limit = 1, 1000
    assert start("--download") == 0
    err = capsys.readouterr().err
    assert "The data set baby (Amazon 2014, Baby, 5-core) is not in" in err
    size = sum(map(len, amazon.files.values())) / 1000
    assert f": 3 files, {size:.3g} kB, from {amazon.url}." in err
    assert (folder / "baby" / "baby.train.inter").is_file() and any(tmp_path.glob("saved/MICRO-*.pth"))
    assert start() == 0  # now it is there


def test_without_a_terminal_one_sentence_names_the_option(first_contact, capsys):
    folder, start = first_contact
    assert start() == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "add --download, which fetches and prepares it first, or get it with python -m" in line
    assert not folder.exists()


@pytest.mark.parametrize(("answer", "code"), [("n\n", 2), ("", 2), ("y\n", 0)])
def test_on_a_terminal_it_asks(first_contact, monkeypatch, capsys, answer, code):
    folder, start = first_contact
    terminal = io.StringIO(answer)
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert start() == code
    assert "Download and prepare it? [y/N]" in capsys.readouterr().err
    assert (folder / "baby").exists() == (code == 0)


def test_several_processes_fetch_nothing(given, tmp_path):
    config = Config("MICRO", "baby", config_dict={**given, "data_path": str(tmp_path), "download": True})
    config["single_spec"] = False
    with pytest.raises(UserError, match="several processes fetch nothing: get it first with"):
        missing.downloaded(config, ask=True)


def test_a_server_that_cannot_be_reached_is_one_sentence(first_contact, monkeypatch, capsys):
    folder, start = first_contact
    monkeypatch.setattr(amazon2014, "AMAZON_2014", "http://127.0.0.1:9")
    assert start("--download") == 2
    assert "reviews_Baby_5.json.gz cannot be reached" in capsys.readouterr().err
    assert not (folder / "baby").exists()
