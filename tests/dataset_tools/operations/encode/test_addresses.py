"""Images from addresses, from a server on this machine that limits, fails and serves pages."""

import io
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from dataset_tools.dataset.folder import DatasetFolder
from dataset_tools.dataset.reading import Dataset
from dataset_tools.operations.encode import addresses, media_files


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        server.asked.append((self.path, self.headers["User-Agent"]))
        code = 200 if self.path.startswith("/ok") else 404
        if self.path == "/busy.png" and server.asked.count(server.asked[-1]) == 1:
            code = 429
        elif self.path in ("/busy.png", "/page.png"):
            code = 200
        body = b"<!doctype html>" if self.path == "/page.png" else server.picture
        self.send_response(code)
        if code == 429:
            self.send_header("Retry-After", "0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.asked = []
    content = io.BytesIO()
    pytest.importorskip("PIL.Image").new("RGB", (4, 4)).save(content, "PNG")
    made.picture = content.getvalue()
    threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


def test_images_are_fetched_once_each_and_failures_reported(server, tmp_path, monkeypatch):
    monkeypatch.setattr(addresses, "PAUSE", 0.0)
    base = f"http://127.0.0.1:{server.server_address[1]}"
    named = {
        "a": f"{base}/ok/image.jpg?x=1", "b": f"{base}/ok2/image.jpg", "c": f"{base}/busy.png",
        "d": f"{base}/gone.png", "e": f"{base}/page.png", "f": "", "g/h": f"{base}/ok", "i": "plain.jpg",
    }  # fmt: skip
    with DatasetFolder(tmp_path / "data", "toy") as folder:
        (folder.path / "toy.inter").write_text("user_id:token\titem_id:token\nu\ta\n")
        folder.write_items(list(named), {"image:token": list(named.values())})
    dataset, images = Dataset("toy", tmp_path / "data"), tmp_path / "images"
    assert addresses.fetch_images(dataset, images) == (3, 0, 3)
    assert sorted(path.name for path in images.iterdir()) == ["a.png", "b.png", "c.png", "failed.csv"]
    assert (images / "a.png").read_bytes() == server.picture
    report = (images / "failed.csv").read_text().splitlines()
    assert report[0] == "item,address,reason" and report[1].endswith("the server answers 404 Not Found")
    assert report[2].endswith("it is no image") and report[3].endswith("its id cannot name a file")
    assert {agent for _, agent in server.asked} == {addresses.AGENT}
    found = media_files.media_paths(dataset, images, "image")
    assert [path.rsplit("/", 1)[-1] for path in found[:4]] == ["a.png", "b.png", "c.png", ""]
    server.asked.clear()
    assert addresses.fetch_images(dataset, images) == (0, 3, 3)
    assert sorted(path for path, _ in server.asked) == ["/gone.png", "/page.png"]


def test_requests_to_one_host_keep_their_distance(monkeypatch):
    slept = []
    monkeypatch.setattr(addresses.time, "monotonic", lambda: 100.0)
    monkeypatch.setattr(addresses.time, "sleep", slept.append)
    turns = addresses._Turns()
    for host in ("x", "x", "y", "x"):
        turns.wait(host, 0.5)
    turns.rest("y", 7)
    turns.wait("y")
    assert slept == [0.0, 0.5, 0.0, 1.0, 7.0]
