"""Tokens come and go: the commands, and what they do to a server that runs."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from db.tokens import Role
from tests.support.databases import AnyDatabase
from tests.support.orders import CREATE_ORDER, FOLLOW, soup_input
from tests.support.raw_socket import open_raw_socket, text
from tests.support.screen import open_screen, open_socket
from tests.support.server import ServerProcess
from tests.support.tokens import CREATE, LIST, bearer, codes, create_tokens, placed, post, tokens_of
from tests.support.waiting import until

Tokens = Mapping[Role, str]


@pytest.fixture
async def fresh(
    tmp_path: Path, database: AnyDatabase
) -> AsyncIterator[tuple[ServerProcess, Tokens]]:
    """A server whose tokens a test may revoke."""
    tokens = await create_tokens(database)
    with ServerProcess(tmp_path, database) as server:
        yield server, tokens


async def revoke(server: ServerProcess, name: str) -> None:
    async with tokens_of(server.database) as store:
        await store.revoke(name)


async def test_revoking_ends_requests_and_sockets_of_that_token(
    fresh: tuple[ServerProcess, Tokens],
) -> None:
    server, tokens = fresh
    kitchen = bearer(tokens[Role.KITCHEN])
    assert post(server, LIST, kitchen).status_code == 200
    async with (
        open_screen(server.socket_url, tokens[Role.KITCHEN]) as screen,
        open_screen(server.socket_url, tokens[Role.KITCHEN]) as idle,
        open_screen(server.socket_url, tokens[Role.MANAGER]) as other,
    ):
        for each in (screen, other):
            await each.subscribe(FOLLOW)
            await each.settle()
        began = asyncio.get_running_loop().time()
        await revoke(server, "kitchen")
        for each in (screen, idle):
            assert await each.closed() == (4403, "The token has been revoked")
        assert asyncio.get_running_loop().time() - began < 2.5
        assert post(server, LIST, kitchen).status_code == 401
        # Also what was answered from memory, and what the socket of another token follows.
        answer = post(server, CREATE, bearer(tokens[Role.FLOOR]))
        order = answer.json()["data"]["createOrder"]["order"]
        assert (await other.orders(1))[0]["id"] == order["id"]
        async with open_socket(server.socket_url) as again:
            await again.send({"type": "connection_init", "payload": kitchen})
            assert (await again.closed())[0] == 4403
    assert "Traceback" not in server.log


async def test_revoked_socket_does_nothing_more_though_it_does_not_close(
    fresh: tuple[ServerProcess, Tokens],
) -> None:
    """A peer that ignores the close frame, and goes on sending."""
    server, tokens = fresh
    async with open_raw_socket(server.port) as socket:
        await socket.send(text({"type": "connection_init", "payload": bearer(tokens[Role.FLOOR])}))
        acknowledged = await socket.receive()
        assert acknowledged is not None
        assert b"connection_ack" in acknowledged.payload
        await revoke(server, "floor")
        assert await socket.outcome(ask=False) == 4403
        create = text({"id": "1", "type": "subscribe", "payload": {"query": CREATE}})
        await socket.send(create, create, create)
        assert post(server, LIST, bearer(tokens[Role.MANAGER])).status_code == 200
        assert placed(server) == 0


async def test_revoked_socket_whose_peer_does_not_read_is_dropped(
    fresh: tuple[ServerProcess, Tokens],
) -> None:
    """No close frame gets through to it; the silence alone would be noticed after 25 seconds."""
    server, tokens = fresh
    items = [{"name": "x" * 100, "quantity": 1}] * 100
    large = {"query": CREATE_ORDER, "variables": {"input": {"table": "1", "items": items}}}
    for _ in range(20):
        server.http.post("/graphql", json=large, headers=bearer(tokens[Role.FLOOR]))
    page = "{ orders { nodes { items { name quantity } } } }"  # a quarter of a megabyte
    async with open_screen(server.socket_url, tokens[Role.KITCHEN]) as screen:
        screen.socket.transport.pause_reading()
        for number in range(80):
            await screen.subscribe(page, operation=f"{number}")
        await revoke(server, "kitchen")
        async with asyncio.timeout(15):
            await until(lambda: _sockets_of(server) == 0, "the connection to be dropped")
        screen.socket.transport.resume_reading()
        await screen.closed()
    assert "Traceback" not in server.log


def _sockets_of(server: ServerProcess) -> int:
    connections = server.process.net_connections()
    established = sum(connection.status == "ESTABLISHED" for connection in connections)
    return established - 1 if server.http.get("/healthz").status_code == 200 else -1


async def test_the_first_token_closes_an_open_server(server: ServerProcess) -> None:
    assert "everyone on this machine may do everything" in server.log
    assert post(server, CREATE, {}).status_code == 200
    async with open_screen(server.socket_url) as screen:
        await screen.subscribe(FOLLOW)
        await screen.settle()
        created = await asyncio.to_thread(
            server.command, "token", "create", "--role", "kitchen", "--name", "grill"
        )
        assert created.returncode == 0, created.stderr
        assert await screen.closed() == (4403, "A token is needed now")
    assert codes(post(server, LIST, {})) == ["UNAUTHENTICATED"]
    token = created.stdout.strip()
    assert codes(post(server, LIST, bearer(token))) == []
    assert token not in server.log
    # It stays closed: with no token left, and after the next start.
    await revoke(server, "grill")
    await until(lambda: post(server, LIST, bearer(token)).status_code == 401, "the revocation")
    server.stop()
    server.start()
    assert post(server, LIST, {}).status_code == 401


@pytest.mark.sqlite
async def test_commands_while_orders_are_written(fresh: tuple[ServerProcess, Tokens]) -> None:
    """The command never opens the orders' file, and the server takes up what it wrote."""
    server, tokens = fresh
    stop = asyncio.Event()
    orders = 0

    async def place() -> None:
        nonlocal orders
        async with httpx.AsyncClient(base_url=server.url, timeout=20) as client:
            while not stop.is_set():
                body: dict[str, Any] = {"query": CREATE_ORDER, "variables": {"input": soup_input()}}
                headers = bearer(tokens[Role.FLOOR])
                answer = await client.post("/graphql", json=body, headers=headers)
                assert answer.json()["data"]["createOrder"]["order"]
                orders += 1

    placing = [asyncio.create_task(place()) for _ in range(4)]
    for arguments in (
        ("create", "--role", "floor", "--name", "bar"),
        ("revoke", "bar"),
    ):
        ended = await asyncio.to_thread(server.command, "token", *arguments)
        assert ended.returncode == 0, ended.stderr
    stop.set()
    await asyncio.gather(*placing)
    assert placed(server) == orders > 0
    assert server.database.rows("PRAGMA integrity_check") == [("ok",)]


def test_commands_tell_what_is_wrong(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path)  # not started: commands need no server
    server.http.close()
    created = server.command("token", "create", "--role", "floor", "--name", "bar 1")
    (token,) = created.stdout.split()
    assert "shown once" in created.stderr
    listed = server.command("token", "list").stdout.splitlines()
    assert [line.split()[0] for line in listed] == ["id", token.split("_")[1]]
    assert listed[1].split(maxsplit=4)[3:] == ["-", "bar 1"]
    assert token not in "".join(listed)
    again = server.command("token", "create", "--role", "floor", "--name", "bar 1")
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr.startswith("There is a token named 'bar 1'.")
    assert not server.path.exists(), "the orders are not the command's business"


@pytest.mark.sqlite
@pytest.mark.parametrize("name", [" ", "\u3164", "\ufe0f\u2800"])
def test_token_has_a_name_that_shows_something(server: ServerProcess, name: str) -> None:
    refused = server.command("token", "create", "--role", "floor", "--name", name)
    assert refused.returncode == 1
    assert refused.stderr.startswith("A name must show something")
    assert "floor" not in server.command("token", "list").stdout
