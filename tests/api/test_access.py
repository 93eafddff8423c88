"""Tokens and roles against a real server: over HTTP and on the socket, compiled or not."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from db.tokens import Role
from tests.support.databases import AnyDatabase
from tests.support.orders import CREATE_ORDER, FOLLOW, soup_input
from tests.support.screen import open_screen, open_socket
from tests.support.server import ServerProcess
from tests.support.tokens import bearer, create_tokens, tokens_of
from tests.support.waiting import until

Tokens = Mapping[Role, str]
LIST = "{ orders { nodes { id } } }"
GENERIC = "{ __typename orders { nodes { id } } }"  # not compiled
SOUP = '{table: "1", items: [{name: "Soup", quantity: 1}]}'
CREATE = f"mutation {{ createOrder(input: {SOUP}) {{ order {{ id }} }} }}"
CREATE_GENERIC = CREATE.replace("{ createOrder", "{ __typename createOrder")
MAY_PLACE = {Role.FLOOR: True, Role.KITCHEN: False, Role.MANAGER: True}
MAY_FOLLOW = {Role.FLOOR: False, Role.KITCHEN: True, Role.MANAGER: True}


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServerProcess, Tokens]]:
    """A server that started with a token of each role, and logs all it can."""
    folder = tmp_path_factory.mktemp("closed")
    tokens = asyncio.run(create_tokens(folder / "bistro92.db"))
    with ServerProcess(folder, log_level="debug") as server:
        yield server, tokens


@pytest.fixture
async def fresh(
    tmp_path: Path, database: AnyDatabase
) -> AsyncIterator[tuple[ServerProcess, Tokens]]:
    """A server whose tokens a test may revoke."""
    tokens = await create_tokens(database)
    with ServerProcess(tmp_path, database) as server:
        yield server, tokens


def post(server: ServerProcess, query: str, headers: Mapping[str, str]) -> httpx.Response:
    return server.http.post("/graphql", json={"query": query}, headers=headers)


def codes(answer: httpx.Response) -> list[str]:
    return [error["extensions"]["code"] for error in answer.json().get("errors", [])]


BAD = "Bearer b92_00000000_0000000000000000000000000000000000000000"
WRONG = ["", "Bearer", BAD, "Bearer " + "x" * 4000, "Basic YTpi", b"Bearer \xff\xfe"]


@pytest.mark.parametrize("given", [None, *WRONG], ids=lambda given: repr(given)[:20])
def test_without_a_valid_token_nothing_is_answered(
    closed: tuple[ServerProcess, Tokens], given: str | bytes | None
) -> None:
    server, _ = closed
    value = given.encode() if isinstance(given, str) else given
    headers = {} if value is None else {b"authorization": value}
    for query in (LIST, GENERIC, CREATE, "{ __schema { types { name } } }", "{"):
        answer = server.http.post("/graphql", json={"query": query}, headers=headers)
        assert answer.status_code == 401
        assert codes(answer) == ["UNAUTHENTICATED"]
        assert "data" not in answer.json()
        assert answer.headers["www-authenticate"].startswith('Bearer realm="bistro92"')
        assert ("invalid_token" in answer.headers["www-authenticate"]) is bool(headers)
        assert answer.headers["x-request-id"]
    for name in ("query", "%71uery", "a&query", "query=&query"):
        answer = server.http.get(f"/graphql?{name}={LIST}", headers=headers)
        assert answer.status_code == 401


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize(("query", "create"), [(LIST, CREATE), (GENERIC, CREATE_GENERIC)])
def test_roles_over_http(
    closed: tuple[ServerProcess, Tokens], role: Role, query: str, create: str
) -> None:
    server, tokens = closed
    headers = bearer(tokens[role])
    for _ in range(2):  # the second time from the caches
        assert codes(post(server, query, headers)) == []
        answer = post(server, create, headers)
        assert answer.status_code == 200
        assert codes(answer) == ([] if MAY_PLACE[role] else ["FORBIDDEN"])
        if not MAY_PLACE[role]:
            (error,) = answer.json()["errors"]
            assert error["path"] == ["createOrder"]
            assert error["message"] == "The role kitchen may not use createOrder."
    answer = server.http.get("/graphql", params={"query": LIST}, headers=headers)
    assert codes(answer) == []


def test_the_scheme_is_compared_without_case(closed: tuple[ServerProcess, Tokens]) -> None:
    server, tokens = closed
    for scheme in ("Bearer", "bearer", "BEARER"):
        headers = {"authorization": f"{scheme} {tokens[Role.FLOOR]}"}
        assert post(server, LIST, headers).status_code == 200


def placed(server: ServerProcess) -> int:
    ((count,),) = server.database.rows("SELECT count(*) FROM orders")
    assert isinstance(count, int)
    return count


@pytest.mark.parametrize("role", Role)
async def test_roles_on_the_socket(closed: tuple[ServerProcess, Tokens], role: Role) -> None:
    server, tokens = closed
    async with open_screen(server.socket_url, tokens[role]) as screen:
        before = placed(server)
        for create in (CREATE, CREATE_GENERIC):
            await screen.subscribe(create, operation="create")
            answer = await screen.receive()
            assert answer["type"] == "next"
            found = [e["extensions"]["code"] for e in answer["payload"].get("errors", [])]
            assert found == ([] if MAY_PLACE[role] else ["FORBIDDEN"])
            assert (await screen.receive())["type"] == "complete"
        assert placed(server) - before == (2 if MAY_PLACE[role] else 0)
        for query in (LIST, GENERIC):
            await screen.subscribe(query, operation="list")
            assert (await screen.next())["orders"]
            assert (await screen.receive())["type"] == "complete"
        await screen.subscribe(FOLLOW, operation="follow", last=1)
        if MAY_FOLLOW[role]:
            await screen.send({"id": "follow", "type": "complete"})
        else:
            assert (await screen.error())["extensions"]["code"] == "FORBIDDEN"
        await screen.settle()


INIT = "connection_init"


@pytest.mark.parametrize(
    "payload",
    [
        None,
        {},
        {"authorization": BAD},
        {"authorization": None},
        {"authorization": 7},
        {"authorization": ["Bearer"]},
        {"authorization": "Bearer \ud800 🍣"},
    ],
)
async def test_socket_without_a_valid_token_is_closed_before_anything_is_answered(
    closed: tuple[ServerProcess, Tokens], payload: object
) -> None:
    server, _ = closed
    before = placed(server)
    async with open_socket(server.socket_url) as screen:
        await screen.send(json.dumps({"type": INIT, "payload": payload}))
        for number in range(5):  # in the same breath
            await screen.subscribe(CREATE, operation=f"{number}")
            await screen.send({"type": INIT})
        with pytest.raises(Exception, match="4403"):
            await screen.receive()
        assert (await screen.closed())[0] == 4403
    assert placed(server) == before
    assert "Traceback" not in server.log


async def test_operation_before_the_token_closes_with_4401(
    closed: tuple[ServerProcess, Tokens],
) -> None:
    server, tokens = closed
    before = placed(server)
    async with open_socket(server.socket_url) as screen:
        await screen.subscribe(CREATE)
        await screen.send({"type": INIT, "payload": bearer(tokens[Role.FLOOR])})
        assert (await screen.closed())[0] == 4401
    assert placed(server) == before


async def test_header_of_the_payload_is_found_in_any_case(
    closed: tuple[ServerProcess, Tokens],
) -> None:
    """GraphiQL sends the headers of its editor as they were typed."""
    server, tokens = closed
    async with open_socket(server.socket_url) as screen:
        payload = {"Authorization": f"Bearer {tokens[Role.KITCHEN]}", "X-Other": 1}
        await screen.send({"type": INIT, "payload": payload})
        assert (await screen.receive())["type"] == "connection_ack"


def test_page_and_probes_need_no_token(closed: tuple[ServerProcess, Tokens]) -> None:
    server, _ = closed
    page = server.http.get("/graphql", headers={"accept": "text/html"})
    assert (page.status_code, "GraphiQL" in page.text) == (200, True)
    for path in ("/healthz", "/readyz"):
        assert server.http.get(path).status_code == 200


async def test_no_token_is_in_the_log(closed: tuple[ServerProcess, Tokens]) -> None:
    """At the level `debug`, at which websockets would log every header and frame."""
    server, tokens = closed
    token = tokens[Role.KITCHEN]
    url = f"{server.socket_url}?token={token}"  # by mistake: handshakes are logged with their path
    async with open_screen(url, token, additional_headers=bearer(token)) as screen:
        await screen.subscribe(FOLLOW)
        await screen.settle()
    post(server, CREATE, bearer(token))
    server.http.get("/graphql", params={"query": LIST, "token": token}, headers=bearer(token))
    await until(lambda: "token=b92_" in server.log, "the handshake to be logged")
    for text in tokens.values():
        _, token_id, secret = text.split("_")
        assert token_id in server.log or text != token, "shortened, not left out"
        for start in range(0, 40, 10):
            assert secret[start : start + 10] not in server.log


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
            await again.send({"type": INIT, "payload": kitchen})
            assert (await again.closed())[0] == 4403
    assert "Traceback" not in server.log


async def test_revoked_socket_does_nothing_more_though_it_does_not_close(
    fresh: tuple[ServerProcess, Tokens],
) -> None:
    """A peer that ignores the close frame, and goes on sending."""
    server, tokens = fresh
    reader, writer = await _raw_socket(server, tokens[Role.FLOOR])
    await revoke(server, "floor")
    async with asyncio.timeout(10):
        while (await reader.readexactly(1)) != b"\x88":  # a close frame
            pass
    payload = {"id": "1", "type": "subscribe", "payload": {"query": CREATE}}
    for _ in range(3):
        writer.write(_masked_frame(json.dumps(payload).encode()))
        await writer.drain()
    assert post(server, LIST, bearer(tokens[Role.MANAGER])).status_code == 200
    assert placed(server) == 0
    writer.close()


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


async def _raw_socket(
    server: ServerProcess, token: str
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(
        f"GET /graphql HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
        "dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n".encode()
    )
    await reader.readuntil(b"\r\n\r\n")
    init = {"type": INIT, "payload": bearer(token)}
    writer.write(_masked_frame(json.dumps(init).encode()))
    await reader.readuntil(b"connection_ack")
    return reader, writer


def _masked_frame(payload: bytes) -> bytes:
    assert 126 <= len(payload) < 65_536 or len(payload) < 126
    size = bytes([0x80 | len(payload)])
    if len(payload) >= 126:
        size = bytes([0x80 | 126]) + len(payload).to_bytes(2, "big")
    return b"\x81" + size + b"\0\0\0\0" + payload


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
