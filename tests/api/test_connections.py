"""HTTP connections as bytes: requests in pieces, pipelined or slow, clients that don't read."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.orders import CREATE_ORDER, soup_input
from tests.support.raw_http import HANDSHAKE, PAST_THE_LANE, WAYS, chunked, connected, request
from tests.support.server import ServerProcess
from tests.support.waiting import wait_until

pytestmark = pytest.mark.sqlite

ORDERS = {"query": "{ orders { nodes { id } } }"}
# Introspection is not compiled: it goes past the fast lane.
TYPES = {"query": "{ __schema { queryType { name } } }"}


def order(table: str) -> dict[str, object]:
    return {"query": CREATE_ORDER, "variables": {"input": soup_input(table=table)}}


@pytest.fixture(scope="module")
def impatient_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder: Path = tmp_path_factory.mktemp("impatient")
    with ServerProcess(folder, client_timeout_seconds=0.5) as server:
        yield server


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_request_may_come_in_any_two_pieces(shared_server: ServerProcess, way: str) -> None:
    whole = request(ORDERS, headers=way)
    with connected(shared_server) as client:
        client.send(whole)
        expected = client.data()
        for cut in range(1, len(whole), 7):
            client.send(whole[:cut])
            client.send(whole[cut:])
            assert client.data() == expected, cut


def _request(payload: object, headers: str) -> bytes:
    return request(payload, headers=headers)


def test_pipelined_requests_are_answered_in_their_order(server: ServerProcess) -> None:
    kinds = [order("first"), TYPES, ORDERS, order("second"), order("third"), TYPES, ORDERS]
    with connected(server) as client:
        ways = [PAST_THE_LANE if kind is ORDERS else "" for kind in kinds]
        client.send(b"".join(map(_request, kinds, ways)))
        answers = [client.data() for _ in kinds]
    assert [next(iter(answer)) for answer in answers] == [
        "createOrder",
        "__schema",
        "orders",
        "createOrder",
        "createOrder",
        "__schema",
        "orders",
    ]
    assert answers[2] == {"orders": {"nodes": [{"id": "1"}]}}
    assert answers[6] == {"orders": {"nodes": [{"id": "3"}, {"id": "2"}, {"id": "1"}]}}


def test_body_in_chunks(shared_server: ServerProcess) -> None:
    with connected(shared_server) as client:
        client.send(chunked(ORDERS))
        assert "orders" in client.data()


def test_client_that_waits_for_100_continue(shared_server: ServerProcess) -> None:
    whole = request(ORDERS, headers="Expect: 100-continue\r\n")
    head, _, body = whole.partition(b"\r\n\r\n")
    with connected(shared_server) as client:
        client.send(head + b"\r\n\r\n")
        assert client.answer()[0] == 100
        client.send(body)
        assert "orders" in client.data()


@pytest.mark.parametrize(
    ("version", "headers"), [("1.0", ""), ("1.1", "Connection: close\r\n")], ids=["1.0", "close"]
)
def test_connection_is_closed_when_the_client_asks_for_it(
    shared_server: ServerProcess, version: str, headers: str
) -> None:
    with connected(shared_server) as client:
        client.send(request(ORDERS, version=version, headers=headers))
        status, answered, _ = client.answer()
        assert (status, answered["connection"]) == (200, "close")
        assert client.is_closed()


def test_answers_have_the_headers_of_every_answer(shared_server: ServerProcess) -> None:
    with connected(shared_server) as client:
        client.send(request(ORDERS))
        _, headers, _ = client.answer()
        client.send(request(ORDERS, headers=PAST_THE_LANE))
        _, of_view, _ = client.answer()
    assert headers.keys() == of_view.keys()
    assert headers["vary"] == of_view["vary"] == "accept"
    assert headers["content-type"].startswith("application/json")


SLOW = {
    "says nothing": b"",
    "half a header": b"POST /graphql HTTP/1.1\r\nHost: 127",
    "half a body": request(ORDERS)[:-5],
    "half a body, past the lane": request(ORDERS, version="1.0")[:-5],
    "half a handshake": b"GET /graphql HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
}


@pytest.mark.parametrize("beginning", SLOW.values(), ids=SLOW.keys())
def test_slow_client_is_disconnected(impatient_server: ServerProcess, beginning: bytes) -> None:
    with connected(impatient_server) as client:
        client.send(beginning)
        assert client.is_closed()


def test_dribbling_client_is_disconnected(impatient_server: ServerProcess) -> None:
    """Each byte is a sign of life, and none of them buys time."""
    with connected(impatient_server) as client:
        client.send(request(ORDERS)[:20])

        def is_dropped() -> bool:
            try:
                client.send(b"x")
            except ConnectionError:
                return True
            return False

        wait_until(is_dropped, "the server to lose its patience")


def test_idle_connection_is_closed_after_its_answer(impatient_server: ServerProcess) -> None:
    for payload in (ORDERS, TYPES):
        with connected(impatient_server) as client:
            client.send(request(payload))
            client.data()
            assert client.is_closed()


def test_patience_is_for_clients_only(impatient_server: ServerProcess) -> None:
    """A commit that takes longer than clients may is waited for."""
    with connected(impatient_server) as client:
        with impatient_server.held_lock():
            client.send(request(order("7")))
            with connected(impatient_server) as another:
                assert another.is_closed()  # so the time is up
        assert client.data()["createOrder"]


def test_client_that_does_not_read_is_dropped(impatient_server: ServerProcess) -> None:
    items = [{"name": "x" * 100, "quantity": 1}] * 100
    large = {
        "query": CREATE_ORDER,
        "variables": {"input": {"table": "1", "items": items}},
    }
    page = request({"query": "{ orders(first: 200) { nodes { items { name } } } }"})
    with connected(impatient_server) as client:
        for _ in range(20):
            client.send(request(large))
            client.data()
    with connected(impatient_server) as client:

        def is_dropped() -> bool:
            try:
                client.send(page)
            except ConnectionError:
                return True
            return False

        wait_until(is_dropped, "the server to lose its patience")
    assert impatient_server.process.memory_info().rss < 300 * 2**20


def test_pings_of_a_client_that_does_not_read_end_its_socket(shared_server: ServerProcess) -> None:
    """Each wants an answer, and answers that nobody reads would pile up in memory."""
    pings = (b"\x89\xfd\0\0\0\0" + b"p" * 125) * 1000
    with connected(shared_server) as client:
        client.send(HANDSHAKE)
        assert client.answer()[0] == 101
        for _ in range(1000):
            try:
                client.send(pings)
            except ConnectionError:
                break
        else:
            pytest.fail("the server goes on answering a client that doesn't read")


def test_client_that_reads_slowly_gets_all_of_it(impatient_server: ServerProcess) -> None:
    """It may take longer than the service waits for one that doesn't read at all."""
    names = [{"name": "x" * 100, "quantity": 1}] * 100
    large = {"query": CREATE_ORDER, "variables": {"input": {"table": "1", "items": names}}}
    page = "orders(first: 200) { nodes { items { name } } }"
    with connected(impatient_server) as client:
        for _ in range(30):
            client.send(request(large))
            client.data()
    began = time.monotonic()
    with connected(impatient_server, receive_bytes=16_384) as client:
        client.send(request({"query": "{" + " ".join(f"a{n}: {page}" for n in range(15)) + "}"}))
        status, _, body = client.answer(pause_seconds=0.01)
    assert status == 200
    assert len(json.loads(body)["data"]) == 15
    assert time.monotonic() - began > 2 * 0.5, "so slowly that it shows something"


@pytest.mark.parametrize("headers", WAYS.values(), ids=WAYS.keys())
def test_body_over_the_limit_is_refused_on_every_way(
    shared_server: ServerProcess, headers: str
) -> None:
    for size in (131_072, 131_073, 180_000):
        head, _, body = request(ORDERS, headers=headers).partition(b"\r\n\r\n")
        body += b" " * (size - len(body))
        head = re.sub(rb"Content-Length: \d+", b"Content-Length: %d" % size, head)
        with connected(shared_server) as client:
            client.send(head + b"\r\n\r\n" + body)
            assert client.answer()[0] == (200 if size == 131_072 else 413), size


def test_trailers_are_no_headers(shared_server: ServerProcess) -> None:
    body = json.dumps(ORDERS).encode()
    whole = (
        b"POST /graphql HTTP/1.1\r\nHost: evil.example\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\nhost: localhost\r\n\r\n"
    )
    with connected(shared_server) as client:
        client.send(whole % (len(body), body))
        assert client.answer()[0] == 403
