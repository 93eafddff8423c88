"""Sockets that don't offer `graphql-transport-ws`: they are told so, and no operation runs on them.

The older protocol calls itself `graphql-ws`, as the npm package of the newer one is called. Its
clients look at messages only: neither the status of a handshake nor a close code reaches a
developer, so it is accepted to say one thing. Clients of it come back with growing pauses.
"""

from contextlib import suppress

from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from execution import encoding
from execution.codes import Code
from execution.errors import describe

_LEGACY = "graphql-ws"
_CLOSE_CODE = 4406
_REASON = "The subprotocol must be graphql-transport-ws (npm package graphql-ws)"
_MESSAGE = (
    "This client speaks graphql-ws, the protocol of the npm package subscriptions-transport-ws. "
    "The service speaks graphql-transport-ws only: use the npm package graphql-ws, or another "
    "client of graphql-transport-ws."
)


async def refuse_subprotocol(scope: Scope, receive: Receive, send: Send) -> None:
    """Say which subprotocol is spoken, as far as the one that is offered can, and close."""
    described = describe(Code.SUBPROTOCOL_NOT_ACCEPTABLE, _MESSAGE)
    socket = WebSocket(scope, receive, send)
    is_legacy = _LEGACY in scope["subprotocols"]
    with suppress(WebSocketDisconnect, OSError):  # the client was quicker
        await socket.accept(_LEGACY if is_legacy else None)
        if is_legacy:
            message = {"type": "connection_error", "payload": described}
            await socket.send_text(encoding.encode(message).decode())
        await socket.close(_CLOSE_CODE, _REASON)
