"""An HTTP connection whose parser is never out of step: it sees one request at a time.

uvicorn hands a parser whatever it reads. What follows a request is then parsed, or refused, before
the request is answered; and of a request with an `Upgrade` (RFC 9110, 7.8) the parser sees the head
only: its body is thrown away, or parsed as the next request, which is for a stranger to write.
Here bytes are held back until the request before them has been answered, and an `Upgrade` that is
no WebSocket handshake is an ordinary header of an ordinary request.
"""

import asyncio
import logging
from typing import Any, cast

import httptools
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from execution.final_answer import final_answer, final_error
from execution.heads import BadHeadError, as_ordinary, framing_of, is_handshake, to_origin_form
from execution.requests import new_request_id, unexpected_error

logger = logging.getLogger("bistro92.connections")

# A head ends with an empty line, and so does a body in chunks. The parser takes no other line ends.
_EMPTY_LINE = b"\r\n\r\n"
_LINE_ENDS = b"\r\n"
# For a client to read why it was refused while it still sends: closed at once, with its bytes
# unread, the connection would be reset and the answer lost on the way.
_LINGER_SECONDS = 2.0


class _HeldFlow(FlowControl):
    """Reading goes on only while nothing is held back, whatever a request under way asks for."""

    is_holding = False

    def resume_reading(self) -> None:
        if not self.is_holding:
            super().resume_reading()


class _CycleTransport:
    """What a request under way may do with the connection."""

    def __init__(self, protocol: "InStepProtocol", transport: asyncio.Transport) -> None:
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.close = protocol.end


