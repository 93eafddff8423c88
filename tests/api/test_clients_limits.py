"""What one client may have and ask for: sockets, operations on one, requests in a time."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from gql import Client
from gql.transport.exceptions import TransportError
from gql.transport.websockets import WebsocketsTransport
from websockets.exceptions import InvalidStatus

from db.tokens import Role
from execution import encoding
from tests.support.orders import CREATE_ORDER, FOLLOW, soup_input
from tests.support.screen import Screen, open_screen
from tests.support.server import ServerProcess
from tests.support.tokens import bearer, create_tokens
from tests.support.waiting import DEADLINE_SECONDS, wait_until


@pytest.fixture(scope="module")
def narrow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(
        tmp_path_factory.mktemp("narrow"),
        max_websockets_per_client=3,
        max_websockets=4,
        websocket_max_operations=2,
        allow_anonymous=True,  # clients claim other addresses
    ) as started:
        yield started


def from_address(address: str) -> dict[str, dict[str, str]]:
    """Options of a client that comes through a proxy on this machine, which uvicorn trusts."""
    return {"additional_headers": {"x-forwarded-for": address}}


async def refused(server: ServerProcess, address: str) -> tuple[int, str]:
    """Fail to open a socket; return the status and the error's code."""
    with pytest.raises(InvalidStatus) as info:
        async with open_screen(server.socket_url, None, **from_address(address)):
            pass
    response = info.value.response
    assert int(response.headers["retry-after"]) > 0
    assert response.headers["x-request-id"]
    assert response.body is not None
    body = encoding.decode(bytes(response.body))
    assert isinstance(body, dict)
    return response.status_code, body["errors"][0]["extensions"]["code"]


async def test_one_socket_too_many_is_refused_and_let_in_later(
    narrow_server: ServerProcess,
) -> None:
    url = narrow_server.socket_url
    async with AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(open_screen(url))
        async with open_screen(url):
            assert await refused(narrow_server, "127.0.0.1") == (429, "TOO_MANY_SOCKETS")
            async with open_screen(url, None, **from_address("192.0.2.1")) as other:
                assert await refused(narrow_server, "192.0.2.2") == (503, "TOO_MANY_SOCKETS")
                await other.settle()
            # A client that comes back sees a connection that failed, as when nobody is there.
            gql = Client(transport=WebsocketsTransport(url, subprotocols=["graphql-transport-ws"]))
            with pytest.raises(TransportError):
                async with gql:
                    pass
        await be_let_in(url)
    assert "ERROR" not in narrow_server.log


async def be_let_in(url: str) -> None:
    """Try to open a socket until the server lets us in."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while True:
            try:
                async with open_screen(url):
                    return
            except InvalidStatus:
                continue


async def test_one_operation_too_many_ends_that_operation_only(
    narrow_server: ServerProcess,
) -> None:
    async with open_screen(narrow_server.socket_url) as screen:
        for operation in ("1", "2", "3"):
            await screen.subscribe(FOLLOW, operation=operation)
        error = await screen.error()
        assert error["extensions"]["code"] == "TOO_MANY_OPERATIONS"
        assert "2 operations" in error["message"]
        narrow_server.data(CREATE_ORDER, input=soup_input())
        assert len(await screen.orders(2)) == 2
        await screen.send({"id": "1", "type": "complete"})
        await screen.subscribe("{ __typename }", operation="3")
        assert await screen.next() == {"__typename": "Query"}


@pytest.fixture
def slow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that takes few requests of a client."""
    with ServerProcess(
        tmp_path_factory.mktemp("slow"), rate_limit="5/hour", allow_anonymous=True
    ) as started:
        yield started


async def limited(screen: Screen) -> int:
    """Begin an operation that is refused; return for how long."""
    await screen.subscribe("{ __typename }", operation="more")
    error = await screen.error()
    assert error["extensions"]["code"] == "RATE_LIMITED"
    seconds: int = error["extensions"]["retryAfterSeconds"]
    return seconds


async def test_rate_counts_http_and_sockets_together_and_clients_apart(
    slow_server: ServerProcess,
) -> None:
    async with open_screen(slow_server.socket_url) as screen:
        await screen.subscribe(FOLLOW)
        await screen.settle()
        for _ in range(4):
            slow_server.data(CREATE_ORDER, input=soup_input())
        # What was begun goes on: a screen is not cut off.
        assert len(await screen.orders(4)) == 4
        assert 3500 < await limited(screen) <= 3600
        for response in (
            slow_server.post(b'{"query": "{ orders { nodes { id } } }"}'),
            slow_server.post(b"not JSON"),
            slow_server.http.get("/graphql", params={"query": "{ __typename }"}),
        ):
            assert response.status_code == 429
            assert 3500 < int(response.headers["retry-after"]) <= 3600
            assert response.headers["x-request-id"]
            (error,) = response.json()["errors"]
            assert error["extensions"]["code"] == "RATE_LIMITED"
            assert "5 per 1 hour" in error["message"]
        assert slow_server.http.get("/readyz").status_code == 200
        other = slow_server.http.post(
            "/graphql", json={"query": "{ __typename }"}, headers={"x-forwarded-for": "192.0.2.1"}
        )
        assert other.status_code == 200
        await screen.settle()


def test_client_is_served_again_when_its_window_has_ended(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with ServerProcess(tmp_path_factory.mktemp("second"), rate_limit="2/second") as server:
        body = b'{"query": "{ orders { nodes { id } } }"}'
        wait_until(lambda: server.post(body).status_code == 429, "a request to be refused")
        wait_until(lambda: server.post(body).status_code == 200, "a request to be served again")


async def test_each_token_has_a_limit_of_its_own(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, rate_limit="3/hour")
    tokens = await create_tokens(server.path)
    with server:

        def status(role: Role) -> int:
            query = {"query": "{ orders { nodes { id } } }"}
            headers = bearer(tokens[role])
            return server.http.post("/graphql", json=query, headers=headers).status_code

        assert [status(Role.FLOOR) for _ in range(4)] == [200, 200, 200, 429]
        assert status(Role.KITCHEN) == 200
