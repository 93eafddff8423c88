"""Faults of the machine, caused in a running server."""

import asyncio
import json
import resource
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from tests.support.databases import AnyDatabase
from tests.support.orders import CREATE_ORDER, FOLLOW, soup_input
from tests.support.screen import open_screen
from tests.support.server import ServerProcess
from tests.support.waiting import wait_until


async def test_client_that_disconnects_loses_nothing(server: ServerProcess) -> None:
    """The connections are cut while the order waits for the writer."""
    body = json.dumps({"query": CREATE_ORDER, "variables": {"input": soup_input("http")}}).encode()
    async with open_screen(server.socket_url) as kitchen:
        await kitchen.subscribe(FOLLOW)
        await kitchen.settle()
        with server.held_lock():
            async with open_screen(server.socket_url) as leaving:
                await leaving.subscribe(CREATE_ORDER, input=soup_input("socket"))
                await leaving.settle()
                leaving.socket.transport.abort()
            _, writer = await asyncio.open_connection("127.0.0.1", server.port)
            head = f"POST /graphql HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {len(body)}\r\n"
            writer.write(f"{head}content-type: application/json\r\n\r\n".encode() + body)
            await writer.drain()
            await kitchen.settle()
            writer.transport.abort()
        seen = [order["table"] for order in await kitchen.orders(2)]
    assert seen == ["socket", "http"]
    stored = server.data("{ orders { nodes { table } } }")["orders"]["nodes"]
    assert [node["table"] for node in stored] == ["http", "socket"]


def test_too_many_waiting_orders_are_refused_at_once(tmp_path: Path, database: AnyDatabase) -> None:
    # One at a time: a batch takes as many as happen to wait when it begins.
    settings = {"writer_queue_max_orders": 5, "writer_batch_max_orders": 1, "busy_timeout_ms": 2500}
    with ServerProcess(tmp_path, database, **settings) as server:

        def place(_: int) -> str | None:
            began = time.monotonic()
            answer = server.execute(CREATE_ORDER, input=soup_input())
            if "errors" not in answer:
                return None
            assert time.monotonic() - began < 5
            code: str = answer["errors"][0]["extensions"]["code"]
            return code

        with ThreadPoolExecutor(30) as pool:
            with server.held_lock():
                answers = [pool.submit(place, number) for number in range(30)]
                wait_until(lambda: sum(answer.done() for answer in answers) >= 24, "refusals")
            codes = [answer.result() for answer in answers]
        # One is with the writer, five wait.
        assert codes.count("OVERLOADED") == 24
        assert codes.count(None) == 6
        stored = server.data("{ orders { nodes { id } } }")["orders"]["nodes"]
        assert len(stored) == 6


async def test_slow_screen_delays_nobody_and_misses_nothing(
    tmp_path: Path, database: AnyDatabase
) -> None:
    """It stops reading until its orders are no longer in the server's memory."""
    count = 400
    items = [{"name": "x" * 100, "quantity": 1}] * 50
    with ServerProcess(tmp_path, database, log_memory_max_entries=20) as server:

        def place() -> None:
            for number in range(count):
                server.data(CREATE_ORDER, input={"table": f"{number}", "items": items})

        async with open_screen(server.socket_url) as slow, open_screen(server.socket_url) as live:
            for screen in (slow, live):
                await screen.subscribe(FOLLOW)
                await screen.settle()
            slow.socket.transport.pause_reading()
            before = server.process.memory_info().rss
            placing = asyncio.create_task(asyncio.to_thread(place))
            on_live = await live.orders(count)
            await placing
            grown = server.process.memory_info().rss - before
            slow.socket.transport.resume_reading()
            on_slow = await slow.orders(count)
    assert [int(order["id"]) for order in on_live] == list(range(1, count + 1))
    assert on_slow == on_live
    sent_to_one_screen = len(json.dumps(on_live))
    assert grown < 20_000_000, f"{grown} bytes; a screen was sent {sent_to_one_screen}"


@pytest.mark.sqlite
def test_disk_full_and_freed(server: ServerProcess, sqlite_file: Path) -> None:
    """The process may not make files longer: to SQLite, that is a disk without room."""
    acknowledged, code = [], None
    limit = Path(f"{sqlite_file}-wal").stat().st_size + 400_000
    server.process.rlimit(psutil.RLIMIT_FSIZE, (limit, psutil.RLIM_INFINITY))
    while code is None:
        answer = server.execute(CREATE_ORDER, input=soup_input())
        if "errors" in answer:
            code = answer["errors"][0]["extensions"]["code"]
        else:
            acknowledged.append(int(answer["data"]["createOrder"]["order"]["id"]))
    assert code == "UNAVAILABLE"
    assert len(acknowledged) > 5
    refused = server.execute(CREATE_ORDER, input=soup_input())
    assert refused["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
    stored = server.data("{ orders(first: 200) { nodes { id } } }")["orders"]["nodes"]
    assert [int(node["id"]) for node in reversed(stored)] == acknowledged[-200:]

    server.process.rlimit(psutil.RLIMIT_FSIZE, (psutil.RLIM_INFINITY, psutil.RLIM_INFINITY))
    again = server.data(CREATE_ORDER, input=soup_input())["createOrder"]["order"]
    assert int(again["id"]) == acknowledged[-1] + 1
    assert server.stop() == 0
    with closing(sqlite3.connect(sqlite_file)) as witness:
        assert witness.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        ids = [row[0] for row in witness.execute("SELECT id FROM orders ORDER BY id")]
    assert ids == [*acknowledged, acknowledged[-1] + 1]
    assert "orders can't be stored" in server.log
    assert "orders are stored again" in server.log


async def test_client_that_leaves_in_the_middle_of_its_body_is_no_error(
    server: ServerProcess,
) -> None:
    for head in ("content-type: application/json", "content-type: text/plain", "x-none: 1"):
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        request = f"POST /graphql HTTP/1.1\r\nhost: x\r\n{head}\r\ncontent-length: 100\r\n\r\n{{"
        writer.write(request.encode())
        await writer.drain()
        server.data("{ orders { nodes { id } } }")  # answered after the head was read
        writer.transport.abort()
    server.data("{ orders { nodes { id } } }")
    assert server.stop() == 0
    assert "unexpected error" not in server.log


def test_server_takes_all_the_descriptors_that_it_may_have(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, hard))  # the server inherits it
    try:
        with ServerProcess(tmp_path) as server:
            assert server.process.rlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
