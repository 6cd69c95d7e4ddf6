"""Exported models, and a server of them in a process of its own."""

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support import exports
from tests.support.processes import start


class Server(NamedTuple):
    """A running server: where it listens."""

    port: int
    address: str

    def get(self, target: str, method: str = "GET", body: bytes | None = None) -> tuple[int, Any, dict]:
        """Status, content (JSON where it is any) and headers; the target is sent as it stands."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, target, body)
        answer = connection.getresponse()
        content, headers = answer.read(), dict(answer.getheaders())
        connection.close()
        if headers.get("content-type") == "application/json":
            return answer.status, json.loads(content), headers
        return answer.status, content.decode(), headers


@contextmanager
def running(*words) -> Iterator[Server]:
    """A server of these folders."""
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with start("-m", "recbole_micro_server", *words, "--port", "0", **pipes) as process:
        try:
            said = process.stdout.readline()
            found = re.search(r"http://127\.0\.0\.1:(\d+)/", said)
            assert found, said + process.stderr.read()
            yield Server(int(found[1]), found[0])
        finally:
            process.terminate()


@pytest.fixture(scope="session")
def folders(tmp_path_factory) -> dict[str, Path]:
    """An exported folder by model."""
    data = exports.write_data(tmp_path_factory.mktemp("data"))
    pictures = data / "pictures"
    pictures.mkdir()
    (pictures / "i0.png").write_bytes(PNG)
    made = {"MICRO": exports.exported(data, "MICRO", "micro", pictures)}
    return {**made, "LightGCN": exports.exported(data, "LightGCN", "lightgcn")}


@pytest.fixture(scope="session")
def server(folders) -> Iterator[Server]:
    """A server of MICRO beside LightGCN."""
    with running(folders["MICRO"], "--beside", folders["LightGCN"]) as served:
        yield served


PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360f8cf"
    "c0000003010100c9fe92ef0000000049454e44ae426082"
)
