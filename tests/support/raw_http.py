"""An HTTP client that says exactly what it is told to."""

import json
import re
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from tests.support.server import ServerProcess
from tests.support.waiting import DEADLINE_SECONDS

# A header with which the fast lane leaves a request to the layers, and the view answers it.
PAST_THE_LANE = "Accept: application/json, text/html;q=0.1\r\n"
WAYS = {"lane": "", "view": PAST_THE_LANE}


def request(payload: object, *, headers: str = "", version: str = "1.1") -> bytes:
    body = json.dumps(payload).encode()
    head = (
        f"POST /graphql HTTP/{version}\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n{headers}\r\n"
    )
    return head.encode() + body


def chunked(payload: object, *, headers: str = "") -> bytes:
    """Return the same request with its body in chunks of five bytes."""
    head, _, body = request(payload, headers=headers).partition(b"\r\n\r\n")
    head = re.sub(rb"Content-Length: \d+", b"Transfer-Encoding: chunked", head)
    parts = [body[start : start + 5] for start in range(0, len(body), 5)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    return head + b"\r\n\r\n" + chunks + b"0\r\n\r\n"


HANDSHAKE = (
    b"GET /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    b"Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
)


class RawClient:
    """A client that says exactly what it is told to."""

    def __init__(self, server: ServerProcess, receive_bytes: int | None = None) -> None:
        self._socket = socket.socket()
        self._socket.settimeout(DEADLINE_SECONDS)
        if receive_bytes is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        # Each piece leaves at once: nothing waits for the server to acknowledge the one before it.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.connect(("127.0.0.1", server.port))
        self.port: int = self._socket.getsockname()[1]
        self._file = self._socket.makefile("rb")

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def send_until_none_is_taken(self, pieces: Iterable[bytes]) -> int:
        """Send pieces until one is not taken for two seconds; return how many were."""
        self._socket.settimeout(2)
        sent = 0
        with suppress(TimeoutError):
            for piece in pieces:
                self._socket.sendall(piece)
                sent += 1
        return sent

    def send_no_more(self) -> None:
        self._socket.shutdown(socket.SHUT_WR)

    def send_if_open(self, data: bytes) -> None:
        """Go on although nobody may listen any more."""
        with suppress(ConnectionError):
            self.send(data)

    def read(self, length: int) -> bytes:
        return self._file.read(length)

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


def resident_mib(server: ServerProcess) -> float:
    return float(server.process.memory_info().rss / 2**20)


def code_of(body: bytes) -> str:
    return str(json.loads(body)["errors"][0]["extensions"]["code"])


def is_open(server: ServerProcess, client: RawClient) -> bool:
    """Tell whether the server has a descriptor of a connection."""
    connections = server.process.net_connections()
    return client.port in {each.raddr.port for each in connections if len(each.raddr)}


@contextmanager
def connected(server: ServerProcess, receive_bytes: int | None = None) -> Iterator[RawClient]:
    client = RawClient(server, receive_bytes)
    try:
        yield client
    finally:
        client.close()
