"""What real clients send is answered by the fast lane; what is unusual is left to the layers."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from bench.load.clients import CLIENTS, GET, PLAIN, Client
from execution.engine import build_engine
from execution.operations import Operations
from server.asgi.state import Run, state_of_run
from server.http.answers import Answer
from server.http.fast_path import FastPath
from server.http.raw_requests import PostedRequest, QueriedRequest
from tests.conftest import OpenService
from tests.support.databases import AnyDatabase
from tests.support.tokens import gate_of

pytestmark = pytest.mark.sqlite

LANE = FastPath("/graphql", body_max_bytes=10_000)
ORDERS = "{ orders { nodes { id } } }"


@pytest.fixture
async def run(open_service: OpenService, database: AnyDatabase) -> AsyncIterator[Run]:
    gate = gate_of(database)
    async with gate.access.opened(), open_service() as service:
        yield Run(service, gate, Operations(build_engine(), service, compiled=True))


def scope_of(run: Run, headers: list[tuple[bytes, bytes]]) -> Any:
    return {
        "type": "http",
        "scheme": "http",
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 5),
        "headers": headers,
        "state": state_of_run(run),
    }


def headers_of(request: bytes) -> list[tuple[bytes, bytes]]:
    """Return the headers as a server has them."""
    lines = request.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    pairs = [line.partition(b": ") for line in lines]
    return [(name.lower(), value) for name, _, value in pairs]


@pytest.mark.parametrize("client", [PLAIN, *CLIENTS, GET], ids=lambda client: client.name)
async def test_clients_that_people_use_are_in_the_lane(run: Run, client: Client) -> None:
    request = client.request(ORDERS, {})
    headers = [pair for pair in headers_of(request) if not pair[0].startswith(b"x-forwarded")]
    head, _, body = request.partition(b"\r\n\r\n")
    query = head.split(b" ")[1].partition(b"?")[2]
    answers: list[bool] = []
    for _ in range(2):
        raw = PostedRequest(body) if client.method == "POST" else QueriedRequest(query)
        begun = LANE.begin(scope_of(run, headers), raw)
        assert begun is not None
        answers.append(isinstance(begun, Answer))
        answer = begun if isinstance(begun, Answer) else await begun
        assert (answer.status, answer.body) == (200, b'{"data":{"orders":{"nodes":[]}}}')
    assert answers == [False, True], "the second time it is known"


USUAL = [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")]


@pytest.mark.parametrize(
    "headers",
    [
        [(b"host", b"127.0.0.1")],
        [*USUAL, (b"accept", b"text/html")],
        [*USUAL, (b"accept", b"text/html, application/json")],
        [*USUAL, (b"accept", b"image/png")],
        [*USUAL, (b"accept", b"a" * 300)],
        [*USUAL, (b"accept", b"*/*"), (b"accept", b"*/*")],
        [*USUAL, (b"content-encoding", b"gzip")],
        [*USUAL, (b"origin", b"https://elsewhere.example")],
        [*USUAL, (b"sec-fetch-site", b"cross-site")],
        [(b"host", b"elsewhere.example"), USUAL[1]],
        [USUAL[0], (b"content-type", b"text/plain")],
        [*USUAL, (b"via", b"1.1 proxy")],
    ],
)
async def test_what_is_unusual_is_left_to_the_layers(
    run: Run, headers: list[tuple[bytes, bytes]]
) -> None:
    assert LANE.begin(scope_of(run, headers), PostedRequest(b"{}")) is None
