"""An HTTP connection that is counted, and ends in a way that lets its client read why."""

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from execution.codes import Code
from server.wire.connections import Connections
from server.wire.final_answer import final_error

# For a client to read why it was refused while it still sends: closed at once, with its bytes
# unread, the connection would be reset and the answer lost on the way.
_LINGER_SECONDS = 2.0
_RETRY_AFTER_SECONDS = 5


class AccountedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with an account of connections, and an end of its own."""

    def __init__(self, *arguments: Any, account: Connections, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.account = account
        self.account_key = ""
        self._is_counted = self._is_told = False
        # All that was ever written.
        self.written_bytes = 0
        # Nothing that comes is heard any more.
        self.is_ended = False
        self._lingering: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for the first request, unless this connection is one too many."""
        super().connection_made(cast("asyncio.Transport", transport))
        self.account_key = self.account.key_of(self.client[0] if self.client else None)
        problem = self.account.enter(self.account_key)
        self._is_counted = problem is None
        if problem is not None:
            self._turn_away(*problem)

    def _turn_away(self, status: int, sentence: str) -> None:
        self._is_told = self.account.may_be_told()
        if not self._is_told:
            self.transport.abort()
            return
        message = f"{sentence} That is the limit: try again shortly."
        later = (b"retry-after", b"%d" % _RETRY_AFTER_SECONDS)
        self.transport.write(final_error(Code.TOO_MANY_CONNECTIONS, message, later, status=status))
        self.end(is_unread=True)  # its request is on the way

    def write(self, data: bytes) -> None:
        """Send bytes, or keep them until they can be sent."""
        self.written_bytes += len(data)
        self.transport.write(data)

    def pause_writing(self) -> None:
        """Begin to keep bytes for a client that doesn't read them yet."""
        super().pause_writing()
        self.account.keep(self)

    def resume_writing(self) -> None:
        """Go on: the client has read most of it."""
        super().resume_writing()
        self.release()

    def held_bytes(self) -> int:
        """Return how much of what the client has sent is kept for later."""
        return 0

    def kept_bytes(self) -> int:
        """Return how much is kept for this connection."""
        return self.transport.get_write_buffer_size() + self.held_bytes()

    def release(self) -> None:
        """Tell the account that little is kept, if that is so."""
        if not self.flow.write_paused and not self.held_bytes():
            self.account.release(self)

    def drop(self) -> None:
        """End the connection with all that is kept for it."""
        self.is_ended = True
        # Not at once: this may be called from within the transport's own `write`.
        self.loop.call_soon(self.transport.abort)

    def is_answering(self) -> bool:
        """Tell whether a request has been begun and not been answered."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def end(self, *, is_unread: bool) -> None:
        """Close the connection when all has been sent.

        If something of the client may be unread, it gets time to read to the end before.
        """
        self.is_ended = True
        if self.is_answering():  # what is under way must not answer as well
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if not is_unread or not self.transport.can_write_eof():
            self.transport.close()
        elif self._lingering is None and not self.transport.is_closing():
            self.transport.write_eof()
            self.flow.resume_reading()
            self._lingering = self.loop.call_later(_LINGER_SECONDS, self.transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self.is_ended = True
        if self._lingering is not None:
            self._lingering.cancel()
        self.leave()
        super().connection_lost(exc)

    def leave(self) -> None:
        """Be counted no more: the connection is lost, or a WebSocket's from now on."""
        self.account.release(self)
        if self._is_counted:
            self.account.leave(self.account_key)
        if self._is_told:
            self.account.was_told()
        self._is_counted = self._is_told = False
