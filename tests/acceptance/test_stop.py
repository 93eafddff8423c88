"""Stopping: what was accepted is committed and answered, and the next start goes on from there."""

import asyncio
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from websockets.exceptions import ConnectionClosed

from tests.support.databases import AnyDatabase, SqliteFile
from tests.support.orders import CREATE_ORDER, FOLLOW, soup_input
from tests.support.screen import Screen, open_screen
from tests.support.server import ROOT, ServerProcess, clean_environment, free_port
from tests.support.waiting import until, wait_until

STOP_LIMIT_SECONDS = 10


def assert_checkpointed(database: AnyDatabase) -> None:
    """Check that a file holds everything by itself."""
    if isinstance(database, SqliteFile):
        assert not Path(f"{database.path}-wal").exists()


async def answers(screen: Screen, count: int) -> list[int]:
    """Receive the answers of so many mutations; events of a subscription may come between."""
    ids: list[int] = []
    while len(ids) < count:
        message = await screen.receive()
        if message["type"] == "next" and "createOrder" in message["payload"]["data"]:
            ids.append(int(message["payload"]["data"]["createOrder"]["order"]["id"]))
    return ids


async def orders_until_closed(screen: Screen) -> list[dict[str, Any]]:
    orders = []
    with suppress(ConnectionClosed):
        while True:
            orders += await screen.orders(1)
    return orders


async def test_what_is_queued_is_committed_and_answered_then_sockets_close_with_1012(
    server: ServerProcess,
) -> None:
    first = server.data(CREATE_ORDER, input=soup_input())["createOrder"]["order"]
    async with (
        httpx.AsyncClient(base_url=server.url, timeout=20) as client,
        open_screen(server.socket_url) as screen,
        open_screen(server.socket_url) as kitchen,
    ):
        await kitchen.subscribe(FOLLOW, after=first["cursor"])
        await kitchen.settle()
        with server.held_lock():
            body = {"query": CREATE_ORDER, "variables": {"input": soup_input()}}
            posts = [asyncio.create_task(client.post("/graphql", json=body)) for _ in range(10)]
            for number in range(10):
                await screen.subscribe(CREATE_ORDER, operation=f"{number}", input=soup_input())
            await screen.settle()
            for _ in range(10):  # each is a turn of both event loops after the posts were sent
                assert (await client.get("/healthz")).status_code == 200
            server.process.send_signal(signal.SIGTERM)
            draining = await client.get("/readyz")
            while draining.status_code == 200:
                draining = await client.get("/readyz")
            assert (draining.status_code, draining.json()) == (503, {"status": "draining"})
            with socket.socket() as late:
                assert late.connect_ex(("127.0.0.1", server.port)) != 0
            refused = (await client.post("/graphql", json=body)).json()
            assert refused["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
        over_socket = await answers(screen, 10)
        over_http = [
            int((await post).json()["data"]["createOrder"]["order"]["id"]) for post in posts
        ]
        assert sorted(over_socket + over_http) == list(range(2, 22))
        assert (await screen.closed())[0] == 1012
        seen = await orders_until_closed(kitchen)
        assert (await kitchen.closed())[0] == 1012
    await until(lambda: not server.is_running, "the server to end")
    assert server.stop() == 0

    server.start()
    async with open_screen(server.socket_url) as kitchen:
        await kitchen.subscribe(FOLLOW, after=(seen or [first])[-1]["cursor"])
        seen += await kitchen.orders(20 - len(seen))
    assert [int(order["id"]) for order in seen] == list(range(2, 22))


def test_next_start_goes_on_where_the_last_one_stopped(server: ServerProcess) -> None:
    first = server.data(CREATE_ORDER, input=soup_input(key="k"))
    assert server.stop() == 0
    assert_checkpointed(server.database)
    server.start()
    assert server.data(CREATE_ORDER, input=soup_input(key="k")) == first
    second = server.data(CREATE_ORDER, input=soup_input())["createOrder"]["order"]
    assert second["id"] == "2"


@pytest.mark.sqlite
async def test_stops_in_time_although_screens_do_not_read(server: ServerProcess) -> None:
    for _ in range(200):
        server.data(CREATE_ORDER, input=soup_input("x" * 64))
    async with open_screen(server.socket_url) as stuck:
        stuck.socket.transport.pause_reading()
        for number in range(90):  # far more than the socket's buffers hold
            await stuck.subscribe(FOLLOW, operation=f"{number}", last=200)
        async with open_screen(server.socket_url) as live:
            await live.subscribe(FOLLOW, last=1)
            await live.orders(1)
            began = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            assert (await live.closed())[0] == 1012
        await until(lambda: not server.is_running, "the server to end")
        assert time.monotonic() - began < STOP_LIMIT_SECONDS
        assert server.stop() == 0
        stuck.socket.transport.abort()
    assert_checkpointed(server.database)


@pytest.mark.sqlite
async def test_order_is_answered_although_its_client_is_behind_with_reading(
    server: ServerProcess,
) -> None:
    """Stopping waits for the answer: a socket that is closed first would leave it unknown."""
    items = [{"name": "x" * 100, "quantity": 1}] * 100
    for _ in range(60):
        server.data(CREATE_ORDER, input={"table": "1", "items": items})
    page = "{ orders(first: 200) { nodes { items { name } } } }"
    async with open_screen(server.socket_url) as till:
        till.socket.transport.pause_reading()
        for number in range(60):  # far more than the system's buffers hold, however they grow
            await till.subscribe(page.replace("{ o", f"{{ a{number}: o", 1), operation=f"{number}")
        await till.subscribe(CREATE_ORDER, operation="order", input=soup_input())
        count = "SELECT count(*) FROM orders"
        await until(lambda: server.database.rows(count) == [(61,)], "the order to be stored")
        server.process.send_signal(signal.SIGTERM)
        await until(lambda: server.http.get("/readyz").status_code == 503, "it to be draining")
        till.socket.transport.resume_reading()
        messages = []
        with suppress(ConnectionClosed):
            while True:
                messages.append(await till.receive())
    answer = {"id": "order", "type": "next"}
    (placed,) = [m for m in messages if m | answer == m]
    assert placed["payload"]["data"]["createOrder"]["order"]["id"] == "61"
    assert server.stop() == 0


@pytest.mark.sqlite
async def test_stops_in_time_although_a_request_never_ends(server: ServerProcess) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"POST /graphql HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 100\r\n\r\n{")
    await writer.drain()
    assert server.http.get("/healthz").status_code == 200
    began = time.monotonic()
    assert await asyncio.to_thread(server.stop) == 0
    assert time.monotonic() - began < STOP_LIMIT_SECONDS
    writer.close()
    del reader


