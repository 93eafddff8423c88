"""`kill -9` under load: retrying clients and resuming screens lose, double and miss nothing."""

import asyncio
import random
import sqlite3
from contextlib import closing
from typing import Any

from aiohttp import ClientError
from gql import Client, GraphQLRequest
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.exceptions import TransportError
from gql.transport.websockets import WebsocketsTransport

from tests.support.orders import CREATE_ORDER, FOLLOW, soup_input
from tests.support.server import ServerProcess
from tests.support.waiting import until

GONE = (TransportError, ClientError, OSError, TimeoutError)
CLIENTS, ORDERS_EACH, SCREENS, KILLS = 12, 50, 5, 3
TOTAL = CLIENTS * ORDERS_EACH


async def place(server: ServerProcess, key: str) -> int:
    """Place an order until it is acknowledged; return its id."""
    request = GraphQLRequest(CREATE_ORDER, variable_values={"input": soup_input(key, key)})
    while True:
        try:
            async with Client(transport=AIOHTTPTransport(f"{server.url}/graphql")) as session:
                payload: dict[str, Any] = (await session.execute(request))["createOrder"]
        except GONE:
            await asyncio.sleep(0.02)
            continue
        assert payload["errors"] == []
        return int(payload["order"]["id"])


async def watch(server: ServerProcess, cursor: str, seen: list[int]) -> None:
    """Follow to the last order, coming back with the cursor as often as it takes."""
    while len(seen) < TOTAL:
        transport = WebsocketsTransport(server.socket_url, subprotocols=["graphql-transport-ws"])
        request = GraphQLRequest(FOLLOW, variable_values={"after": cursor})
        try:
            async with Client(transport=transport) as session:
                async for result in session.subscribe(request):
                    seen.append(int(result["orderCreated"]["id"]))
                    cursor = result["orderCreated"]["cursor"]
                    if len(seen) >= TOTAL:
                        break
        except GONE:
            await asyncio.sleep(0.02)


async def test_killed_three_times_under_load(server: ServerProcess) -> None:
    first = server.data(CREATE_ORDER, input=soup_input())["createOrder"]["order"]
    acknowledged: dict[str, int] = {}

    async def place_all(client: int) -> None:
        for number in range(ORDERS_EACH):
            key = f"{client}-{number}"
            acknowledged[key] = await place(server, key)

    seen: list[list[int]] = [[] for _ in range(SCREENS)]
    screens = [asyncio.create_task(watch(server, first["cursor"], ids)) for ids in seen]
    clients = [asyncio.create_task(place_all(client)) for client in range(CLIENTS)]
    for kill in range(1, KILLS + 1):
        due = TOTAL * kill // (KILLS + 1) + random.randint(-30, 30)
        await until(lambda due=due: len(acknowledged) >= due, f"{due} orders")  # type: ignore[misc]
        server.kill()
        await asyncio.to_thread(server.start)
    await asyncio.gather(*clients, *screens)

    with closing(sqlite3.connect(server.database)) as witness:
        stored = dict(witness.execute("SELECT idempotency_key, id FROM orders WHERE id > 1"))
        assert witness.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert stored == acknowledged, "every acknowledged order exists once, and no other"
    everything = list(range(2, TOTAL + 2))
    assert sorted(stored.values()) == everything
    assert seen == [everything] * SCREENS
