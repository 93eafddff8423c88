"""HTTP for our own server: the fast lane before the application, and no patience with slow clients.

What the lane (`server.http.fast_path`) takes is never made into an ASGI request: no scope is passed
through layers, and an answer is one write. Everything else goes uvicorn's way.
"""

import asyncio
import fcntl
import sys
import termios
from collections.abc import Awaitable
from contextlib import suppress
from http import HTTPStatus
from typing import Any, cast

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from server.asgi.state import leave_lane
from server.http.answers import Answer
from server.http.fast_path import FastPath
from server.http.raw_requests import PostedRequest, QueriedRequest
from server.wire.forwarded import Forwarded
from server.wire.in_step import InStepProtocol

_SHARED_MIN_BYTES = 16_384
_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}


class _NobodyWaits:
    """The event of new parts of a request that was complete before it was begun."""

    def set(self) -> None:
        """Do nothing."""


class LaneCycle:
    """A request in the fast lane, with what uvicorn asks of a request under way."""

    __slots__ = ("disconnected", "keep_alive", "response_complete")

    message_event = _NobodyWaits()
    more_body = False

    def __init__(self, *, keep_alive: bool) -> None:
        self.keep_alive = keep_alive
        self.disconnected = False
        self.response_complete = False


class LaneProtocol(InStepProtocol):
    """One HTTP connection."""

    def __init__(
        self, *arguments: Any, fast_path: FastPath, forwarded: Forwarded, **options: Any
    ) -> None:
        super().__init__(*arguments, **options)
        self._lane = fast_path
        self._forwarded = forwarded
        self._url = fast_path.path.encode()
        self._queried = self._url + b"?"
        # The body so far of a request that may be one for the lane.
        self._body: bytearray | None = None
        # When the client was last seen to have taken enough of its answers, and how much by then.
        self._judged_at, self._taken_bytes = 0.0, 0

    def give_up_if_slow(self, patience_seconds: float) -> None:
        """Drop a client that has kept us waiting: for a request, or for it to read on."""
        now, unsent = self.loop.time(), _unsent_bytes(self.transport)
        if unsent:
            self.waiting_since = now  # its next request isn't waited for yet
            if not self._reads_enough(unsent, now, patience_seconds):
                self.transport.abort()
            return
        self._judged_at = 0.0
        if now - self.waiting_since < patience_seconds:
            return
        if self.transport.is_closing():
            self.transport.abort()
        elif not self.is_answering() or self.cycle.more_body:
            self.transport.close()

    def _reads_enough(self, unsent: int, now: float, patience_seconds: float) -> bool:
        taken = self.written_bytes - unsent
        if self._judged_at and now - self._judged_at < patience_seconds:
            return True
        wanted = self.account.limits.min_bytes_per_second * patience_seconds
        is_enough = not self._judged_at or taken - self._taken_bytes >= wanted
        self._judged_at, self._taken_bytes = now, taken
        return is_enough

    def begin_request(self) -> None:
        """Keep a request for the lane, or begin it uvicorn's way."""
        if self._may_be_for_lane():
            self._body = bytearray()
        else:
            super().begin_request()

    def _may_be_for_lane(self) -> bool:
        if self.version != "1.1" or self.expect_100_continue:
            return False
        if self.method == b"POST":
            return self.url == self._url and self._body_left <= self._lane.body_max_bytes
        return (
            self.method == b"GET"
            and self.url.startswith(self._queried)
            and b"#" not in self.url
            and not self.has_body()
        )

    def take_body(self, body: bytes) -> None:
        """Keep a part of the body, for the lane or for the application."""
        if self._body is None:
            super().take_body(body)
            return
        self._body += body
        if len(self._body) > self._lane.body_max_bytes:
            self._leave_lane()

    def complete_request(self) -> None:
        """Answer a request from the lane if it can be."""
        if self._body is None:
            super().complete_request()
            return
        answer = self._begin_answer(bytes(self._body))
        if answer is None:
            self._leave_lane()
            super().complete_request()
            return
        self._body = None
        cycle = LaneCycle(keep_alive=self.parser.should_keep_alive())
        self.cycle = cast("RequestResponseCycle", cycle)
        if isinstance(answer, Answer) and not self.flow.write_paused:
            self._respond(cycle, answer)
        else:
            task = self.loop.create_task(self._respond_later(cycle, answer))
            # uvicorn waits for these when it stops.
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    def _begin_answer(self, body: bytes) -> Answer | Awaitable[Answer] | None:
        scope = cast("Scope", self.scope)
        if self.forwarding:
            self._forwarded.apply(scope, self.forwarding)
        if self.method == b"POST":
            return self._lane.begin(scope, PostedRequest(body))
        return self._lane.begin(scope, QueriedRequest(self.url[len(self._queried) :]))

    def _leave_lane(self) -> None:
        body, self._body = self._body, None
        leave_lane(cast("Scope", self.scope))
        super().begin_request()
        if body:
            super().take_body(bytes(body))

    async def _respond_later(self, cycle: LaneCycle, answer: Answer | Awaitable[Answer]) -> None:
        given = answer if isinstance(answer, Answer) else await answer
        if self.flow.write_paused and not cycle.disconnected:
            await self.flow.drain()
        self._respond(cycle, given)

    def _respond(self, cycle: LaneCycle, answer: Answer) -> None:
        cycle.response_complete = True
        if cycle.disconnected or self.transport.is_closing():
            return
        head = b"".join(
            [
                _STATUS_LINES[answer.status],
                *[b"%b: %b\r\n" % header for header in self.server_state.default_headers],
                answer.header_lines(),
                b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n",
            ]
        )
        if len(answer.body) < _SHARED_MIN_BYTES:  # a copy costs less than a second piece
            self.write(head + answer.body)
        else:  # as it is: many connections may have the same one; both pieces leave together
            self.write(head)
            self.write(answer.body)
        if not cycle.keep_alive:
            self.end()
        self.on_response_complete()


def _unsent_bytes(transport: asyncio.Transport) -> int:
    """Return how much a client has yet to take; the kernel's part of it only if there is ours.

    Ours alone would stand still for long on a slow line: the kernel takes megabytes at once.
    """
    unsent = transport.get_write_buffer_size()
    if unsent:
        with suppress(OSError):
            queued = fcntl.ioctl(transport.get_extra_info("socket"), termios.TIOCOUTQ, bytes(4))
            unsent += int.from_bytes(queued, sys.byteorder)
    return unsent
