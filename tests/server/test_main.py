"""`serve` and `explore` as commands: what they refuse, and that serving is a process without PyTorch."""

import json
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import numpy as np
import pytest

from recbole_micro import cli
from recbole_micro_server.__main__ import listen, main
from recbole_micro_server.model import ExportedModel
from tests.server.conftest import running
from tests.support.processes import start, taken_port


def refused(capsys, *words) -> str:
    assert main(list(map(str, words))) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and len(said.splitlines()) == 1
    return said


def test_folders_that_are_no_export_are_refused(folders, tmp_path, capsys):
    assert "manifest.json is missing" in refused(capsys, tmp_path)
    copy = tmp_path / "copy"
    shutil.copytree(folders["MICRO"], copy)
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps({**manifest, "format": 99}))
    assert "has the format 99" in refused(capsys, copy)
    (copy / "manifest.json").write_text(json.dumps(manifest)[:50])
    assert "manifest.json is damaged" in refused(capsys, copy)
    (copy / "manifest.json").write_text(json.dumps({"format": manifest["format"]}))
    assert "is damaged, or of another version (KeyError('neighbours'))" in refused(capsys, copy)
    (copy / "manifest.json").write_text(json.dumps(manifest))
    vectors = np.load(copy / "item_vectors.npy")
    np.save(copy / "item_vectors.npy", vectors[:-1])
    width = vectors.shape[1]
    assert f"item_vectors.npy is (15, {width}) where 16 x {width}" in refused(capsys, copy)
    (copy / "item_vectors.npy").write_bytes(b"\x93NUMPY")
    assert "item_vectors.npy is damaged" in refused(capsys, copy)
    np.save(copy / "item_vectors.npy", np.array([{}] * 16, dtype=object))
    assert "item_vectors.npy is damaged" in refused(capsys, copy)  # a pickle is never opened
    (copy / "item_vectors.npy").unlink()
    assert "item_vectors.npy is missing" in refused(capsys, copy)


def test_a_folder_of_the_first_format_is_read(folders, tmp_path):
    """It knew no walk: the scores are the products of the vectors alone."""
    copy = tmp_path / "copy"
    shutil.copytree(folders["MICRO"], copy, ignore=shutil.ignore_patterns("walk_*", "own_*"))
    manifest = json.loads((copy / "manifest.json").read_text())
    del manifest["walk"]
    (copy / "manifest.json").write_text(json.dumps({**manifest, "format": 1}))
    model = ExportedModel(copy)
    user, item = model.row_of_user("u3"), model.row_of_item("i4")
    assert model.scores(user)[item] == pytest.approx(model.item_vectors[item] @ model.user_vectors[user])
    why = model.explain("u3", "i4")
    assert why["collaborative"] + sum(why["through"].values()) == pytest.approx(why["score"], abs=1e-5)


def test_a_port_that_is_taken_is_said(folders, capsys):
    with taken_port() as port:
        assert f"port {port} (Address already in use)" in refused(capsys, folders["MICRO"], "--port", port)


def test_answers_do_not_wait_for_acknowledgements():
    """asyncio switches Nagle's algorithm off only for sockets that say that they are TCP."""
    with listen("127.0.0.1", 0, socket.AF_INET) as listener:
        client = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
        assert accepted.proto == socket.IPPROTO_TCP
        accepted.close()
        client.close()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["serve"], "error: The following arguments are required: DIR"),
        (["serve", "x", "--port=99999"], "error: Argument --port: 99999 is not between 0 and 65535"),
        (["serve", "x", "--prot=1"], "error: Unrecognized arguments: --prot=1"),
        (["explore", "x", "--out=y.html"], "error: The following arguments are required: --users"),
        (["explore", "x", "--users=,", "--out=y.html"], "error: --users names 0 users"),
        (["explore", "x", "--users=u1", "--out=no/y.html"], "error: There is no folder no"),
        (["explore", "x", "--users=u1", "--out=y.html"], "error: x/manifest.json is missing"),
    ],
)
def test_mistakes_on_the_command_line(words, sentence, capsys):
    assert cli.main(words) == 2
    assert capsys.readouterr().err.startswith(sentence)
    assert not Path("y.html").exists()


@pytest.mark.slow
def test_the_command_becomes_a_light_server_and_ends_quietly(folders):
    words = ("-c", "import sys; from recbole_micro.cli import main; sys.exit(main())")
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with start(*words, "serve", folders["MICRO"], "--port=0", **pipes) as process:
        assert "MICRO on tiny at http://127.0.0.1:" in process.stdout.readline()
        maps = Path(f"/proc/{process.pid}/maps")
        if maps.exists():
            assert "libtorch" not in maps.read_text()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode in (0, 130) and "Traceback" not in errors


def test_a_second_model_and_its_own_users(folders, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(folders["LightGCN"], copy)
    users = json.loads((copy / "users.json").read_text())
    (copy / "users.json").write_text(json.dumps([f"other-{user}" for user in users]))
    with running(folders["MICRO"], "--beside", copy) as server:
        assert server.get("/beside/recommend?user=other-u3")[0] == 200
        assert server.get("/beside/recommend?user=u3")[0] == 404


def test_explore_refuses_unknown_users_and_keeps_what_was_there(folders, tmp_path, capsys):
    page = tmp_path / "page.html"
    page.write_text("before")
    words = ["explore", str(folders["MICRO"]), f"--out={page}"]
    assert cli.main([*words, "--users=u1,nobody"]) == 2
    assert "has no user nobody" in capsys.readouterr().err
    assert page.read_text() == "before" and list(tmp_path.iterdir()) == [page]
    assert cli.main([*words, "--users=u1, u2"]) == 0
    assert "page.html" in capsys.readouterr().out and "<!doctype html>" in page.read_text()


def test_lists_are_cut_at_ties_by_the_order_of_items(folders):
    model = ExportedModel(folders["LightGCN"])
    model.item_vectors = np.ones_like(model.item_vectors)
    assert [one["id"] for one in model.recommend("u3", 4, keep_seen=True)] == model.items[:4]


def test_a_map_of_very_many_items_is_a_sample(folders, monkeypatch):
    model = ExportedModel(folders["MICRO"])
    whole = model.map()
    assert whole["id"] == model.items and len(whole["x"]) == 16
    monkeypatch.setattr("recbole_micro_server.model.MOST_POINTS", 6)
    some = model.map()
    assert some["id"] == model.items[::3] and some["title"] == whole["title"][::3]
    assert some["y"] == whole["y"][::3] and some["attention"]["visual"] == whole["attention"]["visual"][::3]
