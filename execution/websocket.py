"""The socket: `graphql-transport-ws` on Strawberry's handler, with our own sign of life.

The server pings over the protocol and closes a silent peer with 4408, a code that makes
`graphql-ws` clients come back. uvicorn's own ping is off: it closes with 1011, which those
clients take as final.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from starlette.websockets import WebSocketDisconnect, WebSocketState
from strawberry.asgi import ASGIWebSocketAdapter
from strawberry.http.exceptions import WebSocketDisconnected
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import (
    BaseGraphQLTransportWSHandler,
)
from strawberry.subscriptions.protocols.graphql_transport_ws.types import Message

from execution import json
from resolvers.context import Context

if TYPE_CHECKING:
    from graphql import GraphQLError

    from execution.view import GraphQLView

logger = logging.getLogger("bistro92.websocket")

_CLOSE_REASON_MAX_BYTES = 123  # RFC 6455: a control frame's payload is 125 bytes, two are the code
_CLOSE_TIMEOUT_SECONDS = 1.0


class TextAdapter(ASGIWebSocketAdapter):
    """Sends text frames (browsers receive binary ones as Blobs) and survives late senders."""

    async def send_json(self, message: Mapping[str, object]) -> None:
        """Send a message; raises `WebSocketDisconnected` if the socket is closed or closing."""
        # Another task may have closed it: Starlette would raise a RuntimeError.
        if self.ws.application_state is not WebSocketState.CONNECTED:
            raise WebSocketDisconnected
        try:
            await self.ws.send_text(json.encode(message).decode())
        except WebSocketDisconnect as error:
            raise WebSocketDisconnected from error

    async def close(self, code: int, reason: str) -> None:
        """Close the socket; a reason that doesn't fit a close frame is cut."""
        if self.ws.application_state is WebSocketState.CONNECTED:
            fitting = reason.encode()[:_CLOSE_REASON_MAX_BYTES].decode(errors="ignore")
            await super().close(code, fitting)


class OperationHandler(BaseGraphQLTransportWSHandler[Context, None]):
    """Runs the operations of one socket."""

    _heard_at = 0.0
    _given_up = False

    async def handle(self) -> None:
        """Serve the socket until either side ends it."""
        self._heard_at = asyncio.get_running_loop().time()
        watching = asyncio.create_task(
            self._watch(asyncio.current_task()), name="bistro92-socket-watch"
        )
        try:
            await super().handle()
        except asyncio.CancelledError:
            if not self._given_up:
                raise
        finally:
            watching.cancel()
            await asyncio.wait({watching})

    async def _watch(self, serving: asyncio.Task[None] | None) -> None:
        """Ping, and end a socket whose peer has been silent for too long."""
        view = cast("GraphQLView", self.view)
        loop = asyncio.get_running_loop()
        while (left := self._heard_at + view.silence_timeout_seconds - loop.time()) > 0:
            pause = min(left, view.ping_interval_seconds)
            next_at = loop.time() + pause
            try:
                # Sending waits while the peer doesn't read: the deadline must hold all the same.
                async with asyncio.timeout(pause):
                    await self._ping()
            except (TimeoutError, WebSocketDisconnected):
                pass
            await asyncio.sleep(next_at - loop.time())
        try:
            async with asyncio.timeout(_CLOSE_TIMEOUT_SECONDS):
                await self.websocket.close(4408, "No sign of life")
        except TimeoutError:
            # Not even the close frame can be sent. What the screen missed is in the log.
            logger.info("socket %s given up: the peer does not read", self.context.request_id)
            self._given_up = True
            if serving is not None:
                serving.cancel()

    async def _ping(self) -> None:
        if self.connection_acknowledged:
            await self.send_message({"type": "ping"})

    async def handle_message(self, message: Message) -> None:
        """Check a message's shape before Strawberry reads it, and pass it on."""
        self._heard_at = asyncio.get_running_loop().time()
        if (problem := _problem_of(message)) is not None:
            await self.handle_invalid_message(problem)
            return
        if message["type"] == "connection_init" and message.get("payload") is None:
            message = {"type": "connection_init"}
        await super().handle_message(message)

    async def handle_task_exception(self, error: Exception) -> None:
        """Log what ended an operation, unless it is only that the client left."""
        if not isinstance(error, WebSocketDisconnected):
            request_id = self.context.request_id
            logger.error("unexpected error on socket %s", request_id, exc_info=error)

    @staticmethod
    def _get_pre_execution_close_reason(error: "GraphQLError") -> str | None:
        # A syntax error ends its operation with an `error` message. Strawberry would close the
        # socket, and with it every other subscription on it, with a code that is final.
        return None


def _problem_of(message: object) -> str | None:
    """Return what is wrong with a message's shape, if anything."""
    if not isinstance(message, dict):
        return "A message must be an object"
    kind = message.get("type")
    if not isinstance(kind, str):
        return "A message must have a type"
    if kind in ("subscribe", "complete") and not _is_id(message.get("id")):
        return f"The id of {kind} must be a non-empty string"
    if kind == "subscribe":
        return _problem_of_payload(message.get("payload"))
    return None


def _is_id(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _problem_of_payload(payload: object) -> str | None:
    if not isinstance(payload, dict):
        return "The payload of subscribe must be an object"
    if not isinstance(payload.get("query"), str):
        return "The query of subscribe must be a string"
    for name, kind in (("variables", dict), ("extensions", dict), ("operationName", str)):
        if not isinstance(payload.get(name), kind | None):
            return f"The {name} of subscribe has the wrong type"
    return None
