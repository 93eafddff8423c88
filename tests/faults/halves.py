"""Connections that end in the middle of a request, a handshake or a frame."""

import asyncio
import json

from tests.faults.proxy import reset
from tests.support.orders import CREATE_ORDER, FOLLOW

_BODY = json.dumps({"query": CREATE_ORDER, "variables": {"input": {"table": "never"}}}).encode()
_POST = (
    b"POST /graphql HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
    b"content-length: %d\r\n\r\n" % len(_BODY)
)
_HANDSHAKE = (
    b"GET /graphql HTTP/1.1\r\nhost: 127.0.0.1\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"sec-websocket-protocol: graphql-transport-ws\r\n\r\n"
)


def _frame(message: object) -> bytes:
    text = json.dumps(message).encode()
    # A client's frame is masked; a mask of zeros leaves the text as it is.
    return b"\x81\xfe" + len(text).to_bytes(2, "big") + bytes(4) + text


_INIT = _frame({"type": "connection_init"})
_SUBSCRIBE = _frame({"id": "1", "type": "subscribe", "payload": {"query": FOLLOW}})
_ORDER = _frame({"id": "2", "type": "subscribe", "payload": json.loads(_BODY)})

# What is sent before the end: whole parts first, then half of the last.
HALVES = (
    b"P",
    _POST[:40],
    _POST + _BODY[: len(_BODY) // 2],
    _HANDSHAKE[:60],
    _HANDSHAKE + _INIT[:7],
    _HANDSHAKE + _INIT + _SUBSCRIBE[:3],
    _HANDSHAKE + _INIT + _SUBSCRIBE + _ORDER[: len(_ORDER) // 2],
    # A frame that says it is long, and is not.
    _HANDSHAKE + _INIT + b"\x81\xff" + (100_000).to_bytes(8, "big") + bytes(4) + b"{",
)


async def send_halves(port: int) -> int:
    """Send each half on a connection of its own, wait for an answer if one is due, and reset."""
    await asyncio.gather(*(_send(port, half) for half in HALVES))
    return len(HALVES)


async def _send(port: int, half: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(half)
    await writer.drain()
    if half.startswith(_HANDSHAKE):
        await reader.readuntil(b"\r\n\r\n")
    reset(writer)
