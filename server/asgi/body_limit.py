"""The largest body of a request."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from execution.codes import Code
from server.asgi.responses import refuse

_LENGTH_MAX_DIGITS = 20


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
        await refuse(scope, send, Code.BODY_TOO_LARGE, text, (b"connection", b"close"))


class _BodyTooLargeError(Exception):
    """Nothing has been answered yet: whoever reads the body has not seen its end."""