@pytest.mark.sqlite
@pytest.mark.parametrize("again", [signal.SIGTERM, signal.SIGINT])
def test_is_told_many_times_and_ends_once(
    again: signal.Signals, tmp_path: Path, sqlite_file: Path
) -> None:
    """An impatient Ctrl+C, or a supervisor's: it ends as after one, with all in the database."""
    server = ServerProcess(tmp_path, SqliteFile(sqlite_file))
    process = server.spawn()  # the real one: Python's own end is a part of the end
    wait_until(server.is_ready, "the server to be ready")
    server.data(CREATE_ORDER, input=soup_input())
    server.http.close()
    while process.poll() is None:
        process.send_signal(again)
    assert process.wait() == 0, server.log
    assert "Finished server process" in server.log
    assert "Traceback" not in server.log
    assert_checkpointed(server.database)


def refuses_what_follows_an_upgrade(port: int) -> None:
    """uvicorn's own parser takes it for a request: the connection ends with the answer before."""
    another = b"GET /graphql?query={smuggled:__typename} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    head = (
        b"POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
        b"Content-Length: 70000\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port)) as stranger:
        stranger.sendall(head)
        answers = stranger.recv(65_536)
        with suppress(ConnectionError):
            for _ in range(3):
                stranger.sendall(another)
            while received := stranger.recv(65_536):
                answers += received
    assert answers.count(b"HTTP/1.1") == 1
    assert b"connection: close" in answers


def test_uvicorn_command_serves_the_same_application(tmp_path: Path) -> None:
    port = free_port()
    database = tmp_path / "bistro92.db"
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "app:app", "--port", str(port)],
            cwd=ROOT,
            env=clean_environment(database_url=f"sqlite+aiosqlite:///{database}"),
            stdout=log,
            stderr=log,
        )

    def ready() -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    wait_until(ready, "uvicorn")
    body = {"query": CREATE_ORDER, "variables": {"input": soup_input()}}
    answer = httpx.post(f"http://127.0.0.1:{port}/graphql", json=body).json()
    assert answer["data"]["createOrder"]["order"]["id"] == "1"
    refuses_what_follows_an_upgrade(port)
    assert "0 orders, log at 0 [bistro92.app]" in (tmp_path / "log").read_text()
    process.send_signal(signal.SIGTERM)
    process.wait(STOP_LIMIT_SECONDS)
    assert not Path(f"{database}-wal").exists()
