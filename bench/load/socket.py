"""Operations over `graphql-transport-ws`, one after the other on each of many sockets."""

import socket

from bench.load.http import HOST
from bench.load.loop import LoadError, Loop
from bench.load.screen import Opening, encode_frame

_RECEIVE_BYTES = 131_072
_COMPLETE = b'"type":"complete"}'
_INIT = encode_frame({"type": "connection_init"})


class SocketLoop:
    """So many sockets, each sending the operation again when it has been answered."""

    def __init__(self, loop: Loop, port: int, sockets: int, payload: object) -> None:
        self.answered = 0
        self.last = b""
        self._is_running = True
        message = {"id": "1", "type": "subscribe", "payload": payload}
        opening = Opening("/graphql", "graphql-transport-ws", message)
        self._frame = encode_frame(message)
        self._sockets = [_Socket(loop, port, opening, self) for _ in range(sockets)]

    def stop(self) -> None:
        """Send no more, and close the sockets."""
        self._is_running = False
        for each in self._sockets:
            each.close()

    def on_answer(self, answering: "_Socket", answer: bytes) -> None:
        """Count an answer, and ask again."""
        self.answered += 1
        self.last = answer
        if self._is_running:
            answering.send(self._frame)


class _Socket:
    def __init__(self, loop: Loop, port: int, opening: Opening, owner: SocketLoop) -> None:
        self._loop = loop
        self._owner = owner
        self._partial = b""
        self._subscribe = encode_frame(opening.subscribe)
        self._is_acknowledged = False
        self._socket = socket.create_connection((HOST, port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setblocking(False)
        loop.add(self._socket, self._on_readable)
        self._socket.send(opening.handshake())
        self._socket.send(_INIT)

    def send(self, frame: bytes) -> None:
        self._socket.send(frame)

    def close(self) -> None:
        self._loop.remove(self._socket)
        self._socket.close()

    def _on_readable(self) -> None:
        data = self._socket.recv(_RECEIVE_BYTES)
        if not data:
            raise LoadError("the server closed a socket")
        self._partial += data
        if not self._is_acknowledged:
            if b'"connection_ack"' in self._partial:
                self._is_acknowledged, self._partial = True, b""
                self.send(self._subscribe)
        # A ping may stand behind it; the next operation has not been sent yet.
        elif self._partial.find(_COMPLETE, max(0, len(self._partial) - 400)) >= 0:
            answer, self._partial = self._partial, b""
            if b'"errors"' in answer[:200]:
                raise LoadError(f"an operation on a socket failed: {answer[:300]!r}")
            self._owner.on_answer(self, answer)
