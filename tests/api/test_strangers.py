"""What a stranger may cost before anybody has asked for a token: memory, time, descriptors."""

from contextlib import ExitStack, suppress

import pytest

from tests.support.raw_http import (
    HANDSHAKE,
    PAST_THE_LANE,
    chunked,
    code_of,
    connected,
    is_open,
    request,
    resident_mib,
)
from tests.support.server import ServerProcess
from tests.support.waiting import wait_until

pytestmark = pytest.mark.sqlite

ORDERS = {"query": "{ orders { nodes { id } } }"}
HEAD = b"POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\n"
KIB = 1024


TOO_LARGE = {
    "one value": (HEAD + b"X: " + b"x" * 40 * KIB, 431),
    "many headers, unfinished": (HEAD + b"A: b\r\n" * 8000, 431),
    "101 headers": (HEAD + b"A: b\r\n" * 100 + b"\r\n", 431),
    "whole": (HEAD + b"X: " + b"x" * 33 * KIB + b"\r\n\r\n", 431),
    "name": (HEAD + b"x" * 40 * KIB, 431),
    "target": (b"GET /" + b"x" * 40 * KIB, 414),
    "handshake": (HANDSHAKE[:-2] + b"X: " + b"x" * 40 * KIB, 431),
}


@pytest.mark.parametrize(("given", "status"), TOO_LARGE.values(), ids=TOO_LARGE.keys())
@pytest.mark.parametrize("pieces", [1, 7])
def test_head_beyond_the_limit_is_refused_as_it_comes(
    shared_server: ServerProcess, given: bytes, status: int, pieces: int
) -> None:
    with connected(shared_server) as client:
        length = len(given) // pieces + 1
        for start in range(0, len(given), length):
            client.send(given[start : start + length])
        answered, headers, body = client.answer()
        assert (answered, headers["connection"]) == (status, "close")
        assert code_of(body) == {431: "HEADERS_TOO_LARGE", 414: "TARGET_TOO_LONG"}[status]
        assert client.is_closed()


def test_head_within_the_limit_is_served(shared_server: ServerProcess) -> None:
    line = len("X: \r\n")
    for kind in (ORDERS, {"query": "{ __typename }"}):
        space = 32 * KIB - request(kind).index(b"\r\n\r\n") - 4
        padded = request(kind, headers=f"X: {'x' * (space - line)}\r\n")
        assert padded.index(b"\r\n\r\n") + 4 == 32 * KIB
        with connected(shared_server) as client:
            for _ in range(2):
                client.send(padded)
                client.data()
            client.send(request(kind, headers="A: b\r\n" * 97))
            client.data()


def test_endless_headers_take_no_memory(shared_server: ServerProcess) -> None:
    before = resident_mib(shared_server)
    end = chunked(ORDERS)[:-2]
    for beginning, more in (
        (HEAD, b"a: b\r\n"),
        (HEAD + b"X: ", b"x"),
        (b"GET /", b"x"),
        (end, b"a: b\r\n"),
        (end + b"X: ", b"x"),
        (end[:-3] + b"1;", b"x"),
    ):
        with connected(shared_server) as client, suppress(ConnectionError):
            client.send(beginning)
            for _ in range(100):
                client.send((more * 64 * KIB)[: 64 * KIB])
                assert resident_mib(shared_server) < before + 20


def test_trailers_beyond_the_limit_are_refused(shared_server: ServerProcess) -> None:
    for trailer in (b"X: " + b"x" * 40 * KIB, b"a: b\r\n" * 8000):
        with connected(shared_server) as client:
            client.send(chunked(ORDERS)[:-2] + trailer)
            status, _, body = client.answer()
            assert (status, code_of(body)) == (431, "HEADERS_TOO_LARGE")
            assert client.is_closed()


@pytest.mark.parametrize(
    "headers", ["", "X-Forwarded-For: ::1\r\n", PAST_THE_LANE, "Expect: 100-continue\r\n"]
)
def test_body_that_is_announced_too_large_is_not_waited_for(
    shared_server: ServerProcess, headers: str
) -> None:
    head = HEAD + f"Content-Type: application/json\r\n{headers}".encode()
    for length in (131_073, 10**15):
        with connected(shared_server) as client:
            client.send(head + b"Content-Length: %d\r\n\r\n" % length)
            status, _, body = client.answer()
            assert (status, code_of(body)) == (413, "BODY_TOO_LARGE")
            assert client.is_closed()


LONG = {name: f"{name}: {{}}\r\n" for name in ("Accept", "Origin", "Authorization", "Cookie")}
LONG["X-Forwarded-For"] = "X-Forwarded-For: {}\r\n"


@pytest.mark.parametrize("header", LONG.values(), ids=LONG.keys())
def test_what_is_kept_of_headers_is_small(shared_server: ServerProcess, header: str) -> None:
    with connected(shared_server) as client:
        client.send(request(ORDERS))
        client.answer()
        before = resident_mib(shared_server)
        for number in range(1500):
            client.send(request(ORDERS, headers=header.format(f"{number} {'x' * 30_000}")))
            client.answer()
    assert resident_mib(shared_server) < before + 15


def test_content_types_and_hosts_are_not_kept(shared_server: ServerProcess) -> None:
    before = resident_mib(shared_server)
    for old in (b"application/json", b"Host: 127.0.0.1"):
        with connected(shared_server) as client:
            for number in range(1500):
                new = old + b";%d%b" % (number, b"x" * 30_000)
                client.send(request(ORDERS).replace(old, new))
                client.answer()
    assert resident_mib(shared_server) < before + 20


def test_handshakes_that_fail_keep_no_descriptors(shared_server: ServerProcess) -> None:
    """Past the check of names, the token and the limits: they were neither answered nor closed."""
    broken = [
        HANDSHAKE[:-2] + b"Content-Length: 10\r\n\r\n",
        HANDSHAKE[:-2] + b"Transfer-Encoding: chunked\r\n\r\n",
        HANDSHAKE[:-2] + b"X: y\r\n" * 500 + b"\r\n",
        HANDSHAKE[:-2] + b"X: \x01\r\n\r\n",
    ]
    with ExitStack() as stack:
        for number in range(200):
            client = stack.enter_context(connected(shared_server))
            client.send(broken[number % len(broken)])
            assert client.answer()[0] in (400, 431)
            assert client.is_closed()
        wait_until(lambda: not is_open(shared_server, client), "the last one to be given back")
        assert shared_server.process.num_fds() < 100


@pytest.mark.parametrize(
    "wrong",
    [
        HANDSHAKE.replace(b"Version: 13", b"Version: 12"),
        HANDSHAKE.replace(b"Sec-WebSocket-Key", b"X-Key"),
    ],
    ids=["version", "key"],
)
def test_wrong_handshake_is_told_so_like_any_request(
    shared_server: ServerProcess, wrong: bytes
) -> None:
    with connected(shared_server) as client:
        client.send(wrong)
        status, headers, body = client.answer()
        assert (status, code_of(body)) == (400, "BAD_REQUEST")
        assert headers["sec-websocket-version"] == "13"
        assert client.is_closed()
