"""Ready WebSocket frames: several messages in one write, where the server can take them.

Sending a message through ASGI costs more than the system call it ends in. Under our own server a
socket offers to write frames as they are (the ASGI extension `bistro92.frames`), and to be dropped
with what is not sent yet; under any other server messages are sent one by one, and closing waits.
"""

from collections.abc import Sequence
from struct import pack

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

EXTENSION = "bistro92.frames"


def text_frame(payload: bytes) -> bytes:
    """Return the header of an unmasked, final text frame (RFC 6455, 5.2), and its payload."""
    size = len(payload)
    if size < 126:
        return pack("!BB", 0x81, size) + payload
    if size < 65_536:
        return pack("!BBH", 0x81, 126, size) + payload
    return pack("!BBQ", 0x81, 127, size) + payload


class FrameWritingProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol, which also takes text messages as ready frames."""

    def handle_connect(self, event: Request) -> None:
        """Begin the handshake, and offer the extension to the application."""
        super().handle_connect(event)
        if not self.close_sent:  # the handshake was not refused
            self.scope["extensions"][EXTENSION] = {
                "write": self.write_texts,
                "abort": self.transport.abort,
            }

    def handle_ping(self) -> None:
        """Answer a ping; a peer that sends them and doesn't read would grow our memory."""
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.transport.abort()

    async def write_texts(self, payloads: Sequence[bytes]) -> None:
        """Send text messages in one write, after what was sent before, with flow control.

        Raises `ClientDisconnected` if the socket is closed or closing.
        """
        # As uvicorn's own `send`: without it a screen that doesn't read would grow our memory.
        if not self.writable.is_set():
            await self.writable.wait()
        if self.disconnected or self.close_sent or self.transport.is_closing():
            raise ClientDisconnected
        self.transport.write(b"".join([text_frame(payload) for payload in payloads]))
