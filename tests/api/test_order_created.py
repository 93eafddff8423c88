"""`orderCreated` over the socket."""

import asyncio
import base64
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.databases import LOSE_THE_SECOND
from tests.support.orders import CREATE_ORDER, FOLLOW, soup_input
from tests.support.screen import Screen, open_screen
from tests.support.server import ServerProcess


async def place(server: ServerProcess, count: int) -> None:
    def work() -> None:
        for _ in range(count):
            server.data(CREATE_ORDER, input=soup_input())

    await asyncio.to_thread(work)


async def ids(screen: Screen, count: int) -> list[int]:
    return [int(order["id"]) for order in await screen.orders(count)]


async def test_nothing_given_follows_from_now_on(server: ServerProcess) -> None:
    await place(server, 3)
    async with open_screen(server.socket_url) as screen:
        await screen.subscribe(FOLLOW)
        await screen.settle()
        await place(server, 2)
        assert await ids(screen, 2) == [4, 5]


async def test_last_begins_with_the_newest_then_goes_live(server: ServerProcess) -> None:
    await place(server, 5)
    async with open_screen(server.socket_url) as screen:
        await screen.subscribe(FOLLOW, last=3)
        assert await ids(screen, 3) == [3, 4, 5]
        await place(server, 1)
        assert await ids(screen, 1) == [6]
        await screen.subscribe(FOLLOW, operation="2", last=200)
        assert await ids(screen, 6) == [1, 2, 3, 4, 5, 6]


async def test_after_begins_behind_the_cursor_then_goes_live(server: ServerProcess) -> None:
    await place(server, 2)
    async with open_screen(server.socket_url) as screen:
        await screen.subscribe(FOLLOW, last=1)
        (order,) = await screen.orders(1)
    await place(server, 3)
    async with open_screen(server.socket_url) as screen:
        await screen.subscribe(FOLLOW, after=order["cursor"])
        assert await ids(screen, 3) == [3, 4, 5]
        await place(server, 1)
        assert await ids(screen, 1) == [6]


async def test_order_looks_the_same_on_the_screen_and_in_the_answer(
    server: ServerProcess,
) -> None:
    async with open_screen(server.socket_url) as screen:
        await screen.subscribe(FOLLOW)
        await screen.settle()
        answer = server.data(CREATE_ORDER, input=soup_input())["createOrder"]["order"]
        del answer["createdAt"]
        assert await screen.orders(1) == [answer]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"after": "nonsense"}, "BAD_CURSOR"),
        ({"after": ""}, "BAD_CURSOR"),
        ({"after": base64.urlsafe_b64encode(bytes(16)).decode()[:-2]}, "CURSOR_EXPIRED"),
        ({"after": "x", "last": 1}, "BAD_USER_INPUT"),
        ({"last": 0}, "BAD_USER_INPUT"),
        ({"last": 201}, "BAD_USER_INPUT"),
        ({"last": "many"}, "BAD_USER_INPUT"),
    ],
)
async def test_bad_argument_is_refused_before_any_event(
    shared_server: ServerProcess, arguments: dict[str, Any], code: str
) -> None:
    await place(shared_server, 1)
    async with open_screen(shared_server.socket_url) as screen:
        await screen.subscribe(FOLLOW, **arguments)
        assert (await screen.error())["extensions"]["code"] == code
        await screen.subscribe(FOLLOW, last=1)
        assert len(await screen.orders(1)) == 1


@pytest.mark.parametrize("placed_since", [0, 1, 2])
async def test_cursor_of_an_entry_that_is_gone_is_refused(
    server: ServerProcess, placed_since: int
) -> None:
    """As after a copy was put back in the place of the database: its epoch is the same."""
    await place(server, 2)
    nodes = server.data("{ orders { nodes { cursor } } }")["orders"]["nodes"]
    server.stop()
    server.database.change(*LOSE_THE_SECOND)
    server.start()
    await place(server, placed_since)
    async with open_screen(server.socket_url) as screen:
        await screen.subscribe(FOLLOW, after=nodes[0]["cursor"])
        error = await screen.error()
        assert error["extensions"] == {"code": "CURSOR_EXPIRED"}
        assert "went back in time" in error["message"]
        newer = "query ($cursor: String) { orders(before: $cursor, last: 5) { nodes { id } } }"
        (refused,) = server.execute(newer, cursor=nodes[0]["cursor"])["errors"]
        assert refused["extensions"]["code"] == "CURSOR_EXPIRED"
        await screen.subscribe(FOLLOW, operation="2", after=nodes[1]["cursor"])
        assert await ids(screen, placed_since) == list(range(2, 2 + placed_since))


