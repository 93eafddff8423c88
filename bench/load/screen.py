"""A kitchen screen as a raw WebSocket: shakes hands, subscribes, and counts what it gets."""

import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from bench.load.http import HOST
from bench.load.loop import LoadError, Loop

_RECEIVE_BYTES = 16_384
_FINAL_TEXT = 0x81
# Most pings and acknowledgements are shorter, every order is longer.
_SHORTEST_EVENT_BYTES = 64
_PING = b'{"type":"ping"'


@dataclass(frozen=True)
class Opening:
    """How a screen is opened. `subscribe` is None where connecting is all there is to it."""

    path: str
    protocol: str | None
    subscribe: object | None

    def handshake(self) -> bytes:
        """Return the HTTP request that opens the socket."""
        protocol = f"sec-websocket-protocol: {self.protocol}\r\n" if self.protocol else ""
        return (
            f"GET {self.path} HTTP/1.1\r\nhost: {HOST}\r\nupgrade: websocket\r\n"
            "connection: Upgrade\r\nsec-websocket-version: 13\r\n"
            f"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{protocol}\r\n"
        ).encode()


def encode_frame(message: object) -> bytes:
    """Encode a client's text frame. Its mask is zero, which leaves the text as it is."""
    text = orjson.dumps(message)
    if len(text) < 126:
        head = bytes((_FINAL_TEXT, 0x80 | len(text)))
    else:
        head = bytes((_FINAL_TEXT, 0x80 | 126)) + len(text).to_bytes(2, "big")
    return head + bytes(4) + text


_INIT = encode_frame({"type": "connection_init"})
_PONG = encode_frame({"type": "pong"})


class Screen:
    """One socket. `deliveries` counts the orders; `recorded` keeps them if it is a list.

    `on_event` is called with each order's frame, if given: it costs the client time.
    """

    __slots__ = (
        "_loop",
        "_opening",
        "_partial",
        "_shaken",
        "_socket",
        "deliveries",
        "on_event",
        "recorded",
        "subscribed",
    )

    def __init__(self, loop: Loop, port: int, opening: Opening) -> None:
        self.deliveries = 0
        self.recorded: list[bytes] | None = None
        self.on_event: Callable[[bytes], None] | None = None
        self.subscribed = False
        self._loop = loop
        self._opening = opening
        self._partial = b""
        self._shaken = False
        self._socket = socket.create_connection((HOST, port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setblocking(False)
        loop.add(self._socket, self._on_readable)
        self._socket.send(opening.handshake())

    def stop_reading(self) -> None:
        """Read no more, and let little wait in this side's buffer; the socket stays open."""
        self._loop.remove(self._socket)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)

    def close(self) -> None:
        """Close the socket without saying so, as a screen that is switched off."""
        self._loop.remove(self._socket)
        self._socket.close()

    def _on_readable(self) -> None:
        data = self._socket.recv(_RECEIVE_BYTES)
        if not data:
            raise LoadError("the server closed a screen")
        if self._partial:
            data = self._partial + data
        if not self._shaken:
            data = self._shake_hands(data)
        self._partial = self._read_frames(data)

    def _shake_hands(self, data: bytes) -> bytes:
        """Read the answer to the handshake; return the bytes that follow it."""
        head, end, rest = data.partition(b"\r\n\r\n")
        if not end:
            return data
        if not head.startswith(b"HTTP/1.1 101"):
            raise LoadError(f"a screen was refused: {data[:300]!r}")
        self._shaken = True
        if self._opening.subscribe is None:
            self.subscribed = True
        else:
            self._socket.send(_INIT)
        return rest

    def _read_frames(self, data: bytes) -> bytes:
        """Count the complete frames; return what is left. Inlined: this is the client's cost."""
        if not self._shaken:
            return data
        position, size = 0, len(data)
        while size - position >= 4:
            length = data[position + 1]
            start = position + 2
            if length == 126:
                length = data[position + 2] << 8 | data[position + 3]
                start = position + 4
            elif length == 127:
                length = int.from_bytes(data[position + 2 : position + 10], "big")
                start = position + 10
            end = start + length
            if end > size:
                break
            if (
                length < _SHORTEST_EVENT_BYTES
                or data[position] != _FINAL_TEXT
                or not self.subscribed
                or data.startswith(_PING, start)
            ):
                self._on_message(data[position], data[start:end])
            else:
                if not self.deliveries:
                    _check_first(data[start:end])
                self.deliveries += 1
                if self.recorded is not None:
                    self.recorded.append(data[start:end])
                if self.on_event is not None:
                    self.on_event(data[start:end])
            position = end
        return data[position:]

    def _on_message(self, first_byte: int, payload: bytes) -> None:
        if first_byte == 0x89:  # a ping of the WebSocket itself
            self._socket.send(bytes((0x8A, 0x80 | len(payload))) + bytes(4) + payload)
            return
        if first_byte != _FINAL_TEXT:
            raise LoadError(f"a screen got frame {first_byte:#x}: {payload!r}")
        kind = orjson.loads(payload).get("type")
        if kind == "ping":
            self._socket.send(_PONG)
        elif kind == "connection_ack":
            self._socket.send(encode_frame(self._opening.subscribe))
            self.subscribed = True
        elif kind not in ("pong", "ka"):
            raise LoadError(f"a screen got {payload!r}")


def _check_first(payload: bytes) -> None:
    message: dict[str, Any] = orjson.loads(payload)
    if "errors" in message.get("payload", ()) or message.get("type", "next") != "next":
        raise LoadError(f"a screen got {payload!r}")
