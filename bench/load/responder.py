"""An empty server: what the load client reaches against it is the client's own limit.

Answers every request with the same bytes, and floods every WebSocket with the same frame, one
system call for each, as a server with nothing else to do would.
"""

import select
import socket
import sys

from bench.load.http import HOST

_BODY = b'{"data":' + b" " * 300 + b"null}"
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
_RESPONSE = _HEAD % len(_BODY) + _BODY
_UPGRADE = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\r\n"
_EVENT = b'{"id":"1","type":"next","payload":{"data":"' + b"x" * 220 + b'"}}'
_FRAME = bytes((0x81, 126)) + len(_EVENT).to_bytes(2, "big") + _EVENT


class Responder:
    """Serves until it is killed."""

    def __init__(self, port: int) -> None:
        self._listener = socket.create_server((HOST, port), backlog=1024)
        self._epoll = select.epoll()
        self._epoll.register(self._listener, select.EPOLLIN)
        self._clients: dict[int, socket.socket] = {}

    def serve(self) -> None:
        """Handle events for ever."""
        while True:
            for number, events in self._epoll.poll():
                if number == self._listener.fileno():
                    self._accept()
                elif events & select.EPOLLIN:
                    self._answer(number)
                else:
                    self._flood(number)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        client.setblocking(False)
        self._clients[client.fileno()] = client
        self._epoll.register(client, select.EPOLLIN)

    def _answer(self, number: int) -> None:
        client = self._clients[number]
        request = client.recv(4096)
        if b"upgrade" in request:
            client.send(_UPGRADE)
            self._epoll.modify(number, select.EPOLLOUT)
        elif request:
            client.send(_RESPONSE)
        else:
            self._epoll.unregister(number)
            self._clients.pop(number).close()

    def _flood(self, number: int) -> None:
        try:
            sent = self._clients[number].send(_FRAME)
        except BlockingIOError:
            return
        except OSError:
            self._epoll.unregister(number)
            return
        if sent < len(_FRAME):  # no place: half a frame would spoil the stream
            self._epoll.modify(number, 0)


if __name__ == "__main__":
    Responder(int(sys.argv[1])).serve()
