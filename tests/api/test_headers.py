"""Headers that decide something: said once, they count; said twice, nobody guesses.

Every request is sent as the fast lane takes it, as a proxy forwards it, and past the lane.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.orders import CREATE_ORDER, soup_input
from tests.support.raw_http import PAST_THE_LANE, connected, request
from tests.support.server import ServerProcess
from tests.support.waiting import wait_until

pytestmark = pytest.mark.sqlite

LISTED = "https://pos.example.com"
ORDERS = {"query": "{ orders { nodes { id } } }"}
CREATE = {"query": CREATE_ORDER, "variables": {"input": soup_input()}}
WAYS = {"lane": "", "forwarded": "X-Forwarded-For: 127.0.0.1\r\n", "view": PAST_THE_LANE}
HANDSHAKE = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    "Sec-WebSocket-Protocol: graphql-transport-ws\r\n"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder: Path = tmp_path_factory.mktemp("headers")
    with ServerProcess(folder, allowed_origins=LISTED) as started:
        yield started


@pytest.fixture(scope="module")
def authorization(closed_server: ServerProcess) -> str:
    """The header of a token that the closed server knows."""
    created = closed_server.command("token", "create", "--role", "manager", "--name", "till")
    (token,) = re.findall(r"b92_\w+", created.stdout)
    header = f"Authorization: Bearer {token}\r\n"
    wait_until(lambda: post(closed_server, ORDERS, header)[0] == 200, "the token to be known")
    return header


@pytest.fixture(scope="module")
def closed_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder: Path = tmp_path_factory.mktemp("closed")
    with ServerProcess(folder) as started:
        yield started


def exchange(server: ServerProcess, data: bytes) -> tuple[int, dict[str, str], bytes]:
    with connected(server) as client:
        client.send(data)
        return client.answer()


def post(server: ServerProcess, payload: object, headers: str) -> tuple[int, dict[str, str], bytes]:
    return exchange(server, request(payload, headers=headers))


def assert_bad(answer: tuple[int, dict[str, str], bytes], name: str) -> None:
    status, headers, body = answer
    assert status == 400, answer
    (error,) = json.loads(body)["errors"]
    assert error["extensions"] == {"code": "BAD_REQUEST"}
    assert name in error["message"]
    assert headers["x-request-id"]


def count(server: ServerProcess) -> int:
    return len(server.data("{ orders(first: 200) { nodes { id } } }")["orders"]["nodes"])


PATHS = ["/graphql", "/graphql?query=%7B__typename%7D", "/", "/healthz", "/readyz", "/nothing"]


@pytest.mark.parametrize("more", ["", HANDSHAKE], ids=["http", "socket"])
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "hosts",
    ["", "Host: 127.0.0.1\r\nHost: 127.0.0.1\r\n", "Host: 127.0.0.1\r\nhOST: evil.example\r\n"],
    ids=["none", "twice", "two"],
)
def test_request_without_exactly_one_host_is_bad(
    server: ServerProcess, hosts: str, path: str, more: str
) -> None:
    answer = exchange(server, f"GET {path} HTTP/1.1\r\n{hosts}{more}\r\n".encode())
    assert_bad(answer, "Host")


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_order_without_exactly_one_host_is_not_placed(server: ServerProcess, way: str) -> None:
    before = count(server)
    whole = request(CREATE, headers=way)
    for hosts in (
        b"",
        b"Host: 127.0.0.1\r\nHost: 127.0.0.1\r\n",
        b"Host: a\r\nHost: 127.0.0.1\r\n",
    ):
        assert_bad(exchange(server, whole.replace(b"Host: 127.0.0.1\r\n", hosts)), "Host")
    assert count(server) == before


def test_probe_of_http_1_0_needs_no_host(server: ServerProcess) -> None:
    for path in ("/healthz", "/readyz"):
        assert exchange(server, f"GET {path} HTTP/1.0\r\n\r\n".encode())[0] == 200
        twice = f"GET {path} HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n".encode()
        assert_bad(exchange(server, twice), "Host")
    assert exchange(server, b"GET /graphql?query=%7B__typename%7D HTTP/1.0\r\n\r\n")[0] == 403


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
@pytest.mark.parametrize("turn", [1, -1], ids=["listed first", "listed last"])
def test_two_origins_are_bad(server: ServerProcess, turn: int, way: str) -> None:
    before = count(server)
    origins = [f"Origin: {LISTED}\r\n", "Origin: https://evil.example\r\n"][::turn]
    assert_bad(post(server, CREATE, "".join(origins) + way), "origin")
    assert count(server) == before
    head = f"GET /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\n{HANDSHAKE}{''.join(origins)}\r\n"
    assert exchange(server, head.encode())[0] == 400


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
@pytest.mark.parametrize("turn", [1, -1], ids=["good first", "good last"])
def test_two_tokens_are_bad(
    closed_server: ServerProcess, authorization: str, turn: int, way: str
) -> None:
    both = [authorization, "Authorization: Bearer b92_nobody\r\n"][::turn]
    assert_bad(post(closed_server, ORDERS, "".join(both) + way), "authorization")
    assert post(closed_server, ORDERS, authorization * 2 + way)[0] == 200


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
@pytest.mark.parametrize("other", ["text/plain", "application/json; charset=utf-16"])
def test_two_content_types_are_bad(server: ServerProcess, other: str, way: str) -> None:
    before = count(server)
    assert_bad(post(server, CREATE, f"Content-Type: {other}\r\n{way}"), "content-type")
    assert post(server, ORDERS, f"Content-Type: application/json\r\n{way}")[0] == 200
    assert count(server) == before


@pytest.mark.parametrize("trusted", ["127.0.0.1", "192.0.2.1"])
def test_every_proxy_s_line_counts(tmp_path: Path, trusted: str) -> None:
    """The service is open to its own machine: the last proxy on it must not hide the others."""
    inner, outer = "X-Forwarded-For: 127.0.0.1\r\n", "X-Forwarded-For: 203.0.113.9\r\n"
    with ServerProcess(tmp_path, trusted_proxies=trusted) as started:
        for lines in (inner + outer, outer + inner):
            assert post(started, ORDERS, lines)[0] == 401, lines
        assert post(started, ORDERS, inner * 2)[0] == 200


FRAMINGS = {
    "two lengths": "Content-Length: 5\r\n",
    "a length and chunks": "Transfer-Encoding: chunked\r\n",
    "an unknown coding": "Transfer-Encoding: gzip\r\n",
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
@pytest.mark.parametrize("more", FRAMINGS.values(), ids=FRAMINGS.keys())
def test_body_with_two_ends_is_bad(server: ServerProcess, more: str, way: str) -> None:
    before = count(server)
    with connected(server) as client:
        client.send(request(CREATE, headers=more + way))
        assert client.answer()[0] == 400
        assert client.is_closed(), "what follows may be read as a request"
    assert count(server) == before


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
@pytest.mark.parametrize(
    "encoding", ["gzip", "br", "x", "identity, gzip", "GZIP\r\nContent-Encoding: identity"]
)
def test_encoded_body_is_refused(server: ServerProcess, encoding: str, way: str) -> None:
    before = count(server)
    status, headers, body = post(server, CREATE, f"Content-Encoding: {encoding}\r\n{way}")
    assert (status, headers["accept-encoding"]) == (415, "identity")
    assert json.loads(body)["errors"][0]["extensions"] == {"code": "UNSUPPORTED_MEDIA_TYPE"}
    assert count(server) == before


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
@pytest.mark.parametrize("encoding", ["identity", "IDENTITY", "", "identity, identity"])
def test_body_that_says_that_it_is_not_encoded_is_taken(
    server: ServerProcess, encoding: str, way: str
) -> None:
    assert post(server, ORDERS, f"Content-Encoding: {encoding}\r\n{way}")[0] == 200
