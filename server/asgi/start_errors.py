"""A failed start is told in a sentence."""

import sys

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from db.errors import Bistro92Error, StartError


class PlainStartErrors:
    """Plain ASGI middleware: a failed start is told in a sentence, not in a stack trace."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a connection, or the lifespan."""

        async def send_plainly(message: Message) -> None:
            # Starlette sends this while it handles the exception, with the trace as its text.
            error = sys.exception()
            is_expected = isinstance(error, StartError | Bistro92Error)
            if message["type"] == "lifespan.startup.failed" and is_expected:
                message["message"] = f"Bistro92 can't start: {error}"
            await send(message)

        await self._app(scope, receive, send_plainly if scope["type"] == "lifespan" else send)
