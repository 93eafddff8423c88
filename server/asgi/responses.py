"""Answers that are an error and nothing else: JSON of GraphQL's shape, with a code, and counted."""

from starlette.types import Scope, Send

from db.stats import rejections
from execution.codes import Code
from execution.encoding import encode
from execution.errors import describe
from execution.response import unexpected

Header = tuple[bytes, bytes]

HANDSHAKE = "websocket.http.response"


def unexpected_error(request_id: str) -> bytes:
    """Return the body of the answer to a request that failed for reasons of our own."""
    return unexpected(request_id).body


def error_body(code: Code, message: str, **extensions: object) -> bytes:
    """Return the body of an answer that is an error, and count it."""
    return encode({"errors": [describe(code, message, **extensions)]})


async def refuse(
    scope: Scope,
    send: Send,
    code: Code,
    message: str,
    *headers: Header,
    status: int | None = None,
    **extensions: object,
) -> None:
    """Answer a request with one GraphQL error, a handshake too if the server can.

    Under a server that can't, a handshake gets a bare 403.
    """
    if scope["type"] == "websocket" and HANDSHAKE not in scope.get("extensions", {}):
        rejections[code.name] += 1
        await send({"type": "websocket.close", "code": 1008})
        return
    body = error_body(code, message, **extensions)
    await send_json(scope, send, status or code.status, body, *headers)


async def send_json(scope: Scope, send: Send, status: int, body: bytes, *headers: Header) -> None:
    """Answer a request or a handshake."""
    kind = "http.response" if scope["type"] == "http" else HANDSHAKE
    given = [
        (b"content-type", b"application/json; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        *headers,
    ]
    await send({"type": f"{kind}.start", "status": status, "headers": given})
    await send({"type": f"{kind}.body", "body": body})
