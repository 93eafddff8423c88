"""A request id for every HTTP request and every WebSocket: in logs, headers and masked errors."""

import logging
import os
import sys

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from db.errors import StartError
from db.stats import rejections
from execution.encoding import encode
from execution.errors import UNEXPECTED_MESSAGE

logger = logging.getLogger("bistro92.requests")

Header = tuple[bytes, bytes]

_LENGTH_MAX_DIGITS = 20
_HANDSHAKE = "websocket.http.response"
_STARTS = ("http.response.start", "websocket.accept", f"{_HANDSHAKE}.start")


def new_request_id() -> str:
    """Return an id for one request: 16 hexadecimal digits."""
    return os.urandom(8).hex()


class RequestIds:
    """Plain ASGI middleware: names each request, and answers for what nobody else caught."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a connection."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        request_id = new_request_id()
        scope.setdefault("state", {})["request_id"] = request_id
        started = False

        async def send_with_id(message: Message) -> None:
            nonlocal started
            if message["type"] in _STARTS:
                started = True
                MutableHeaders(scope=message)["x-request-id"] = request_id
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except ClientDisconnect:
            # In the middle of its body: nobody is left to be answered, and nothing is wrong here.
            logger.debug("the client of request %s left before its end", request_id)
        except Exception:
            logger.exception("unexpected error", extra={"request_id": request_id})
            if scope["type"] == "http" and not started:
                await send_json(scope, send_with_id, 500, unexpected_error(request_id))


def unexpected_error(request_id: str) -> bytes:
    """Return the body of the answer to a request that failed for reasons of our own."""
    return error_body("INTERNAL_SERVER_ERROR", UNEXPECTED_MESSAGE, requestId=request_id)


def error_body(code: str, message: str, **extensions: object) -> bytes:
    """Return the body of an answer that is an error and nothing else, and count it."""
    rejections[code] += 1
    error = {"message": message, "extensions": {"code": code, **extensions}}
    return encode({"errors": [error]})


async def refuse(
    scope: Scope,
    send: Send,
    status: int,
    code: str,
    message: str,
    *headers: Header,
    **extensions: object,
) -> None:
    """Answer a request with one GraphQL error, a handshake too if the server can.

    Under a server that can't, a handshake gets a bare 403.
    """
    if scope["type"] == "websocket" and _HANDSHAKE not in scope.get("extensions", {}):
        rejections[code] += 1
        await send({"type": "websocket.close", "code": 1008})
        return
    await send_json(scope, send, status, error_body(code, message, **extensions), *headers)


async def send_json(scope: Scope, send: Send, status: int, body: bytes, *headers: Header) -> None:
    """Answer a request or a handshake."""
    kind = "http.response" if scope["type"] == "http" else _HANDSHAKE
    given = [
        (b"content-type", b"application/json; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        *headers,
    ]
    await send({"type": f"{kind}.start", "status": status, "headers": given})
    await send({"type": f"{kind}.body", "body": body})


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


def announced_bytes(scope: Scope) -> int:
    """Return how large a request says that its body is; 0 if it doesn't say."""
    length: bytes = dict(scope["headers"]).get(b"content-length", b"").strip()
    return int(length) if length.isdigit() and len(length) < _LENGTH_MAX_DIGITS else 0


class BodyLimit:
    """Plain ASGI middleware: refuses a body that is too large before it is read whole."""

    def __init__(self, app: ASGIApp, *, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a connection."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        if announced_bytes(scope) > self._max_bytes:
            await self._refuse(scope, send)
            return
        length = 0

        async def receive_within_limit() -> Message:
            nonlocal length
            message = await receive()
            length += len(message.get("body", b""))
            if length > self._max_bytes:
                raise _BodyTooLargeError
            return message

        try:
            await self._app(scope, receive_within_limit, send)
        except _BodyTooLargeError:
            await self._refuse(scope, send)

    async def _refuse(self, scope: Scope, send: Send) -> None:
        text = f"The body of the request is larger than {self._max_bytes} bytes."
        # The rest of it is nothing that anybody would read.
        await refuse(scope, send, 413, "BODY_TOO_LARGE", text, (b"connection", b"close"))


class _BodyTooLargeError(Exception):
    """Nothing has been answered yet: whoever reads the body has not seen its end."""