async def test_cursor_that_is_no_longer_in_memory_is_checked_too(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, log_memory_max_entries=1) as server:
        await place(server, 5)
        nodes = server.data("{ orders { nodes { cursor } } }")["orders"]["nodes"]
        server.database.change("UPDATE log_entries SET created_at_us = 1 WHERE seq = 2")
        async with open_screen(server.socket_url) as screen:
            await screen.subscribe(FOLLOW, after=nodes[3]["cursor"])
            assert (await screen.error())["extensions"] == {"code": "CURSOR_EXPIRED"}
            await screen.subscribe(FOLLOW, operation="2", after=nodes[2]["cursor"])
            assert await ids(screen, 2) == [4, 5]


async def test_many_screens_see_the_same_orders(server: ServerProcess) -> None:
    async def watch() -> list[int]:
        async with open_screen(server.socket_url) as screen:
            await screen.subscribe(FOLLOW, last=1)
            joined.release()
            return await ids(screen, 100)

    joined = asyncio.Semaphore(0)
    await place(server, 1)
    screens = [asyncio.create_task(watch()) for _ in range(30)]
    for _ in screens:
        await joined.acquire()
    await place(server, 99)
    assert await asyncio.gather(*screens) == [list(range(1, 101))] * 30


async def test_queries_and_mutations_run_on_the_socket_too(server: ServerProcess) -> None:
    async with open_screen(server.socket_url) as screen:
        await screen.subscribe(CREATE_ORDER, input=soup_input())
        assert (await screen.next())["createOrder"]["order"]["id"] == "1"
        assert await screen.receive() == {"id": "1", "type": "complete"}
        await screen.subscribe("{ orders { nodes { id } } }")
        assert await screen.next() == {"orders": {"nodes": [{"id": "1"}]}}


async def test_completed_mutation_is_stored_and_seen(server: ServerProcess) -> None:
    """A `complete` cancels no mutation: its order is only answered no more."""
    async with open_screen(server.socket_url) as screen:
        await screen.subscribe(FOLLOW, operation="follow")
        await screen.settle()
        for number in range(20):
            await screen.subscribe(CREATE_ORDER, operation=f"{number}", input=soup_input())
            await screen.send({"id": f"{number}", "type": "complete"})
        await screen.subscribe(CREATE_ORDER, operation="end", input=soup_input("end"))
        seen: list[dict[str, Any]] = []
        while not seen or seen[-1]["table"] != "end":
            message = await screen.receive()
            if message.get("id") == "follow":
                seen.append(message["payload"]["data"]["orderCreated"])
    stored = server.data("{ orders(first: 200) { nodes { id } } }")["orders"]["nodes"]
    assert [order["id"] for order in seen] == [order["id"] for order in reversed(stored)]
    assert len(stored) == 21, "however early it was completed"


async def test_completed_mutation_holds_neither_its_id_nor_a_place(server: ServerProcess) -> None:
    async with open_screen(server.socket_url) as screen:
        with server.held_lock():
            for _ in range(110):  # a socket may have 100 operations
                await screen.subscribe(CREATE_ORDER, operation="1", input=soup_input())
                await screen.send({"id": "1", "type": "complete"})
            await screen.settle()
        await screen.subscribe(CREATE_ORDER, operation="1", input=soup_input())
        assert (await screen.next())["createOrder"]["order"]["id"] == "111"


async def test_a_socket_that_goes_holds_up_nobody(server: ServerProcess) -> None:
    """Documents that are not kept must not be read again to end what they asked for."""
    async with open_screen(server.socket_url) as screen:
        for number in range(90):
            # Longer than what is kept of a document.
            query = f"{FOLLOW} #{number}{'x' * 16_700}"
            await screen.subscribe(query, operation=f"{number}")
        await screen.settle()
        screen.socket.transport.abort()
    slowest = 0.0
    for _ in range(20):
        begun = time.perf_counter()
        assert server.http.get("/healthz").status_code == 200
        slowest = max(slowest, time.perf_counter() - begun)
    assert slowest < 2
