"""One connection, many requests: each is answered once, with its own answer, or the end comes.

Whoever can make the server take bytes of one request for another writes requests in the name of
those who share a proxy's connection with them.
"""

import json
import re
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.orders import CREATE_ORDER, soup_input
from tests.support.raw_http import (
    HANDSHAKE,
    PAST_THE_LANE,
    WAYS,
    chunked,
    connected,
    request,
)
from tests.support.server import ServerProcess

pytestmark = pytest.mark.sqlite

LANE = {"query": "{ orders(first: 1) { nodes { id } } }"}
TYPES = {"query": "{ __schema { queryType { name } } }"}
SMUGGLED = b"GET /graphql?query={smuggled:__typename} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Ignore: "
UPGRADES = {
    "h2c": "Connection: Upgrade\r\nUpgrade: h2c\r\n",
    "as Java": "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAE\r\n",
    "TLS": "Connection: keep-alive, upgrade\r\nUpgrade: TLS/1.0\r\n",
    "two names": "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n",
    "twice": "Connection: Upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket\r\n",
    "websocket by POST": "Connection: Upgrade\r\nUpgrade: websocket\r\n",
    "two lists": "Connection: Upgrade\r\nConnection: keep-alive\r\nUpgrade: websocket\r\n",
}


def order(table: str) -> dict[str, object]:
    return {"query": CREATE_ORDER, "variables": {"input": soup_input(table=table)}}


@pytest.mark.parametrize("payload", [LANE, TYPES], ids=["compiled", "generic"])
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
@pytest.mark.parametrize("upgrade", UPGRADES.values(), ids=UPGRADES.keys())
def test_upgrade_that_is_no_handshake_is_an_ordinary_header(
    shared_server: ServerProcess, upgrade: str, way: str, payload: dict[str, str]
) -> None:
    upgrade += way
    with connected(shared_server) as client:
        client.send(request(payload))
        expected = client.data()
        for whole in (request(payload, headers=upgrade), chunked(payload, headers=upgrade)):
            client.send(whole)
            assert client.data() == expected
            client.send(request(payload))
            assert client.data() == expected


def test_upgrade_may_be_split_at_every_byte(shared_server: ServerProcess) -> None:
    whole = request(LANE, headers=UPGRADES["as Java"])
    with connected(shared_server) as client:
        client.send(whole)
        expected = client.data()
        for cut in range(1, len(whole)):
            client.send(whole[:cut])
            client.send(whole[cut:])
            assert client.data() == expected, cut


@pytest.mark.parametrize("upgrade", UPGRADES.values(), ids=UPGRADES.keys())
def test_body_behind_an_upgrade_never_becomes_a_request(
    server: ServerProcess, upgrade: str
) -> None:
    """What an attacker sent through a proxy, and the next client on the proxy's connection."""
    body = b"\r\n" * 60_000 + SMUGGLED
    head, _, _ = request(LANE, headers=upgrade).partition(b"\r\n\r\n")
    head = re.sub(rb"Content-Length: \d+", b"Content-Length: %d" % len(body), head)
    with connected(server) as client:
        for number in range(3):
            client.send(head + b"\r\n\r\n" + body)
            assert client.answer()[0] == 400
            client.send(request(order(f"victim {number}")))
            placed = client.data()["createOrder"]
            assert f"victim {number}" in json.dumps(placed)


def test_rubbish_behind_an_order_doesnt_answer_for_it(server: ServerProcess) -> None:
    with connected(server) as client:
        with server.held_lock():
            client.send(request(order("7")) + b"\x00rubbish\r\n\r\n")
            server.http.get("/healthz")  # so it has been read
        assert client.data()["createOrder"]
        assert client.answer()[0] == 400
        assert client.is_closed()


def test_handshake_behind_an_order_waits_for_its_answer(server: ServerProcess) -> None:
    with connected(server) as client:
        with server.held_lock():
            client.send(request(order("7")) + HANDSHAKE)
            server.http.get("/healthz")
        assert client.data()["createOrder"]
        assert client.answer()[0] == 101


