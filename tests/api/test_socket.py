"""The socket's protocol: each illegal move has its close code, and nothing ends with 1006."""

import json
from contextlib import suppress
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.support.orders import CREATE_ORDER, FOLLOW, soup_input
from tests.support.screen import Screen, open_screen, open_socket
from tests.support.server import ServerProcess
from tests.support.waiting import until

pytestmark = pytest.mark.sqlite

PLACE = """
mutation { createOrder(input: {table: "1", items: [{name: "Soup", quantity: 1}]}) { order { id } } }
"""


@pytest.mark.parametrize("payload", [{}, {"payload": None}, {"payload": {"screen": "grill"}}])
async def test_connection_is_acknowledged(
    shared_server: ServerProcess, payload: dict[str, Any]
) -> None:
    async with open_socket(shared_server.socket_url) as screen:
        await screen.send({"type": "connection_init", **payload})
        assert (await screen.receive())["type"] == "connection_ack"


async def test_only_graphql_transport_ws_is_spoken(shared_server: ServerProcess) -> None:
    for both in (["graphql-ws", "graphql-transport-ws"], ["graphql-transport-ws", "graphql-ws"]):
        offered = [Subprotocol(name) for name in both]
        async with connect(shared_server.socket_url, subprotocols=offered) as socket:
            assert socket.subprotocol == "graphql-transport-ws"
            await socket.send('{"type": "connection_init"}')
            assert json.loads(await socket.recv())["type"] == "connection_ack"


@pytest.mark.parametrize("offered", [None, ["graphql"], ["GRAPHQL-TRANSPORT-WS"]])
async def test_socket_without_the_subprotocol_is_told_which_it_is(
    shared_server: ServerProcess, offered: list[Subprotocol] | None
) -> None:
    async with connect(shared_server.socket_url, subprotocols=offered) as socket:
        assert socket.subprotocol is None
        assert await Screen(socket).closed() == (
            4406,
            "The subprotocol must be graphql-transport-ws (npm package graphql-ws)",
        )
    assert "Traceback" not in shared_server.log


LEGACY_MESSAGES = [
    {"type": "connection_init", "payload": {}},
    {"type": "start", "id": "1", "payload": {"query": PLACE}},
    {"type": "subscribe", "id": "2", "payload": {"query": PLACE}},
]


@pytest.mark.parametrize("offered", [["graphql-ws"], ["x", "graphql-ws"]])
async def test_legacy_client_is_told_what_to_use_and_places_no_order(
    server: ServerProcess, offered: list[Subprotocol]
) -> None:
    async with connect(server.socket_url, subprotocols=offered) as socket:
        assert socket.subprotocol == "graphql-ws"
        with suppress(ConnectionClosed):
            for message in LEGACY_MESSAGES:
                await socket.send(json.dumps(message))
        told = json.loads(await socket.recv())
        assert told["type"] == "connection_error"
        assert told["payload"]["extensions"] == {"code": "SUBPROTOCOL_NOT_ACCEPTABLE"}
        assert "use the npm package graphql-ws" in told["payload"]["message"]
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert socket.close_code == 4406
    assert server.data("{ orders { nodes { id } } }") == {"orders": {"nodes": []}}
    assert "Traceback" not in server.log


INIT = {"type": "connection_init"}
SUBSCRIBE = {"id": "1", "type": "subscribe", "payload": {"query": FOLLOW}}


@pytest.mark.parametrize(
    ("messages", "code"),
    [([SUBSCRIBE], 4401), ([INIT, INIT], 4429), ([INIT, SUBSCRIBE, SUBSCRIBE], 4409)],
)
async def test_illegal_move_closes_with_its_code(
    shared_server: ServerProcess, messages: list[object], code: int
) -> None:
    async with open_socket(shared_server.socket_url) as screen:
        for message in messages:
            await screen.send(message)
        assert (await screen.closed())[0] == code


@pytest.mark.parametrize(
    "message",
    [
        "not JSON",
        "[]",
        "7",
        "null",
        "{}",
        "[" * 50_000,
        "1" * 10_000,
        {"type": 7},
        {"type": "x" * 1000},
        {"type": "connection_init", "payload": 7},
        {"type": "subscribe"},
        {"type": "subscribe", "id": 7, "payload": {"query": "{ __typename }"}},
        {"type": "subscribe", "id": "", "payload": {"query": "{ __typename }"}},
        {"type": "subscribe", "id": "1", "payload": None},
        {"type": "subscribe", "id": "1", "payload": [{"query": "{ __typename }"}]},
        {"type": "complete", "id": {}},
    ],
    ids=lambda message: json.dumps(message)[:40],
)
async def test_malformed_message_closes_with_4400(
    shared_server: ServerProcess, message: object
) -> None:
    async with open_screen(shared_server.socket_url) as screen:
        await screen.send(message)
        code, reason = await screen.closed()
    assert code == 4400
    assert reason
    assert "Traceback" not in shared_server.log


async def test_binary_frame_closes_with_4400(shared_server: ServerProcess) -> None:
    async with open_screen(shared_server.socket_url) as screen:
        await screen.socket.send(b'{"type": "ping"}')
        assert (await screen.closed())[0] == 4400


async def test_bad_operation_ends_that_operation_only(shared_server: ServerProcess) -> None:
    async with open_screen(shared_server.socket_url) as screen:
        await screen.subscribe(FOLLOW, operation="good", last=1)
        bad = {
            "subscription {": "GRAPHQL_PARSE_FAILED",
            "subscription { nothing }": "GRAPHQL_VALIDATION_FAILED",
            "{ orders { nothing } }": "GRAPHQL_VALIDATION_FAILED",
        }
        for query, code in bad.items():
            await screen.subscribe(query, operation="bad")
            assert (await screen.error())["extensions"]["code"] == code
        for payload in (
            {"query": "query A { a: __typename }", "operationName": "B"},
            {"query": "query A { a: __typename } query B { b: __typename }"},
        ):
            await screen.send({"id": "bad", "type": "subscribe", "payload": payload})
            assert (await screen.error())["extensions"]["code"] == "OPERATION_RESOLUTION_FAILURE"
        await screen.settle()
    assert "unexpected error" not in shared_server.log


