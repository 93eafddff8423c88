"""A request id for every HTTP request and every WebSocket: in logs, headers and masked errors."""

import logging
import os
from collections.abc import Iterator

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.asgi.responses import HANDSHAKE, send_json, unexpected_error
from server.asgi.state import name_request

logger = logging.getLogger("bistro92.requests")

_STARTS = ("http.response.start", "websocket.accept", f"{HANDSHAKE}.start")


def _request_ids() -> Iterator[str]:
    # Many at a time: to ask the system for each costs as much as to find a known answer.
    while True:
        digits = os.urandom(8 * 64).hex()
        for start in range(0, len(digits), 16):
            yield digits[start : start + 16]


_IDS = _request_ids()


def new_request_id() -> str:
    """Return an id for one request: 16 hexadecimal digits."""
    return next(_IDS)


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
        name_request(scope, request_id)
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
