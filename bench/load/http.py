"""HTTP/1.1 with as little work as possible: pre-encoded requests, kept connections."""

import re
import socket
from collections.abc import Callable, Sequence
from itertools import cycle

import orjson

from bench.load.loop import LoadError, Loop

HOST = "127.0.0.1"
_RECEIVE_BYTES = 32_768
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)

# The connection's number, a request and the response to it.
Exchange = tuple[int, bytes, bytes]


def encode_request(method: str, path: str, body: object | None = None) -> bytes:
    """Encode a request whose body, if any, is JSON."""
    payload = b"" if body is None else orjson.dumps(body)
    head = f"{method} {path} HTTP/1.1\r\nhost: {HOST}\r\naccept: application/json\r\n"
    if body is not None:
        head += f"content-type: application/json\r\ncontent-length: {len(payload)}\r\n"
    return head.encode() + b"\r\n" + payload


def body_of(message: bytes) -> bytes:
    """Return what follows the head of a request or response."""
    return message.partition(b"\r\n\r\n")[2]


def _is_complete(data: bytes) -> bool:
    head = data.find(b"\r\n\r\n")
    if head < 0:
        return False
    length = _LENGTH.search(data, 0, head)
    if length is None:
        raise LoadError(f"a response without a length: {data[:300]!r}")
    return len(data) >= head + 4 + int(length[1])


class Connection:
    """A kept connection with at most one request in flight."""

    __slots__ = ("_loop", "_on_response", "_partial", "_socket", "closed", "number", "request")

    def __init__(
        self,
        loop: Loop,
        port: int,
        on_response: Callable[["Connection", bytes, bytes], None],
        number: int = 0,
    ) -> None:
        self.number = number
        self.closed = False
        self._loop = loop
        self._on_response = on_response
        self._partial = b""
        self.request: bytes | None = None
        self._socket = socket.create_connection((HOST, port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setblocking(False)
        loop.add(self._socket, self._on_readable)

    def send(self, request: bytes) -> None:
        """Send a request; the one before must have been answered."""
        self.request = request
        self._socket.send(request)

    def close(self) -> None:
        """Close the connection."""
        if self.closed:
            return
        self.closed = True
        self._loop.remove(self._socket)
        self._socket.close()

    def _on_readable(self) -> None:
        data = self._socket.recv(_RECEIVE_BYTES)
        if not data:
            self._on_end()
            return
        if self._partial:
            data = self._partial + data
        if not _is_complete(data):
            self._partial = data
            return
        if data[9:12] != b"200":
            raise LoadError(f"not answered with 200: {data[:1000]!r}")
        request, self.request, self._partial = self.request, None, b""
        self._on_response(self, request or b"", data)

    def _on_end(self) -> None:
        if self.request is not None:
            raise LoadError("the server closed a connection instead of answering")
        self.close()  # Nothing was asked for a while.


class ClosedLoop:
    """So many connections, each sending its next request when the last is answered.

    `exchanges` keeps every request with its response while `recording`.
    """

    def __init__(self, loop: Loop, port: int, connections: int, requests: Sequence[bytes]) -> None:
        self.answered = 0
        self.recording = False
        self.exchanges: list[Exchange] = []
        self._loop = loop
        self._next_request = cycle(requests).__next__
        self._running = False
        self._idle = [
            Connection(loop, port, self._on_response, number) for number in range(connections)
        ]
        self._connections = tuple(self._idle)

    def start(self) -> None:
        """Send on every connection, and go on."""
        self._running = True
        while self._idle:
            self._idle.pop().send(self._next_request())

    def stop(self) -> None:
        """Send no more, and wait for what is in flight."""
        self._running = False
        everyone = len(self._connections)
        self._loop.run_until(lambda: len(self._idle) == everyone, "the last responses")

    def close(self) -> None:
        """Close the connections."""
        for connection in self._connections:
            connection.close()

    def _on_response(self, connection: Connection, request: bytes, response: bytes) -> None:
        self.answered += 1
        if self.recording:
            self.exchanges.append((connection.number, request, response))
        if self._running:
            connection.send(self._next_request())
        else:
            self._idle.append(connection)


class Pool:
    """Connections for requests at given times: opens one more whenever none is free."""

    def __init__(self, loop: Loop, port: int) -> None:
        self._loop = loop
        self._port = port
        self._idle: list[Connection] = []
        self._connections: list[Connection] = []
        self._in_flight = 0
        self.exchanges: list[Exchange] = []

    def send(self, request: bytes) -> None:
        """Send a request now."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed:
                break
        else:
            connection = Connection(self._loop, self._port, self._on_response)
            self._connections.append(connection)
        self._in_flight += 1
        connection.send(request)

    def ask(self, request: bytes) -> bytes:
        """Send a request, wait, and return the body of its response."""
        known = len(self.exchanges)
        self.send(request)
        self._loop.run_until(lambda: len(self.exchanges) > known, "a response")
        return body_of(self.exchanges[-1][2])

    def settles(self, seconds: float) -> bool:
        """Wait until everything is answered; tell whether that came in time."""
        return self._loop.reaches(lambda: not self._in_flight, seconds)

    def close(self) -> None:
        """Close the connections."""
        for connection in self._connections:
            connection.close()

    def _on_response(self, connection: Connection, request: bytes, response: bytes) -> None:
        self.exchanges.append((connection.number, request, response))
        self._in_flight -= 1
        self._idle.append(connection)
