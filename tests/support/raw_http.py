"""An HTTP client that says exactly what it is told to."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.server import ServerProcess
from tests.support.waiting import DEADLINE_SECONDS


def request(payload: object, *, headers: str = "", version: str = "1.1") -> bytes:
    body = json.dumps(payload).encode()
    head = (
        f"POST /graphql HTTP/{version}\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n{headers}\r\n"
    )
    return head.encode() + body


class RawClient:
    """A client that says exactly what it is told to."""

    def __init__(self, server: ServerProcess, receive_bytes: int | None = None) -> None:
        self._socket = socket.socket()
        self._socket.settimeout(DEADLINE_SECONDS)
        if receive_bytes is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self._socket.connect(("127.0.0.1", server.port))
        self._file = self._socket.makefile("rb")

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def answer(self, pause_seconds: float = 0) -> tuple[int, dict[str, str], bytes]:
        """Read one response: status, headers and body, with a pause after each part of it."""
        status = int(self._file.readline().split()[1])
        headers: dict[str, str] = {}
        while line := self._file.readline().strip():
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        left, parts = int(headers.get("content-length", "0")), []
        while left and (part := self._file.read(min(left, 16_384))):
            parts.append(part)
            left -= len(part)
            time.sleep(pause_seconds)
        return status, headers, b"".join(parts)

    def data(self) -> dict[str, object]:
        status, _, body = self.answer()
        assert status == 200, body
        data: dict[str, object] = json.loads(body)["data"]
        return data

    def is_closed(self) -> bool:
        """Wait until the server has closed the connection; whatever else it says is an error."""
        try:
            return self._file.read(1) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self._file.close()
        self._socket.close()


@contextmanager
def connected(server: ServerProcess, receive_bytes: int | None = None) -> Iterator[RawClient]:
    client = RawClient(server, receive_bytes)
    try:
        yield client
    finally:
        client.close()
