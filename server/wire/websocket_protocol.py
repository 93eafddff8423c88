"""Our server's side of a WebSocket: ready frames, and refusals that arrive.

Sending a message through ASGI costs more than the system call it ends in. Under our own server a
socket offers to write frames as they are (the ASGI extension of `server.websocket.sending`), and to
be dropped with what is not sent yet; under any other server messages are sent one by one, and
closing waits.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, cast

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidHandshake, SecurityError
from websockets.http11 import Request
from websockets.protocol import State
from websockets.streams import StreamReader

from db.stats import rejections
from execution.codes import Code
from server.websocket.sending import EXTENSION, Frames
from server.wire.connections import Connections
from server.wire.final_answer import final_error
from server.wire.frames import frame_header, text_frame, text_of

# Which one is spoken (RFC 6455, 4.4).
_VERSION = (b"sec-websocket-version", b"13")


# Where the parser waits for the first byte of a frame, or the end.
_AT_THE_BEGINNING = StreamReader.at_eof.__code__


class FrameWritingProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol, which also takes text messages as ready frames.

    A peer that breaks the protocol is told so with a close frame that reaches it.
    """

    _refused = False
    # Its client for the account, as for HTTP; empty for a proxy.
    account_key = ""
    # Who may answer a message before the application is woken for it.
    on_text: Callable[[str], bool] | None = None
    # What came between the handshake and its answer, for which clients have to wait.
    _early = b""
    _closing_since: float | None = None

    def __init__(self, *arguments: Any, account: Connections, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._account = account

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for the handshake, which is ready."""
        super().connection_made(transport)
        self.account_key = self._account.key_of(self.client[0] if self.client else None)

    def handle_connect(self, event: Request) -> None:
        """Begin the handshake, and offer the extension to the application."""
        answer, problem = self.conn.accept(event), self.conn.handshake_exc
        if isinstance(problem, InvalidHandshake):  # uvicorn would send plain text without a code
            text = f"This is not a handshake of the WebSocket protocol: {problem}."
            self._end_handshake(Code.BAD_REQUEST, text, answer.status_code)
            return
        super().handle_connect(event)
        if not self.close_sent:  # the handshake was not refused
            cast("dict[str, Frames]", self.scope["extensions"])[EXTENSION] = self

    def give_up_if_slow(self, patience_seconds: float) -> None:
        """Drop a peer that doesn't read the end of a socket that is closing."""
        if not self.transport.is_closing():
            return
        now = self.loop.time()
        self._closing_since = self._closing_since or now
        if now - self._closing_since >= patience_seconds:
            self.transport.abort()

    async def write_texts(self, payloads: Sequence[bytes], *, is_answer: bool = False) -> None:
        """Send text messages in one write, and return when the socket takes more.

        Answers that nobody reads are accounted for; events wait in the log. Raises
        `ClientDisconnected` if the socket is closed or closing.
        """
        if not self.takes_more():
            await self.until_writable()
        self.transport.write(b"".join([text_frame(payload) for payload in payloads]))
        if not self.writable.is_set():
            if is_answer:
                self._account.keep(self)
            # Whoever writes would else have the next page ready, and keep it for as long.
            await self.until_writable()

    async def until_writable(self) -> None:
        """Wait until the socket takes more; raises as `write_texts` does."""
        while not self.writable.is_set():  # of many that wait, the first may fill it again
            await self.writable.wait()
        if self._is_gone():
            raise ClientDisconnected

    def takes_more(self) -> bool:
        """Tell whether messages can be sent now."""
        return self.writable.is_set() and not self._is_gone()

    def write_around(self, before: bytes, shared: bytes, after: bytes, then: bytes) -> None:
        """Send two text messages, on a socket that takes more.

        The first is given in three parts: the one in the middle is many sockets', and not copied.
        """
        header = frame_header(len(before) + len(shared) + len(after))
        self.transport.writelines([header + before, shared, after + text_frame(then)])
        if not self.writable.is_set():
            self._account.keep(self)

    def resume_writing(self) -> None:
        """Go on: the peer has read most of it."""
        super().resume_writing()
        self._account.release(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._account.release(self)
        super().connection_lost(exc)

    def abort(self) -> None:
        """Drop the peer with what is not sent yet."""
        self.transport.abort()

    def kept_bytes(self) -> int:
        """Return how much the peer has yet to read."""
        return self.transport.get_write_buffer_size()

    def drop(self) -> None:
        """End the connection with all that is kept for it."""
        # Not at once: this may be called from within the transport's own `write`.
        self.loop.call_soon(self.transport.abort)

    def _is_gone(self) -> bool:
        return self.disconnected or self.close_sent or self.transport.is_closing()

    def data_received(self, data: bytes) -> None:
        """Take bytes; after the peer has broken the protocol, they are thrown away."""
        if self._refused:
            return
        if self.handshake_initiated and not self.handshake_complete:
            # Read as frames now, they would be answered with frames, ahead of the handshake.
            self._early += data
            self.transport.pause_reading()
            return
        text = text_of(data) if self._is_between_frames() else None
        if text is not None and len(text) <= self.config.ws_max_size:
            self.curr_msg_data_type, self.frames = "text", [text]
            self.send_receive_event_to_app()
            return
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            self._refuse_handshake(self.conn.handshake_exc)

    def _is_between_frames(self) -> bool:
        """Tell whether the parser has nothing in hand: it need not see a plain frame then.

        To read one takes it ten times as long.
        """
        conn = self.conn
        if conn.state is not State.OPEN or conn.current_size is not None:
            return False
        # An empty buffer isn't enough: the parser takes the header of a frame before the rest.
        reading: Any = conn.parser
        while (inner := reading.gi_yieldfrom) is not None:
            reading = inner
        return bool(reading.gi_code is _AT_THE_BEGINNING)

    def _refuse_handshake(self, problem: Exception) -> None:
        """Answer a handshake that can't be read, which uvicorn doesn't notice."""
        if isinstance(problem, SecurityError):  # of the library's own limits
            text = "A line of a handshake may have 8,192 bytes, and a handshake 128 headers."
            self._end_handshake(Code.HEADERS_TOO_LARGE, text)
        else:
            text = "This is not a handshake of the WebSocket protocol."
            self._end_handshake(Code.BAD_REQUEST, text)

    def _end_handshake(self, code: Code, text: str, status: int | None = None) -> None:
        self.transport.write(final_error(code, text, _VERSION, status=status))
        self.close_sent = self.handshake_complete = self._refused = True
        self.transport.close()

    def handle_ping(self) -> None:
        """Answer a ping; one that came in the same bytes as a broken rule stays unanswered."""
        if self._refused:
            return
        if self.writable.is_set():
            super().handle_ping()
        else:  # answers to a peer that doesn't read would grow our memory
            self.transport.abort()

    def send_receive_event_to_app(self) -> None:
        """Pass a message on, and read no more once a second one waits for the application.

        In uvicorn's place, which stops reading at the first: to stop and to go on for each message
        costs more than to read it. It would also log one that is not UTF-8 as an error of ours.
        """
        data, self.frames = b"".join(self.frames), []
        if self.close_sent:
            return
        if self.curr_msg_data_type == "text":
            try:
                text = data.decode()
            except UnicodeDecodeError:
                self.conn.send_close(1007, "A text message must be UTF-8")
                self.handle_parser_exception()
                return
            if self.on_text is not None and self.queue.empty() and self.on_text(text):
                return
            self.queue.put_nowait({"type": "websocket.receive", "text": text})
        else:
            self.queue.put_nowait({"type": "websocket.receive", "bytes": data})
        if self.queue.qsize() > 1 and not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()

    def handle_parser_exception(self) -> None:
        """Tell the peer what it broke, and wait until it has read that.

        Closed at once, with bytes of the peer unread, the connection would be reset: the close
        frame would be lost on the way, and the peer left to guess (1006).
        """
        code = 1006 if self.conn.close_sent is None else self.conn.close_sent.code
        rejections[str(code)] += 1
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code})
        self.close_sent = self._refused = True
        self.transport.write(b"".join(self.conn.data_to_send()))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        if self.close_timer is None:
            self.close_timer = self.loop.call_later(self.close_timeout, self.transport.close)

    async def send(self, message: ASGISendEvent) -> None:
        """Send what the application says; raises `ClientDisconnected` if that is too late."""
        if self._refused:
            # The application has yet to hear of it: uvicorn would call that an error of its.
            raise ClientDisconnected
        await super().send(message)
        if self._early and self.handshake_complete:
            early, self._early = self._early, b""
            self.transport.resume_reading()
            self.data_received(early)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body"):
            # uvicorn would log an answered handshake as one that the application forgot.
            self.handshake_complete = True
