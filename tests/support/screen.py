"""A `graphql-transport-ws` client that reads like the protocol."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.support.waiting import DEADLINE_SECONDS

Message = dict[str, Any]


class Screen:
    """One socket. Pings of the server are answered while receiving, and not shown."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def send(self, message: object) -> None:
        await self.socket.send(message if isinstance(message, str) else json.dumps(message))

    async def receive(self) -> Message:
        while True:
            text = await asyncio.wait_for(self.socket.recv(), DEADLINE_SECONDS)
            assert isinstance(text, str), "browsers receive binary frames as Blobs"
            message: Message = json.loads(text)
            if message["type"] != "ping":
                return message
            await self.send({"type": "pong"})

    async def subscribe(self, query: str, operation: str = "1", **variables: object) -> None:
        payload = {"query": query, "variables": variables}
        await self.send({"id": operation, "type": "subscribe", "payload": payload})

    async def next(self) -> Message:
        """Receive an event and return its data."""
        message = await self.receive()
        assert message["type"] == "next", message
        assert "errors" not in message["payload"], message
        data: Message = message["payload"]["data"]
        return data

    async def orders(self, count: int) -> list[Message]:
        """Receive so many orders."""
        return [(await self.next())["orderCreated"] for _ in range(count)]

    async def error(self) -> Message:
        """Receive the error that refuses an operation."""
        message = await self.receive()
        assert message["type"] == "error", message
        (error,) = message["payload"]
        found: Message = error
        return found

    async def closed(self) -> tuple[int | None, str | None]:
        """Wait until the server closes the socket; return the close code and reason."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            with suppress(ConnectionClosed):
                while True:
                    await self.socket.recv()
        return self.socket.close_code, self.socket.close_reason

    async def settle(self) -> None:
        """Wait until the server has handled everything that was sent before."""
        await self.send({"type": "ping"})
        message = await self.receive()
        assert message["type"] == "pong", message


@asynccontextmanager
async def open_socket(url: str, **options: Any) -> AsyncIterator[Screen]:
    """Open a socket without initialising the connection."""
    protocols = [Subprotocol("graphql-transport-ws")]
    async with connect(url, subprotocols=protocols, ping_interval=None, **options) as socket:
        yield Screen(socket)


@asynccontextmanager
async def open_screen(url: str, token: str | None = None, **options: Any) -> AsyncIterator[Screen]:
    """Open a socket that is ready for operations."""
    payload = {} if token is None else {"authorization": f"Bearer {token}"}
    async with open_socket(url, **options) as screen:
        await screen.send({"type": "connection_init", "payload": payload})
        message = await screen.receive()
        assert message["type"] == "connection_ack"
        yield screen
