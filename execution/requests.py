"""A request id for every HTTP request and every WebSocket: in logs, headers and masked errors."""

import logging
import secrets
import sys

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from db.errors import StartError
from execution.json import encode

logger = logging.getLogger("bistro92.requests")


class RequestIds:
    """Plain ASGI middleware: names each request, and answers for what nobody else caught."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a connection."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        request_id = secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id
        started = False

        async def send_with_id(message: Message) -> None:
            nonlocal started
            if message["type"] in ("http.response.start", "websocket.accept"):
                started = True
                MutableHeaders(scope=message)["x-request-id"] = request_id
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception:
            logger.exception("unexpected error in request %s", request_id)
            if scope["type"] == "http" and not started:
                await _send_unexpected_error(send, request_id)


async def _send_unexpected_error(send: Send, request_id: str) -> None:
    extensions = {"code": "INTERNAL_SERVER_ERROR", "requestId": request_id}
    body = encode({"errors": [{"message": "Unexpected error.", "extensions": extensions}]})
    headers = [(b"content-type", b"application/json"), (b"x-request-id", request_id.encode())]
    await send({"type": "http.response.start", "status": 500, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class PlainStartErrors:
    """Plain ASGI middleware: a failed start is told in a sentence, not in a stack trace."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a connection, or the lifespan."""

        async def send_plainly(message: Message) -> None:
            # Starlette sends this while it handles the exception, with the trace as its text.
            error = sys.exception()
            if message["type"] == "lifespan.startup.failed" and isinstance(error, StartError):
                message["message"] = f"Bistro92 can't start: {error}"
            await send(message)

        await self._app(scope, receive, send_plainly if scope["type"] == "lifespan" else send)
