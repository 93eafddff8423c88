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

from execution.codes import Code
from server.asgi.request_ids import new_request_id
from server.asgi.responses import unexpected_error
from server.wire.final_answer import final_answer, final_error
from server.wire.flow import CycleTransport, HoldingFlow
from server.wire.heads import BadHeadError, as_ordinary, is_handshake
from server.wire.reading import ReadingProtocol

logger = logging.getLogger("bistro92.connections")

# A head ends with an empty line, and so does a body in chunks. The parser takes no other line ends.
_EMPTY_LINE = b"\r\n\r\n"
_LINE_ENDS = b"\r\n"
# Less than this is what any connection costs.
_HELD_MIN_BYTES = 16_384


class InStepProtocol(ReadingProtocol):
    """One HTTP connection, its requests one after the other."""

    flow: HoldingFlow

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # Read, but behind a request that is not answered yet.
        self._held = b""
        self._is_feeding = False
        # The end of what was parsed, for an empty line that comes in two pieces.
        self._tail = b""
        self._head_bytes = self._unchunked_bytes = 0
        self._has_line = False
        self._head_max_bytes = self.account.limits.head_max_bytes
        # Nothing will come any more.
        self._is_half_closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self.flow = HoldingFlow(self.transport)

    def held_bytes(self) -> int:
        """Return how much was read behind the request under way, if it is worth counting."""
        return len(self._held) if len(self._held) >= _HELD_MIN_BYTES else 0

    def data_received(self, data: bytes) -> None:
        """Parse what belongs to the request under way, and hold back the rest."""
        if self.is_ended:
            return
        if self._held:
            self._held += data
        else:
            self._feed(data)

    def _feed(self, data: bytes) -> None:
        """Parse bytes, until they end or a request is whole that can't be answered at once."""
        start, self._is_feeding = 0, True
        while start < len(data) and not self.is_ended:
            if not self._is_inside:
                if self.is_answering():
                    break
                if data[start] in _LINE_ENDS:  # before a request line: the parser skips them too
                    data, start = data[start:].lstrip(_LINE_ENDS), 0
                    continue
            if self._body_left:
                end = start + min(self._body_left, len(data) - start)
                self._body_left -= end - start
            elif not self._is_inside and (head := self._length_of_head(data, start)):
                end = start + head
                self.begin_head(data[start:end])
            else:
                end = start + self._length_of_part(data, start)
                if not self._has_head and self._is_head_too_large(data, start, end):
                    break
            self._parse(data[start:end], data, end)
            if self._codings and self._has_head:
                self._bound_between_chunks(end - start)
            start = end
        self._is_feeding = False
        if start < len(data) or self.flow.is_holding:
            self._hold(b"" if self.is_ended else data[start:])

    def _length_of_head(self, data: bytes, start: int) -> int:
        """Return the length of a whole head within the limit, which is the usual case, or 0."""
        length = data.find(_EMPTY_LINE, start) + len(_EMPTY_LINE) - start
        return length if len(_EMPTY_LINE) <= length <= self._head_max_bytes else 0

    def _length_of_part(self, data: bytes, start: int) -> int:
        """Return how far a head or a body in chunks can reach: never beyond its own end."""
        tail = self._tail
        if tail:
            data, start = tail + data[start:], 0
        end = data.find(_EMPTY_LINE, start)
        if end < 0:
            self._tail = data[max(start, len(data) - len(_EMPTY_LINE) + 1) :]
            return len(data) - start - len(tail)
        self._tail = b""
        return end + len(_EMPTY_LINE) - start - len(tail)

    def _is_head_too_large(self, data: bytes, start: int, end: int) -> bool:
        """Refuse a head beyond the limit as soon as so much of it is here; tell whether it was."""
        limit = self._head_max_bytes
        self._head_bytes += end - start
        is_too_large = self._head_bytes > limit
        if is_too_large or self._tail:
            self._has_line = self._has_line or b"\n" in data[start : min(end, start + limit)]
        if is_too_large and self._has_line:
            self.refuse(Code.HEADERS_TOO_LARGE, f"The head of a request may have {limit} bytes.")
        elif is_too_large:
            self.refuse(Code.TARGET_TOO_LONG, f"The head of a request may have {limit} bytes.")
        return is_too_large

    def _bound_between_chunks(self, length: int) -> None:
        """Refuse extensions and trailers without end: the parser keeps the last in memory."""
        limit = self._head_max_bytes
        self._unchunked_bytes += length
        if self._unchunked_bytes > limit:
            text = f"There may be {limit} bytes between the chunks of a body and behind them."
            self.refuse(Code.HEADERS_TOO_LARGE, text)

    def _hold(self, data: bytes) -> None:
        self._held = data
        was_holding, self.flow.is_holding = self.flow.is_holding, bool(data)
        if data:
            self.flow.pause_reading()
            if self.held_bytes():
                self.account.keep(self)
        elif was_holding:
            self.flow.resume_reading()
            self.release()

    def _parse(self, part: bytes, data: bytes, end: int) -> None:
        try:
            if self._is_known:
                self.take_known(part)
            else:
                self.parser.feed_data(part)
        except httptools.HttpParserUpgrade:
            self._upgrade(data[end:])
        except httptools.HttpParserError as error:
            cause = error.__context__
            if isinstance(cause, BadHeadError):
                self.refuse(cause.code, str(cause), status=cause.status)
            elif cause is None or isinstance(cause, httptools.HttpParserError):
                self.refuse(Code.BAD_REQUEST, "This is not a request of HTTP/1.1.")
            else:
                self._fail(cause)
        except Exception as error:  # of what the parser was not asked about
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        request_id = new_request_id()
        logger.error("unexpected error", exc_info=error, extra={"request_id": request_id})
        self._answer_and_end(final_answer(500, unexpected_error(request_id), request_id))

    def begin_request(self) -> None:
        """Begin to answer a request whose head is here."""
        super().begin_request()
        self._has_cycle = True
        self.cycle.transport = cast(
            "asyncio.Transport", CycleTransport(self.transport, self.write, self.end)
        )

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._unchunked_bytes = 0
        self.take_body(body)

    def take_body(self, body: bytes) -> None:
        """Keep a part of the body for whoever answers."""
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        self._is_inside = self._has_head = self._is_known = self._has_line = False
        self._tail, self._head_bytes, self._unchunked_bytes = b"", 0, 0
        if not self._is_upgrade:
            self.complete_request()

    def _upgrade(self, rest: bytes) -> None:
        """Go on behind a head with an `Upgrade`; `rest` is what follows it in the same bytes."""
        if not is_handshake(self.method, self.version, self.headers):
            head = as_ordinary(self.method, self.url, self.version, self.headers)
            self.parser = httptools.HttpRequestParser(self)
            self._parse(head, head, len(head))
        elif self.has_body():
            self.refuse(Code.BAD_REQUEST, "A WebSocket handshake has no body.", is_unread=True)
        else:
            self.is_ended = True
            self.leave()
            self.scope["method"] = "GET"
            self.handle_websocket_upgrade()
            if rest:
                cast("asyncio.Protocol", self.transport.get_protocol()).data_received(rest)

    def on_response_complete(self) -> None:
        """Begin to wait for the next request, or go on with what was held back behind this one."""
        self.server_state.total_requests += 1
        self.waiting_since = self.loop.time()
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
        self._is_half_closed = not self.is_ended and not self._is_inside and self.is_answering()
        if self._is_half_closed and not self._held:
            self.cycle.keep_alive = False
        return self._is_half_closed

    def refuse(
        self, code: Code, message: str, *, status: int | None = None, is_unread: bool = False
    ) -> None:
        """Answer what is no request that can be served with an error, and end the connection."""
        self._answer_and_end(final_error(code, message, status=status), is_unread=is_unread)

    def _answer_and_end(self, answer: bytes, *, is_unread: bool = False) -> None:
        # One answer each: nothing is said if the request under way has been answered already.
        is_answered = self._is_inside and self._has_cycle and self.cycle.response_started
        if not is_answered and not self.transport.is_closing():
            self.write(answer)
        self.end(is_unread=is_unread)

    def end(self, *, is_unread: bool = False) -> None:
        """Close the connection when all has been sent, and let the peer read it to the end."""
        is_unread = is_unread or self._is_inside or bool(self._held) or self.flow.read_paused
        self._held, self.flow.is_holding = b"", False
        super().end(is_unread=is_unread and not self._is_half_closed)
