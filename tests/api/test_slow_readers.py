"""Clients that don't read what they have asked for cost no more than is allowed."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.support.orders import CREATE_ORDER
from tests.support.raw_http import HANDSHAKE, RawClient, connected, is_open, request, resident_mib
from tests.support.server import ServerProcess
from tests.support.waiting import wait_until

pytestmark = pytest.mark.sqlite

PAGE = {"query": "{ orders(first: 200) { nodes { items { name } } } }"}
# More than the system takes off our hands for a client that doesn't read.
PAGES = {"query": PAGE["query"].replace("{", "{ a: ", 1)[:-2] + PAGE["query"][1:]}


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


def page_of(alias: str) -> str:
    """Return two pages that have an answer of their own, so nothing is shared."""
    return PAGES["query"].replace("a:", f"{alias}:")


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
    follow = "subscription { orderCreated(last: 200) { items { name } } }"
    with connected_socket(impatient_server) as client:
        for number in range(5):
            client.send(subscribe(number, follow))
        assert client.read(1000)
        assert is_open(impatient_server, client)
        client.send(frame(b"\x03\xe8", 0x88))
        wait_until(lambda: not is_open(impatient_server, client), "the socket to be dropped")


def newest_of(alias: str) -> str:
    return f"subscription {{ orderCreated(last: 200) {{ {alias}: items {{ name }} }} }}"


def order_of(alias: str) -> str:
    items = f"""[{", ".join(['{name: "x", quantity: 1}'] * 100)}]"""
    names = " ".join(f"{alias}_{number}: name" for number in range(15))
    given = f"""{{table: "1", items: {items}}}"""
    return f"mutation {{ createOrder(input: {given}) {{ order {{ items {{ {names} }} }} }} }}"


@pytest.mark.parametrize("query_of", [page_of, newest_of, order_of])
def test_socket_that_isnt_read_keeps_little(
    impatient_server: ServerProcess, query_of: Callable[[str], str]
) -> None:
    """The server reads no more of it either: refusals have to be read too."""
    before = resident_mib(impatient_server)
    with connected_socket(impatient_server) as client:
        padding = {"padding": "x" * 50_000}
        taken = client.send_until_none_is_taken(
            subscribe(number, query_of(f"a{number}"), extensions=padding) for number in range(1_000)
        )
        assert taken < 500
        assert resident_mib(impatient_server) < before + 120  # thousands if each answer waited


def test_answers_that_sockets_dont_read_are_bounded(tmp_path: Path) -> None:
    """As those over HTTP: those who have waited longest are dropped."""
    with ServerProcess(
        tmp_path, http_unsent_max_bytes=8 * 2**20, client_timeout_seconds=60
    ) as server:
        fill(server)
        with ExitStack() as stack:
            silent = [stack.enter_context(connected_socket(server)) for _ in range(30)]
            for number, client in enumerate(silent):
                client.send(subscribe(1, page_of(f"a{number}")))
                client.read(1000)
            wait_until(lambda: not is_open(server, silent[0]), "the one that has waited longest")
            assert is_open(server, silent[-1])
            assert resident_mib(server) < 250
            assert len(server.data(PAGE["query"])["orders"]["nodes"]) == 200


@contextmanager
def connected_socket(server: ServerProcess) -> Iterator[RawClient]:
    """Connect a socket that is acknowledged, of which next to nothing is read."""
    with connected(server, receive_bytes=4096) as client:
        client.send(HANDSHAKE)
        assert client.answer()[0] == 101
        client.send(frame(json.dumps({"type": "connection_init"}).encode(), 0x81))
        yield client


def subscribe(number: int, query: str, **payload: object) -> bytes:
    message = {"type": "subscribe", "id": str(number), "payload": {"query": query, **payload}}
    return frame(json.dumps(message).encode(), 0x81)


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
                client.send(request({"query": page_of(f"a{number}")}))
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