def test_frames_behind_a_handshake_wait_for_its_answer(server: ServerProcess) -> None:
    """Clients must wait for it; those that don't get no frame into the answer's place."""
    ping, message = b"\x89\x80\0\0\0\0", b'{"type":"connection_init"}'
    frame = b"\x81" + bytes([0x80 | len(message)]) + b"\0\0\0\0" + message
    with connected(server) as client:
        client.send(HANDSHAKE + ping + frame)
        assert client.answer()[0] == 101
        assert client.read(2) == b"\x8a\x00", "a pong"
        assert b"connection_ack" in client.read(40)


BROKEN_HANDSHAKES = {
    "length": HANDSHAKE.replace(b"\r\n\r\n", b"\r\nContent-Length: 10\r\n\r\n"),
    "chunks": HANDSHAKE.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n"),
    "long line": HANDSHAKE.replace(b"\r\n\r\n", b"\r\nCookie: " + b"x" * 9000 + b"\r\n\r\n"),
    "no key": re.sub(rb"Sec-WebSocket-Key: .*\r\n", b"", HANDSHAKE),
    "path": HANDSHAKE.replace(b"/graphql", b"/gr\xe4phql"),
    "header": HANDSHAKE.replace(b"\r\n\r\n", b"\r\nX: \x01\r\n\r\n"),
}


@pytest.mark.parametrize("handshake", BROKEN_HANDSHAKES.values(), ids=BROKEN_HANDSHAKES.keys())
def test_broken_handshake_is_answered_and_closed(
    shared_server: ServerProcess, handshake: bytes
) -> None:
    with connected(shared_server) as client:
        client.send(handshake)
        assert client.answer()[0] in (400, 431)
        assert client.is_closed()


def test_target_may_have_a_scheme_and_a_host(shared_server: ServerProcess) -> None:
    """(RFC 9112, 3.2.2.) The host counts instead of the header's, for the gate as well."""
    own, other = b"http://127.0.0.1:8000/graphql ", b"http://evil.example/graphql "
    handshake = HANDSHAKE.replace(b"127.0.0.1", b"evil.example")
    posted = request(LANE).replace(b"Host: 127.0.0.1", b"Host: evil.example")
    for whole, expected in ((posted, 200), (handshake, 101)):
        for target, status in ((own, expected), (other, 403)):
            with connected(shared_server) as client:
                client.send(whole.replace(b"/graphql ", target))
                assert client.answer()[0] == status


def test_client_that_sends_no_more_is_answered(server: ServerProcess) -> None:
    """As `nc -N` and some gateways do. Unanswered, an order without a key would be sent again."""
    for whole in (
        request(order("lane")),
        request(order("view"), headers=PAST_THE_LANE),
    ):
        with connected(server) as client:
            with server.held_lock():
                client.send(whole + request(LANE) + b"POST /gra")
                client.send_no_more()
                server.http.get("/healthz")
            assert client.data()["createOrder"]
            assert client.data()["orders"]
            assert client.is_closed()


@pytest.mark.parametrize("way", WAYS)
def test_the_same_head_again_says_the_same(shared_server: ServerProcess, way: str) -> None:
    """It is not parsed a third time; bodies are their own, and so is what stands between."""

    def asking(name: str) -> bytes:
        # As long as each other, with what looks like a request inside.
        text = f"{name}\r\n\r\n{SMUGGLED.decode()}"
        return request({"query": f"{{ {name}: __typename }}", "x": text}, headers=WAYS[way])

    by_get = b"GET /graphql?query={got:__typename} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with connected(shared_server) as client:
        for number, cut in enumerate([-1, -1, -1, 30, -40, -1]):
            data = asking(f"n{number}")
            client.send(data[:cut])
            assert shared_server.http.get("/healthz").status_code == 200  # it has been read
            client.send(data[cut:])
            assert client.data() == {f"n{number}": "Query"}
        # The parser's own last word is on another head than the one that comes next.
        for between in (by_get, chunked({"query": "{ got: __typename }"}), by_get):
            client.send(between[:20])
            client.send(between[20:])
            assert client.data() == {"got": "Query"}
            client.send(asking("n7") + asking("n8") + by_get + asking("n9"))
            assert [client.data() for _ in range(4)] == [
                {"n7": "Query"},
                {"n8": "Query"},
                {"got": "Query"},
                {"n9": "Query"},
            ]


