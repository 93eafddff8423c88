"""Screens that can tell: our time and the log's head, in a query, in the ack and in every ping."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from execution.engine import build_engine
from tests.support.compiled import compiled
from tests.support.databases import AnyDatabase
from tests.support.future import append_later_entries
from tests.support.orders import CREATE_ORDER, FOLLOW, soup_input
from tests.support.screen import Screen, open_screen, open_socket
from tests.support.server import ServerProcess


async def acknowledged(screen: Screen) -> dict[str, Any]:
    """Initialise the connection; return the payload of the acknowledgement."""
    await screen.send({"type": "connection_init"})
    message = await screen.receive()
    assert message["type"] == "connection_ack"
    payload: dict[str, Any] = message["payload"]
    return payload


def is_now(text: str) -> bool:
    told = datetime.fromisoformat(text)
    return told.utcoffset() == timedelta(0) and abs(datetime.now(UTC) - told) < timedelta(seconds=5)


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ("{ serverTime }", {}),
        ("{ orders { nodes { id } } serverTime }", {}),
        ("query ($t: Boolean!) { orders { nodes { id } } ...T @include(if: $t) }", {"t": True}),
    ],
)
def test_time_is_never_an_answer_given_before(
    shared_server: ServerProcess, query: str, variables: dict[str, Any]
) -> None:
    if "...T" in query:
        query += " fragment T on Query { serverTime }"
        # The same text has been answered without the time.
        shared_server.data(query, t=False)
    body = json.dumps({"query": query, "variables": variables}).encode()
    told = []
    for _ in range(5):
        text = shared_server.post(body).json()["data"]["serverTime"]
        assert is_now(text)
        told.append(datetime.fromisoformat(text))
        time.sleep(0.001)  # the clock must go on between two questions
    assert sorted(set(told)) == told


def test_only_what_depends_on_the_log_alone_is_shared() -> None:
    engine = build_engine()

    def is_shared(text: str) -> bool:
        operation = compiled(engine, text)
        assert operation is not None
        return operation.is_of_the_log

    assert is_shared("{ orders { nodes { id } } }")
    assert is_shared(
        '{ order(id: "1") { id } ...F } fragment F on Query { orders { nodes { id } } }'
    )
    assert not is_shared("{ orders { nodes { id } } now: serverTime }")
    assert not is_shared("{ ...F } fragment F on Query { ... { serverTime } }")
    assert not is_shared("query ($t: Boolean!) { order(id: 1) { id } serverTime @skip(if: $t) }")
    assert not is_shared(CREATE_ORDER)
    assert not is_shared(FOLLOW)


async def test_screen_that_starts_on_an_empty_log_does_not_miss_the_first_order(
    server: ServerProcess,
) -> None:
    async with open_socket(server.socket_url) as screen:
        told = await acknowledged(screen)
    assert set(told) == {"serverTime", "head", "newestOrder"}
    assert is_now(told["serverTime"])
    server.data(CREATE_ORDER, input=soup_input())
    async with open_screen(server.socket_url) as screen:
        await screen.subscribe(FOLLOW, after=told["head"])
        assert [order["id"] for order in await screen.orders(1)] == ["1"]


async def test_acknowledgement_tells_the_newest_place(shared_server: ServerProcess) -> None:
    placed = shared_server.data(CREATE_ORDER, input=soup_input())["createOrder"]["order"]
    async with open_socket(shared_server.socket_url) as screen:
        told = await acknowledged(screen)
    assert told["head"] == told["newestOrder"] == placed["cursor"]


@pytest.fixture
def pinging_server(tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path, ping_interval_seconds=0.1) as started:
        yield started


async def test_ping_tells_a_screen_that_it_is_behind(pinging_server: ServerProcess) -> None:
    async with open_socket(pinging_server.socket_url) as screen:
        shown = (await acknowledged(screen))["newestOrder"]
        placed = pinging_server.data(CREATE_ORDER, input=soup_input())["createOrder"]["order"]
        assert shown != placed["cursor"]
        # A ping may have left before the order was placed; the ones that follow know it.
        payload: dict[str, Any] = {"newestOrder": shown}
        while payload["newestOrder"] == shown:
            message = json.loads(await screen.socket.recv())
            assert message["type"] == "ping"
            payload = message["payload"]
            await screen.send({"type": "pong", "payload": payload})
        assert payload["head"] == payload["newestOrder"] == placed["cursor"]
        assert is_now(payload["serverTime"])


async def test_screen_is_not_behind_for_what_is_no_order(
    tmp_path: Path, database: AnyDatabase
) -> None:
    """Kinds that this version doesn't know move the head on, and come to no screen."""
    with ServerProcess(tmp_path, database) as server:
        placed = server.data(CREATE_ORDER, input=soup_input())["createOrder"]["order"]
    append_later_entries(database, 3)
    with ServerProcess(tmp_path, database) as server:
        async with open_socket(server.socket_url) as screen:
            told = await acknowledged(screen)
            assert told["newestOrder"] == placed["cursor"] != told["head"]
            await screen.subscribe(FOLLOW, after=told["head"])
            await screen.settle()
            server.data(CREATE_ORDER, input=soup_input())
            assert [order["id"] for order in await screen.orders(1)] == ["2"]
