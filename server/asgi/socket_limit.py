"""How many sockets there may be, of one client and in all.

One too many is refused in the handshake, with a status, a sentence and a time to wait. To a client
that is a connection that was not made (a browser sees 1006), so it comes back. To close after an
accepted handshake would cost more, and the code that sounds right, 4429, makes `graphql-ws` clients
give up.
"""

from collections import Counter

from starlette.types import ASGIApp, Receive, Scope, Send

from execution.codes import Code
from server.access.clients import client_key
from server.asgi.responses import refuse

_RETRY_AFTER_SECONDS = 5


class SocketLimit:
    """Plain ASGI middleware: counts the sockets that are open."""

    def __init__(self, app: ASGIApp, *, max_sockets: int, max_per_client: int) -> None:
        self._app = app
        self._max_sockets = max_sockets
        self._max_per_client = max_per_client
        self._open: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a connection."""
        if scope["type"] != "websocket":
            await self._app(scope, receive, send)
            return
        key = client_key(scope)
        if self._open.total() >= self._max_sockets:
            await _refuse(scope, send, 503, f"The service has {self._max_sockets} sockets.")
        elif self._open[key] >= self._max_per_client:
            await _refuse(scope, send, 429, f"This client has {self._max_per_client} sockets.")
        else:
            await self._serve(key, scope, receive, send)

    async def _serve(self, key: str, scope: Scope, receive: Receive, send: Send) -> None:
        self._open[key] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._open[key] -= 1
            if not self._open[key]:
                del self._open[key]


async def _refuse(scope: Scope, send: Send, status: int, sentence: str) -> None:
    seconds = _RETRY_AFTER_SECONDS
    message = f"{sentence} That is the limit: try again shortly."
    later = (b"retry-after", b"%d" % seconds)
    code = Code.TOO_MANY_SOCKETS
    await refuse(scope, send, code, message, later, status=status, retryAfterSeconds=seconds)