@dataclass(frozen=True)
class Sent:
    """A request or what looks like one, the answer that it must get, and whether it is the last."""

    name: str
    data: bytes
    status: int
    key: str | None = None
    is_last: bool = False


def kinds(number: int) -> list[Sent]:
    """Return one of each kind; the answers of good ones have a key of their own."""
    key = f"n{number}"
    lane = {"query": f"{{ {key}: orders(first: 1) {{ nodes {{ id }} }} }}"}
    types = {"query": f"{{ {key}: __typename __schema {{ queryType {{ name }} }} }}"}
    place = CREATE_ORDER.replace("createOrder(", f"{key}: createOrder(")
    placing = {"query": place, "variables": {"input": soup_input(table=key)}}
    good = [
        Sent(f"{name} {way} {upgrade}", make(payload, headers=headers + also), 200, key)
        for name, payload in (("page", lane), ("types", types), ("order", placing))
        for way, also in WAYS.items()
        for upgrade in ("", "h2c", "TLS", "websocket by POST")
        for headers in (UPGRADES.get(upgrade, ""),)
        for make in (request, chunked)
    ]
    smuggling = request({"query": "{ x }", "text": "\r\n\r\n" + SMUGGLED.decode()})
    raw = re.sub(rb"Content-Length: \d+", b"Content-Length: %d" % len(SMUGGLED), smuggling)
    raw = raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + SMUGGLED
    with_both = request(lane, headers="Transfer-Encoding: chunked\r\n")
    return [
        *good,
        Sent("smuggled as a body", raw, 400),
        Sent(
            "... behind h2c",
            raw.replace(b"\r\n", b"\r\nConnection: upgrade\r\nUpgrade: h2c\r\n", 1),
            400,
        ),
        Sent("empty lines first", b"\r\n\r\n\r\n" + request(lane), 200, key),
        Sent("closed on demand", request(lane, headers="Connection: close\r\n"), 200, key, True),
        Sent("HTTP/1.0", request(types, version="1.0"), 200, key, True),
        Sent("length and chunks", with_both, 400, None, True),
        Sent(
            "other coding",
            request(lane).replace(b"Content-Length", b"Transfer-Encoding: gzip, chunked\r\nX"),
            501,
            None,
            True,
        ),
        Sent("rubbish", b"\x16\x03\x01\x02\x00" + SMUGGLED + b"\r\n\r\n", 400, None, True),
        Sent(
            "tunnel",
            b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n" + SMUGGLED + b"\r\n\r\n",
            405,
            None,
            True,
        ),
        Sent("HTTP/0.9", b"GET /graphql\r\n\r\n", 505, None, True),
        Sent("handshake with a body", BROKEN_HANDSHAKES["length"] + SMUGGLED, 400, None, True),
        Sent("bad chunk", chunked(types)[:-7] + b"zz\r\n\r\n" + SMUGGLED, 400, None, True),
    ]


KINDS = len(kinds(0))


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    # The same one several times: the same head again is not parsed again.
    chosen=st.lists(
        st.tuples(st.integers(0, KINDS - 1), st.sampled_from([1, 1, 2, 4])), min_size=1, max_size=5
    ),
    cuts=st.lists(st.integers(1, 400), max_size=12),
)
def test_each_request_gets_its_own_answer_or_the_end(
    shared_server: ServerProcess, chosen: list[tuple[int, int]], cuts: list[int]
) -> None:
    repeated = [kind for kind, times in chosen for _ in range(times)]
    sent = [kinds(position)[kind] for position, kind in enumerate(repeated)]
    sent.append(kinds(len(sent))[0])
    last = next((n for n, each in enumerate(sent) if each.is_last), len(sent) - 1)
    whole = b"".join(each.data for each in sent)
    with connected(shared_server) as client:
        start = 0
        for length in cuts:
            client.send_if_open(whole[start : start + length])
            start += length
        client.send_if_open(whole[start:])
        for each in sent[: last + 1]:
            status, _, body = client.answer()
            assert status == each.status, (each.name, body)
            assert b"smuggled" not in body.replace(b"smuggled:", b"")
            if each.key is not None:
                assert each.key in json.loads(body)["data"], (each.name, body)
        if sent[last].is_last:
            assert client.is_closed()