class InStepProtocol(HttpToolsProtocol):
    """One HTTP connection, its requests one after the other."""

    flow: _HeldFlow

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # Read, but behind a request that is not answered yet.
        self._held = b""
        self._is_feeding = False
        # Between the first byte of a request and its last one.
        self._is_inside = False
        self._has_head = self._has_cycle = self._is_upgrade = False
        # How much of a body is to come, if its head says so; and the end of what was parsed, for an
        # empty line that comes in two pieces.
        self._body_left = 0
        self._tail = b""
        # Nothing that comes is heard any more; nothing will come any more.
        self._is_ended = False
        self._is_half_closed = False
        self._lingering: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for the first request."""
        super().connection_made(cast("asyncio.Transport", transport))
        self.flow = _HeldFlow(self.transport)

    def data_received(self, data: bytes) -> None:
        """Parse what belongs to the request under way, and hold back the rest."""
        if self._is_ended:
            return
        if self._held:
            self._held += data
        else:
            self._feed(data)

    def _feed(self, data: bytes) -> None:
        """Parse bytes, until they end or a request is whole that can't be answered at once."""
        start, self._is_feeding = 0, True
        while start < len(data) and not self._is_ended:
            if not self._is_inside:
                if self.is_answering():
                    break
                if data[start] in _LINE_ENDS:  # before a request line: the parser skips them too
                    data, start = data[start:].lstrip(_LINE_ENDS), 0
                    continue
            end = start + self._length_of_part(data, start)
            self._parse(data[start:end] if end - start < len(data) else data, data, end)
            start = end
        self._is_feeding = False
        self._hold(b"" if self._is_ended else data[start:])

    def _length_of_part(self, data: bytes, start: int) -> int:
        """Return how far the request under way can reach: never beyond its own end."""
        if self._body_left:
            length = min(self._body_left, len(data) - start)
            self._body_left -= length
            return length
        tail = self._tail
        if tail:
            data, start = tail + data[start:], 0
        end = data.find(_EMPTY_LINE, start)
        if end < 0:
            self._tail = data[max(start, len(data) - len(_EMPTY_LINE) + 1) :]
            return len(data) - start - len(tail)
        self._tail = b""
        return end + len(_EMPTY_LINE) - start - len(tail)

    def _hold(self, data: bytes) -> None:
        self._held = data
        was_holding, self.flow.is_holding = self.flow.is_holding, bool(data)
        if data:
            self.flow.pause_reading()
        elif was_holding:
            self.flow.resume_reading()

    def is_answering(self) -> bool:
        """Tell whether a request has been begun and not been answered."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def _parse(self, part: bytes, data: bytes, end: int) -> None:
        try:
            self.parser.feed_data(part)
        except httptools.HttpParserUpgrade:
            self._upgrade(data[end:])
        except httptools.HttpParserError as error:
            cause = error.__context__
            if isinstance(cause, BadHeadError):
                self.refuse(cause.status, cause.code, str(cause))
            elif cause is None or isinstance(cause, httptools.HttpParserError):
                self.refuse(400, "BAD_REQUEST", "This is not a request of HTTP/1.1.")
            else:
                request_id = new_request_id()
                logger.error("unexpected error", exc_info=cause, extra={"request_id": request_id})
                self._answer_and_end(final_answer(500, unexpected_error(request_id), request_id))

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._is_inside = True
        self._has_head = self._has_cycle = self._is_upgrade = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; a trailer is none, and is thrown away (RFC 9110, 6.5.1)."""
        if not self._has_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin to answer a request, or stop at an `Upgrade`: `_upgrade` decides about it."""
        self._has_head = True
        method, version = self.parser.get_method(), self.parser.get_http_version()
        self._body_left, is_chunked = framing_of(method, version, self.headers)
        if self.url[:1] != b"/":
            self.url = to_origin_form(self.url, self.headers)
        if not self.parser.should_upgrade():
            self.begin_request()
            return
        # The parser takes it for a request without a body, and stops behind its head.
        self._is_upgrade = True
        has_body = self._body_left > 0 or is_chunked
        if has_body and is_handshake(method, version, self.headers):
            raise BadHeadError(400, "BAD_REQUEST", "A WebSocket handshake has no body.")

    def begin_request(self) -> None:
        """Begin to answer a request whose head is here."""
        super().on_headers_complete()
        self._has_cycle = True
        self.cycle.transport = cast("asyncio.Transport", _CycleTransport(self, self.transport))

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        if not self._is_upgrade:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        self._is_inside = False
        self._tail = b""
        if not self._is_upgrade:
            self.complete_request()

    def complete_request(self) -> None:
        """Go on with a request whose last byte is here."""
        super().on_message_complete()

    def _upgrade(self, rest: bytes) -> None:
        """Go on behind a head with an `Upgrade`; `rest` is what follows it in the same bytes."""
        method, version = self.parser.get_method(), self.parser.get_http_version()
        if is_handshake(method, version, self.headers):
            self._is_ended = True
            self.scope["method"] = "GET"
            self.handle_websocket_upgrade()
            if rest:
                cast("asyncio.Protocol", self.transport.get_protocol()).data_received(rest)
            return
        head = as_ordinary(method, self.url, version, self.headers)
        self.parser = httptools.HttpRequestParser(self)
        self._parse(head, head, len(head))

    def on_response_complete(self) -> None:
        """Go on with what was held back behind the request that has been answered."""
        self.server_state.total_requests += 1
        if self._is_feeding:
            return
        self.flow.resume_reading()
        if self._held:
            held, self._held = self._held, b""
            self._feed(held)
        if self._is_half_closed and not self._held and not self.is_answering():
            self.end()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Keep the connection of a client that sends no more until it has been answered.

        Its order may be stored by then: unanswered, it would be sent again.
        """
        self._is_half_closed = not self._is_ended and not self._is_inside and self.is_answering()
        if self._is_half_closed and not self._held:
            self.cycle.keep_alive = False
        return self._is_half_closed

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._is_ended = True
        if self._lingering is not None:
            self._lingering.cancel()
        super().connection_lost(exc)

    def refuse(self, status: int, code: str, message: str) -> None:
        """Answer what is no request that can be served with an error, and end the connection."""
        self._answer_and_end(final_error(status, code, message))

    def _answer_and_end(self, answer: bytes) -> None:
        # One answer each: nothing is said if the request under way has been answered already.
        is_answered = self._is_inside and self._has_cycle and self.cycle.response_started
        if not is_answered and not self.transport.is_closing():
            self.transport.write(answer)
        self.end()

    def end(self) -> None:
        """Close the connection when all has been sent, and let the peer read it to the end."""
        is_unread = self._is_inside or bool(self._held) or self.flow.read_paused
        self._is_ended, self._held = True, b""
        if self.is_answering():  # it must not answer as well
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if not is_unread or self._is_half_closed or not self.transport.can_write_eof():
            self.transport.close()
        elif self._lingering is None and not self.transport.is_closing():
            self.transport.write_eof()
            self.flow.is_holding = False
            self.flow.resume_reading()
            self._lingering = self.loop.call_later(_LINGER_SECONDS, self.transport.close)