@pytest.mark.parametrize("query", [{}, {"query": None}, {"query": ""}], ids=str)
async def test_query_that_is_only_a_hash_is_refused_alone(
    shared_server: ServerProcess, query: dict[str, object]
) -> None:
    """urql's `persistedExchange` then sends the query, on the same socket."""
    extensions = {"persistedQuery": {"version": 1, "sha256Hash": "0" * 64}}
    hash_only = {"id": "1", "type": "subscribe", "payload": {**query, "extensions": extensions}}
    both = {**hash_only, "payload": {"query": "{ __typename }", "extensions": extensions}}
    async with open_screen(shared_server.socket_url) as screen:
        await screen.send(hash_only)
        assert await screen.error() == {
            "message": "PersistedQueryNotSupported",
            "extensions": {"code": "PERSISTED_QUERY_NOT_SUPPORTED"},
        }
        await screen.send(both)
        assert await screen.next() == {"__typename": "Query"}
    async with open_socket(shared_server.socket_url) as screen:
        await screen.send(hash_only)
        assert (await screen.closed())[0] == 4401


@pytest.mark.parametrize("compiled", [True, False])
async def test_subscription_that_fails_for_our_reasons_says_so(
    tmp_path: Any, compiled: bool
) -> None:
    """One that only ended would look as if there were no more orders."""
    with ServerProcess(tmp_path, compiled_operations=compiled, log_memory_max_entries=1) as server:
        for _ in range(4):
            server.data(CREATE_ORDER, input=soup_input())
        # What no driver gives back: the entry can't be read.
        server.database.change("UPDATE orders SET created_at_us = 'x' WHERE id = 2")
        async with open_screen(server.socket_url) as screen:
            await screen.subscribe(FOLLOW, last=3)
            error = await screen.error()
            assert error["message"] == "Unexpected error."
            assert error["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
            assert f"request_id={error['extensions']['requestId']}" in server.log
            await screen.settle()


async def test_largest_order_fits_in_a_message(server: ServerProcess) -> None:
    """Escaped, as Python's and other JSON encoders write it: twelve bytes for one character."""
    items = [{"name": "🍣" * 100, "quantity": 999}] * 100
    async with open_screen(server.socket_url) as screen:
        given = {"table": "🍣" * 64, "items": items, "idempotencyKey": "🍣" * 128}
        await screen.subscribe(CREATE_ORDER, input=given)
        assert (await screen.next())["createOrder"]["order"]["items"] == items


async def test_message_beyond_the_limit_closes_with_1009(shared_server: ServerProcess) -> None:
    async with open_screen(shared_server.socket_url) as screen:
        await screen.send({"type": "ping", "payload": {"x": "y" * 140_000}})
        assert (await screen.closed())[0] == 1009


async def test_frames_are_not_compressed(shared_server: ServerProcess) -> None:
    async with open_screen(shared_server.socket_url) as screen:
        assert "Sec-WebSocket-Extensions" not in screen.socket.response.headers  # type: ignore[union-attr]


@pytest.fixture
def quick_server(tmp_path: Any) -> Any:
    """A server whose patience is short."""
    with ServerProcess(
        tmp_path,
        connection_init_timeout_seconds=0.2,
        ping_interval_seconds=0.1,
        silence_timeout_seconds=0.5,
    ) as started:
        yield started


async def test_connection_without_init_is_closed(quick_server: ServerProcess) -> None:
    async with open_socket(quick_server.socket_url) as screen:
        assert (await screen.closed())[0] == 4408


async def test_silent_screen_is_closed_with_a_code_that_makes_clients_come_back(
    quick_server: ServerProcess,
) -> None:
    async with open_screen(quick_server.socket_url) as screen:
        await screen.subscribe(FOLLOW)
        assert await screen.closed() == (4408, "No sign of life")


async def test_screen_that_answers_pings_stays(quick_server: ServerProcess) -> None:
    async with open_screen(quick_server.socket_url) as screen:
        for _ in range(20):  # four times the patience
            assert json.loads(await screen.socket.recv())["type"] == "ping"
            await screen.send({"type": "pong"})
        await screen.settle()


def established(server: ServerProcess) -> bool:
    """Tell whether the server still has a connection of a socket."""
    idle = server.http.get("/healthz")  # the client's own
    assert idle.status_code == 200
    connections = server.process.net_connections()
    return sum(connection.status == "ESTABLISHED" for connection in connections) > 1


async def test_screen_that_stops_reading_is_given_up(quick_server: ServerProcess) -> None:
    """Its operations end although not even a close frame can be sent to it."""
    items = [{"name": "n" * 100, "quantity": 1}] * 100
    quick_server.data(CREATE_ORDER, input={"table": "1", "items": items})
    names = " ".join(f"a{number}: name" for number in range(15))
    query = f"{{ orders(first: 1) {{ nodes {{ items {{ {names} }} }} }} }}"
    async with open_screen(quick_server.socket_url) as screen:
        screen.socket.transport.pause_reading()
        for number in range(600):
            await screen.subscribe(query, operation=f"{number}")
        await until(lambda: "the peer does not read" in quick_server.log, "the server to give up")
        await until(lambda: not established(quick_server), "the connection to be dropped")
        screen.socket.transport.resume_reading()
        await screen.closed()
    assert "Traceback" not in quick_server.log
