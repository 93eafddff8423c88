"""What a stranger may cost before anybody has asked for a token: memory, time, descriptors."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.orders import CREATE_ORDER
from tests.support.raw_http import HANDSHAKE, PAST_THE_LANE, RawClient, chunked, connected, request
from tests.support.server import ServerProcess
from tests.support.waiting import wait_until

pytestmark = pytest.mark.sqlite

ORDERS = {"query": "{ orders { nodes { id } } }"}
PAGE = {"query": "{ orders(first: 200) { nodes { items { name } } } }"}
# More than the system takes off our hands for a client that doesn't read.
PAGES = {"query": PAGE["query"].replace("{", "{ a: ", 1)[:-2] + PAGE["query"][1:]}
HEAD = b"POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\n"
KIB = 1024


def resident_mib(server: ServerProcess) -> float:
    return float(server.process.memory_info().rss / 2**20)


def code_of(body: bytes) -> str:
    return str(json.loads(body)["errors"][0]["extensions"]["code"])


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


@pytest.fixture(scope="module")
def impatient_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One with pages of 2.6 MB each, which gives its clients half a second for 4 KiB."""
    folder: Path = tmp_path_factory.mktemp("impatient")
    # Compiled in any case: what graphql-core answers isn't shared, and takes a second for each.
    with ServerProcess(folder, client_timeout_seconds=0.5, compiled_operations=True) as server:
        fill(server)
        yield server


def fill(server: ServerProcess) -> None:
    items = [{"name": "x" * 100, "quantity": 1}] * 100
    for _ in range(200):
        server.data(CREATE_ORDER, input={"table": "1", "items": items})


def is_dropped(client: RawClient) -> bool:
    """Tell whether the server has ended a connection that is read from no more."""
    try:
        client.send(b"G")
    except ConnectionError:
        return True
    return False


def test_slow_readers_share_what_they_read_and_are_dropped(impatient_server: ServerProcess) -> None:
    before = resident_mib(impatient_server)
    with ExitStack() as stack:
        readers = [
            stack.enter_context(connected(impatient_server, receive_bytes=4096)) for _ in range(60)
        ]
        for reader in readers:
            reader.send(request(PAGES))
        for reader in readers:
            assert reader.read(15) == b"HTTP/1.1 200 OK"
        assert resident_mib(impatient_server) < before + 60
        wait_until(lambda: all(map(reads_a_little, readers)), "slow readers to be dropped")


def reads_a_little(client: RawClient) -> bool:
    """Read 100 bytes: with 60 of these, less than 4 KiB in half a second for each."""
    try:
        client.read(100)
    except ConnectionError:
        return True
    return is_dropped(client)


def test_peer_that_closes_its_socket_and_doesnt_read_is_dropped(
    impatient_server: ServerProcess,
) -> None:
    follow = {"query": "subscription { orderCreated(last: 200) { items { name } } }"}
    messages = [{"type": "connection_init"}] + [
        {"type": "subscribe", "id": str(number), "payload": follow} for number in range(5)
    ]
    with connected(impatient_server, receive_bytes=4096) as client:
        client.send(HANDSHAKE)
        assert client.answer()[0] == 101
        for message in messages:
            client.send(frame(json.dumps(message).encode(), 0x81))
        assert client.read(1000)
        assert is_open(impatient_server, client)
        client.send(frame(b"\x03\xe8", 0x88))
        wait_until(lambda: not is_open(impatient_server, client), "the socket to be dropped")


def is_open(server: ServerProcess, client: RawClient) -> bool:
    """Tell whether the server has a descriptor of a connection."""
    connections = server.process.net_connections()
    return client.port in {each.raddr.port for each in connections if len(each.raddr)}


def frame(payload: bytes, kind: int) -> bytes:
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    return bytes([kind]) + length + b"\0\0\0\0" + payload


def test_answers_that_nobody_reads_are_bounded_in_all(tmp_path: Path) -> None:
    """Those who have waited longest are dropped; whoever reads goes on."""
    with ServerProcess(
        tmp_path, http_unsent_max_bytes=8 * 2**20, client_timeout_seconds=60
    ) as server:
        fill(server)
        with ExitStack() as stack:
            silent = [stack.enter_context(connected(server, receive_bytes=4096)) for _ in range(30)]
            for number, client in enumerate(silent):
                # Each page is another answer, so nothing is shared.
                page = f"{{ a{number}: orders(first: 200) {{ nodes {{ items {{ name }} }} }} }}"
                client.send(request({"query": page}))
                assert client.read(15) == b"HTTP/1.1 200 OK"
            wait_until(lambda: is_dropped(silent[0]), "the one that has waited longest")
            assert not is_dropped(silent[-1])
            assert resident_mib(server) < 250
            assert len(server.data(PAGE["query"])["orders"]["nodes"]) == 200


def test_answers_that_one_client_doesnt_read_are_bounded(tmp_path: Path) -> None:
    with ServerProcess(
        tmp_path,
        http_unsent_max_bytes_per_client=4 * 2**20,
        client_timeout_seconds=60,
        trusted_proxies="192.0.2.1",
    ) as server:
        fill(server)
        with ExitStack() as stack:
            silent = [stack.enter_context(connected(server, receive_bytes=4096)) for _ in range(12)]
            for client in silent:
                client.send(request(PAGE))
                assert client.read(15) == b"HTTP/1.1 200 OK"
            wait_until(lambda: is_dropped(silent[0]), "the one that has waited longest")
            assert not is_dropped(silent[-1])


@contextmanager
def connections(server: ServerProcess, count: int) -> Iterator[list[RawClient]]:
    """Open so many connections that have been heard of: each has asked and been answered."""
    with ExitStack() as stack:
        opened = [stack.enter_context(connected(server)) for _ in range(count)]
        for client in opened:
            client.send(request(ORDERS))
            client.data()
        yield opened


@pytest.mark.parametrize(
    ("settings", "status"),
    [
        ({"max_http_connections": 5}, 503),
        ({"max_http_connections_per_client": 5, "trusted_proxies": "192.0.2.1"}, 429),
    ],
    ids=["in all", "of one client"],
)
def test_one_connection_too_many_is_told_so(
    tmp_path: Path, settings: dict[str, Any], status: int
) -> None:
    with ServerProcess(tmp_path, **settings) as server:
        server.http.close()  # what it has asked so far has a connection
        with ExitStack() as stack, connections(server, 4) as opened:
            upgraded = stack.enter_context(connected(server))
            upgraded.send(HANDSHAKE)
            assert upgraded.answer()[0] == 101  # from here on it is counted with the sockets
            fifth = stack.enter_context(connected(server))
            fifth.send(request(ORDERS))
            assert fifth.data()
            with connected(server) as sixth:
                sixth.send(request(ORDERS))
                answered, headers, body = sixth.answer()
                assert (answered, code_of(body)) == (status, "TOO_MANY_CONNECTIONS")
                assert int(headers["retry-after"]) > 0
                assert sixth.is_closed()
            opened[0].close()

            def has_room() -> bool:
                with connected(server) as again, suppress(ConnectionError):
                    again.send(request(ORDERS))
                    return again.answer()[0] == 200
                return False

            wait_until(has_room, "room for another")


def test_a_trusted_proxy_is_not_one_client(tmp_path: Path) -> None:
    with (
        ServerProcess(tmp_path, max_http_connections_per_client=2) as server,
        connections(server, 10) as opened,
    ):
        assert len(opened) == 10
