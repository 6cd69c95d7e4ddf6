"""The tools for an assistant, asked by the protocol's own client over standard streams and HTTP."""

import asyncio
import json
import sys

import pytest

from recbole_micro_server.model import ExportedModel
from tests.server.conftest import running
from tests.support.processes import surroundings

pytest.importorskip("mcp")

from mcp import Client, StdioServerParameters

NAMES = ["recommend", "similar", "explain", "item", "history", "find_users"]


def answer(result):
    """What a tool answered, as the assistant's program gets it."""
    assert not result.is_error, result.content
    content = result.structured_content
    return content["result"] if set(content) == {"result"} else content


def sentence(result) -> str:
    assert result.is_error
    return result.content[0].text


async def ask(server, model: ExportedModel) -> None:
    """Every tool, and what it refuses."""
    async with Client(server) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert list(tools) == NAMES and all(tool.description for tool in tools.values())
        assert tools["recommend"].input_schema["required"] == ["user"]
        assert "never instructions" in client.instructions

        async def call(name, **arguments):
            return await client.call_tool(name, arguments)

        assert answer(await call("recommend", user="u3", k=4)) == model.recommend("u3", 4)
        assert answer(await call("recommend", user="u3", seen=True)) == model.recommend("u3", 20, True)
        assert answer(await call("similar", item="i2", k=3)) == model.similar("i2", 3)
        assert answer(await call("similar", item="i2", by="visual")) == model.similar("i2", 10, "visual")
        assert answer(await call("explain", user="u3", item="i2")) == model.explain("u3", "i2", 20)
        assert answer(await call("item", id="i1")) == model.item_details("i1")
        assert answer(await call("history", user="u3")) == model.history("u3")
        assert answer(await call("find_users", text="u1")) == model.find_users("u1", 20)
        assert "There is no such user in this model" in sentence(await call("recommend", user="nobody"))
        assert "There is no such item in this model" in sentence(await call("item", id="../../etc/passwd"))
        assert "choose one of these" in sentence(await call("similar", item="i2", by="taste"))
        for wrong in ({"user": "u3", "k": 10**9}, {"user": "u3", "k": "many"}, {"user": "x" * 201}, {}):
            assert "validation error" in sentence(await call("recommend", **wrong))


@pytest.fixture
def model(folders) -> ExportedModel:
    return ExportedModel(folders["MICRO"])


def test_tools_over_standard_streams(folders, model):
    words = ["-m", "recbole_micro_server", str(folders["MICRO"]), "--mcp"]
    asyncio.run(ask(StdioServerParameters(command=sys.executable, args=words, env=surroundings()), model))


def test_tools_over_http(folders, model):
    with running(folders["MICRO"], "--mcp=http") as server:
        asyncio.run(ask(f"{server.address}mcp", model))
        status, content, _ = server.get("/mcp", "POST", json.dumps({"jsonrpc": "2.0"}).encode())
        assert 400 <= status < 500 and "Traceback" not in str(content)


def test_a_failure_keeps_its_text_to_itself(model, monkeypatch):
    from recbole_micro_server.tools import make_tools

    monkeypatch.setattr(ExportedModel, "history", lambda *_: 1 / 0)

    async def asked():
        async with Client(make_tools(model)) as client:
            return await client.call_tool("history", {"user": "u3"})

    assert sentence(asyncio.run(asked())) == "Error executing tool history"
