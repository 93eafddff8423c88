"""A WebSocket client that may break every rule: frames go out as the test writes them."""

import asyncio
import json
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from websockets.frames import Opcode

from tests.support.waiting import DEADLINE_SECONDS

_HANDSHAKE = (
    "GET /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
)


def frame(
    payload: bytes, opcode: Opcode = Opcode.TEXT, *, fin: bool = True, rsv1: bool = False
) -> bytes:
    """Return a frame, allowed or not, masked with zeros."""
    first = opcode | fin << 7 | rsv1 << 6
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", first, 0x80 | size)
    elif size < 65_536:
        head = struct.pack("!BBH", first, 0xFE, size)
    else:
        head = struct.pack("!BBQ", first, 0xFF, size)
    return head + bytes(4) + payload


def text(message: object) -> bytes:
    """Return a message as one frame."""
    return frame(json.dumps(message).encode())


@dataclass
class Received:
    """A frame from the server."""

    opcode: Opcode
    payload: bytes

    @property
    def close_code(self) -> int:
        """The code of a close frame; 1005 if it has none."""
        return struct.unpack("!H", self.payload[:2])[0] if self.payload else 1005


class RawSocket:
    """One connection, after the handshake."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, *frames: bytes) -> None:
        """Send bytes; the server may have gone already."""
        try:
            for data in frames:
                self._writer.write(data)
                await self._writer.drain()
        except ConnectionError:
            pass

    async def receive(self) -> Received | None:
        """Receive a frame; None at the end of the connection."""
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                first, size = await self._reader.readexactly(2)
                if size == 126:
                    (size,) = struct.unpack("!H", await self._reader.readexactly(2))
                elif size == 127:
                    (size,) = struct.unpack("!Q", await self._reader.readexactly(8))
                return Received(Opcode(first & 0x0F), await self._reader.readexactly(size))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def outcome(self, *, ask: bool = True) -> int | str:
        """Ask whether the socket still works: "pong", a close code, or "dropped"."""
        if ask:
            await self.send(text({"type": "ping"}))
        while (received := await self.receive()) is not None:
            if received.opcode is Opcode.CLOSE:
                return received.close_code
            if received.opcode is Opcode.TEXT and b'"type":"pong"' in received.payload:
                return "pong"
        return "dropped"

    def abort(self) -> None:
        """Reset the connection."""
        self._writer.transport.abort()


@asynccontextmanager
async def open_raw_socket(port: int) -> AsyncIterator[RawSocket]:
    """Do the handshake, and nothing else."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(_HANDSHAKE.encode())
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), DEADLINE_SECONDS)
        assert head.startswith(b"HTTP/1.1 101"), head
        yield RawSocket(reader, writer)
    finally:
        # What a server that has closed won't read any more would keep the socket open.
        writer.transport.abort()
        with suppress(ConnectionError):
            await writer.wait_closed()
