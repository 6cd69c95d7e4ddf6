"""The service: its answers are the model's, and refusals are one sentence that repeats nothing."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection

import pytest

from recbole_micro_server.model import ExportedModel
from recbole_micro_server.page import encoded
from tests.support.exports import TITLES
from tests.support.processes import run_code

TRICK = "<script>alert(1)</script>"


def test_answers_are_the_models(server, folders):
    for prefix, model in (("/beside", "LightGCN"), ("", "MICRO")):
        known = ExportedModel(folders[model])
        for question, expected in (
            ("recommend?user=u3", known.recommend("u3", 20)),
            ("recommend?user=u3&k=2&seen=true", known.recommend("u3", 2, keep_seen=True)),
            (f"similar?item=i4&k=3&by={encoded(known.kinds[-1])}", known.similar("i4", 3, known.kinds[-1])),
            ("items/i0", known.item_details("i0")),
            ("users/u3", known.history("u3")),
            ("users?query=2&limit=3", [user for user in known.users if "2" in user][:3]),
            ("users?query=u2&limit=1", ["u2"]),
            ("map", known.map()),
        ):
            status, content, headers = server.get(f"{prefix}/{question}")
            assert status == 200 and content == json.loads(json.dumps(expected)), question
            assert headers["x-content-type-options"] == "nosniff"
    assert server.get("/explain?user=u3&item=i4")[1] == known.explain("u3", "i4", 50)
    health = server.get("/health")[1]
    assert (health["status"], health["model"], health["users"], health["items"]) == ("ok", "MICRO", 24, 16)
    assert health["by"] == known.kinds and health["beside"]["model"] == "LightGCN"


def test_the_documentation_lists_what_can_be_asked(server):
    paths = server.get("/openapi.json")[1]["paths"]
    assert {"/recommend", "/similar", "/explain", "/items/{id}", "/health"} <= paths.keys()
    assert "/beside/recommend" in paths
    problem = paths["/recommend"]["get"]["responses"]["422"]["content"]["application/json"]["schema"]
    assert problem["$ref"].endswith("/Problem")
    assert server.get("/docs")[0] == 200


@pytest.mark.parametrize(
    ("target", "status", "sentence"),
    [
        ("/recommend?user=u3&k=100000000000000000000", 422, "The parameter k: "),
        ("/recommend?user=u3&k=201", 422, "The parameter k: Input should be less than or equal to 200."),
        ("/recommend?user=u3&k=-1", 422, "The parameter k: Input should be greater than or equal to 1."),
        ("/recommend?user=u3&k=many", 422, "The parameter k: Input should be a valid integer"),
        ("/recommend?user=u3&seen=perhaps", 422, "The parameter seen: "),
        ("/recommend", 422, "The parameter user: Field required."),
        ("/recommend?user=", 422, "The parameter user: String should have at least 1 character."),
        ("/recommend?user=" + "u" * 5000, 422, "The parameter user: String should have at most 200"),
        (f"/recommend?user={encoded(TRICK)}", 404, "There is no such user"),
        ("/recommend?user=%00%ff", 404, "There is no such user"),
        ("/similar?item=i99", 404, "There is no such item"),
        (f"/similar?item=i1&by={encoded(TRICK)}", 404, "Neighbours go by trained"),
        ("/explain?user=u3", 422, "The parameter item: Field required."),
        ("/explain?user=u3&item=i1&limit=-3", 422, "The parameter limit: "),
        ("/beside/explain?user=u3&item=i1", 404, "LightGCN was exported without what explanations need"),
        ("/items/../../../etc/passwd", 404, "There is no such item"),
        ("/items/%2e%2e%2fmanifest.json", 404, "There is no such item"),
        ("/users/../../manifest.json", 404, "There is no such user"),
        ("/images/../manifest.json", 404, "There is nothing at this path"),
        ("/images/%2e%2e%2fmanifest.json", 404, "There is nothing at this path"),
        ("/images/..", 404, "There is no such picture"),
        ("/../../etc/passwd", 404, "There is nothing at this path"),
        ("/page.css/../manifest.json", 404, "There is nothing at this path"),
        ("/manifest.json", 404, "There is nothing at this path"),
        (f"/{encoded(TRICK)}", 404, "There is nothing at this path"),
    ],
)
def test_malformed_requests_get_a_sentence(server, target, status, sentence):
    found, content, headers = server.get(target)
    assert found == status and list(content) == ["error"]
    assert content["error"].startswith(sentence) and "\n" not in content["error"]
    assert headers["content-type"] == "application/json"
    for word in ("script", "Traceback", "passwd", "uuuuu", "%2e"):
        assert word not in content["error"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_sent(server, method):
    status, content, _ = server.get("/recommend?user=u3", method, b"{not json")
    assert status == 405 and content["error"].startswith("Only GET is answered")


def test_a_failure_shows_no_stack_trace(folders, monkeypatch):
    import asyncio

    from recbole_micro_server.app import make_app

    model = ExportedModel(folders["MICRO"])
    monkeypatch.setattr(model, "recommend", lambda *_: 1 / 0)
    app, sent = make_app(model), []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/recommend", "query_string": b"user=u3", "headers": []}
    with pytest.raises(ZeroDivisionError):  # for the server's log
        asyncio.run(app({**scope, "http_version": "1.1", "scheme": "http", "root_path": ""}, receive, send))
    assert sent[0]["status"] == 500
    assert json.loads(sent[1]["body"]) == {"error": "The server failed at this request; its log says where."}


def test_pictures_and_titles(server):
    item = server.get("/items/i0")[1]
    assert item["title"] == TITLES[0]
    connection = HTTPConnection("127.0.0.1", server.port)
    connection.request("GET", f"/images/{item['picture']}")
    answer = connection.getresponse()
    assert answer.status == 200 and answer.getheader("content-type") == "image/png"
    assert answer.read()[:4] == b"\x89PNG"


def test_the_server_loads_no_pytorch_and_no_recbole(tmp_path):
    code = """
import sys
import recbole_micro_server.app, recbole_micro_server.__main__, recbole_micro_server.explore
heavy = {"torch", "recbole", "recbole_micro", "pandas", "pyarrow", "scipy"}
print(sorted(heavy & set(sys.modules)))
"""
    done = run_code(code, cwd=tmp_path)
    assert done.stdout.strip() == "[]", done.stderr


def ask_for(server, seconds: float, number: int) -> list[int]:
    """The statuses of a client's requests, one after the other on one connection."""
    connection, statuses = HTTPConnection("127.0.0.1", server.port, timeout=60), []
    questions = ("/recommend?user=u{}&k=10", "/similar?item=i{}", "/explain?user=u{0}&item=i{0}")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        target = questions[len(statuses) % 3].format((number + len(statuses)) % 16)
        connection.request("GET", target)
        answer = connection.getresponse()
        assert json.loads(answer.read())
        statuses.append(answer.status)
    return statuses


@pytest.mark.slow
def test_eight_clients_lose_no_request_in_twenty_seconds(server):
    with ThreadPoolExecutor(8) as clients:
        found = list(clients.map(lambda number: ask_for(server, 20, number), range(8)))
    assert all(len(statuses) > 50 for statuses in found)
    assert {status for statuses in found for status in statuses} == {200}
