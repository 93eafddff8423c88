"""A start that waits can be ended: for a lock that others hold, or for a server that is silent."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from db.errors import StartError

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# Longer than SQLite waits for a lock: aiosqlite never ends if its end is cancelled as well.
_AGAIN_SECONDS = 3.0


@contextmanager
def ended_by_signals() -> Iterator[Callable[[], None]]:
    """Let SIGTERM and SIGINT cancel the current task until what is given has been called.

    The server, which only takes note of them until it has started, is told as well. Raises
    `StartError` if the task was cancelled for a signal.
    """
    if threading.current_thread() is not threading.main_thread():  # it is told of no signals
        yield lambda: None
        return
    start = _Start()
    try:
        yield start.is_done
    except asyncio.CancelledError:
        if not start.was_ended:
            raise
        raise StartError("it was told to stop.") from None
    finally:
        start.is_done()


class _Start:
    """The current task, and the handlers of signals that were there before."""

    def __init__(self) -> None:
        self.was_ended = False
        self._task = asyncio.current_task()
        self._loop = asyncio.get_running_loop()
        self._again: asyncio.TimerHandle | None = None
        self._is_done = False
        self._handlers = {number: signal.getsignal(number) for number in _SIGNALS}
        for number in _SIGNALS:  # last: it may be called before this line has ended
            signal.signal(number, self._on_signal)
        # uvicorn only takes note of a signal, and has listened for longer than this.
        servers = [getattr(handler, "__self__", None) for handler in self._handlers.values()]
        if any(getattr(server, "should_exit", False) for server in servers):
            self.was_ended = True
            self._loop.call_soon(self._end)

    def is_done(self) -> None:
        """Give the signals back to those who had them."""
        if not self._is_done:
            self._is_done = True
            for number, handler in self._handlers.items():
                signal.signal(number, handler)
        if self._again is not None:
            self._again.cancel()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if not self.was_ended:
            self.was_ended = True
            self._loop.call_soon_threadsafe(self._end)
        handler = self._handlers[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    def _end(self) -> None:
        if self._is_done or self._task is None:
            return
        self._task.cancel()
        # Again and again: undoing what was begun may wait as well, for a server that is silent.
        self._again = self._loop.call_later(_AGAIN_SECONDS, self._end)
