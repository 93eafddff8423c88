"""How messages leave on a socket."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Protocol, cast

from starlette.websockets import WebSocketDisconnect, WebSocketState
from strawberry.asgi import ASGIWebSocketAdapter
from strawberry.http.exceptions import WebSocketDisconnected

from db.stats import rejections
from execution import encoding
from execution.codes import Code

# The ASGI extension of a server that offers `Frames`.
EXTENSION = "bistro92.frames"
_CLOSE_TIMEOUT_SECONDS = 1.0
_FORBIDDEN = 4403
_CLOSE_REASON_MAX_BYTES = 123  # RFC 6455: a control frame's payload is 125 bytes, two are the code


class Frames(Protocol):
    """A socket of a server that takes text messages as ready frames.

    `on_text` is asked about a message before it is queued for the application, if nothing else is
    queued; one for which it returns true has been handled.
    """

    on_text: Callable[[str], bool] | None

    async def write_texts(self, payloads: Sequence[bytes], *, is_answer: bool = False) -> None:
        """Send messages when they can be sent, and return when more can be."""

    async def until_writable(self) -> None:
        """Return when messages can be sent."""

    def takes_more(self) -> bool:
        """Tell whether messages can be sent now."""
        ...

    def write_around(self, before: bytes, shared: bytes, after: bytes, then: bytes) -> None:
        """Send two messages, the first in three parts, on a socket that takes more."""

    def abort(self) -> None:
        """Drop the socket with what is not sent yet."""


class TextAdapter(ASGIWebSocketAdapter):
    """Sends text frames (browsers receive binary ones as Blobs) and survives late senders."""

    @property
    def _frames(self) -> Frames | None:
        frames: Frames | None = self.ws.scope["extensions"].get(EXTENSION)
        return frames

    async def send_json(self, message: Mapping[str, object]) -> None:
        """Send a message; raises `WebSocketDisconnected` if the socket is closed or closing."""
        # Another task may have closed it: Starlette would raise a RuntimeError.
        if self.ws.application_state is not WebSocketState.CONNECTED:
            raise WebSocketDisconnected
        try:
            await self.ws.send_text(encoding.encode(message).decode())
        except WebSocketDisconnect as error:
            raise WebSocketDisconnected from error

    async def send_texts(self, payloads: Sequence[bytes], *, is_answer: bool = False) -> None:
        """Send encoded messages, in one write if the server can; raises as `send_json` does."""
        if self.ws.application_state is not WebSocketState.CONNECTED:
            raise WebSocketDisconnected
        frames = self._frames
        try:
            if frames is not None:
                await frames.write_texts(payloads, is_answer=is_answer)
            else:
                for payload in payloads:
                    await self.ws.send_text(payload.decode())
        except (WebSocketDisconnect, OSError) as error:  # a server raises the latter
            raise WebSocketDisconnected from error

    async def until_writable(self) -> None:
        """Wait until the server would send more at once; raises as `send_json` does."""
        frames = self._frames
        try:
            if frames is not None:
                await frames.until_writable()
        except OSError as error:
            raise WebSocketDisconnected from error

    def takes_more(self) -> bool:
        """Tell whether the server can send ready frames without waiting."""
        frames = self._frames
        is_open = self.ws.application_state is WebSocketState.CONNECTED
        return frames is not None and is_open and frames.takes_more()

    def send_around(self, before: bytes, shared: bytes, after: bytes, then: bytes) -> None:
        """Send a message in three parts and one after it, on a socket that takes more."""
        cast("Frames", self._frames).write_around(before, shared, after, then)

    def ask_first(self, on_text: Callable[[str], bool] | None) -> None:
        """Let the server ask about each message as it comes, or no more: see `Frames`."""
        if (frames := self._frames) is not None:
            frames.on_text = on_text

    def abort(self) -> None:
        """Drop the socket with what is not sent yet, if the server can."""
        frames = self._frames
        if frames is not None:
            frames.abort()

    async def close_or_abort(self, code: int, reason: str) -> bool:
        """Close the socket, or drop it if its peer doesn't read; tell whether it was closed.

        For reasons that are no fault of its client.
        """
        try:
            async with asyncio.timeout(_CLOSE_TIMEOUT_SECONDS):
                await self._close(code, reason)
        except TimeoutError:
            # Not even the close frame can be sent. What a screen missed is in the log.
            self.abort()
            return False
        return True

    async def close(self, code: int, reason: str) -> None:
        """Close the socket for what its client did, and count that."""
        if self.ws.application_state is WebSocketState.CONNECTED:
            name = Code.UNAUTHENTICATED.name if code == _FORBIDDEN else str(code)
            rejections[name] += 1
        await self._close(code, reason)

    async def _close(self, code: int, reason: str) -> None:
        """Close the socket; a reason that doesn't fit a close frame is made to fit."""
        if self.ws.application_state is WebSocketState.CONNECTED:
            # What clients send may be quoted in it, lone surrogates included.
            whole = reason.encode(errors="replace")
            fitting = whole[:_CLOSE_REASON_MAX_BYTES].decode(errors="ignore")
            with suppress(WebSocketDisconnect):  # the peer was quicker
                await super().close(code, fitting)
