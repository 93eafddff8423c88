"""Clients of npm that people use, against a real server."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.node_packages import install, run
from tests.support.server import ROOT, ServerProcess

pytestmark = pytest.mark.sqlite

RESPONSE = "application/graphql-response+json"
JSON = "application/json"


@pytest.fixture(scope="module")
def programs() -> Path:
    """Return the folder of the programs, with the clients installed."""
    return install(ROOT / "tests/support/node/clients")


def run_persisted(server: ServerProcess, programs: Path, *arguments: str) -> dict[str, Any]:
    printed = run(programs / "persisted.mjs", f"{server.url}/graphql", *arguments)
    found: dict[str, Any] = json.loads(printed)
    assert [result.get("error") for result in found["results"]] == [None] * len(found["results"])
    return found


@pytest.mark.parametrize("accept", ["", JSON, RESPONSE], ids=["its own", "json", "response"])
@pytest.mark.parametrize("hashes_by", ["POST", "GET", "mutation"])
@pytest.mark.parametrize("client", ["apollo", "urql"])
def test_client_that_sends_hashes_falls_back_by_itself(
    server: ServerProcess, programs: Path, client: str, hashes_by: str, accept: str
) -> None:
    """Once, on its first operation; from then on it sends queries, and gets what it asks for."""
    found = run_persisted(server, programs, client, hashes_by, accept)
    refused, *served = found["sent"]
    assert refused == {
        "method": "GET" if hashes_by == "GET" else "POST",
        "query": False,
        "hash": True,
        "status": 200 if accept == JSON else 400,
    }
    assert served
    assert all(request["query"] and request["status"] == 200 for request in served)
    assert len(served) == len(found["results"])
    assert found["results"][-1]["data"]["createOrder"]["order"]["table"] == "7"


def test_urql_falls_back_on_the_socket(server: ServerProcess, programs: Path) -> None:
    order = {"table": "7", "items": [{"name": "Soup", "quantity": 1}]}
    text = "mutation ($input: CreateOrderInput!) { createOrder(input: $input) { order { id } } }"
    server.data(text, input=order)
    found = run_persisted(server, programs, "urql", "socket")
    assert found["sent"][:2] == [
        {"method": "socket", "query": False, "hash": True},
        {"method": "socket", "query": True, "hash": False},
    ]
    assert found["results"][0]["data"] == {"orderCreated": {"id": "1", "table": "7"}}


def test_developer_with_the_legacy_client_sees_what_to_use(
    server: ServerProcess, programs: Path
) -> None:
    """Its callback gets the sentence; it comes back, with growing pauses; nothing is run."""
    found = json.loads(run(programs / "legacy.mjs", server.socket_url))
    assert len(found["errors"]) == 5
    assert all("use the npm package graphql-ws" in error for error in found["errors"])
    assert found["results"] == []
    # 100 ms, and twice as long each time, half of that at the least: 0.05 + 0.1 + 0.2 + 0.4 s.
    assert found["seconds"] > 0.7
    assert server.data("{ orders { nodes { id } } }") == {"orders": {"nodes": []}}
    assert "Traceback" not in server.log
