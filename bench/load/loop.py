"""One epoll loop: sockets, and what to call when one can be read."""

import select
import socket
from collections.abc import Callable
from time import perf_counter

Handler = Callable[[], None]

_EVENTS_PER_POLL = 512
_READABLE = select.EPOLLIN


class LoadError(Exception):
    """A server did not answer as it must; the measurement is void."""


class Loop:
    """Calls a socket's handler when there is something to receive."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._handlers: dict[int, Handler] = {}

    def add(self, sock: socket.socket, handler: Handler) -> None:
        """Call `handler` from now on when `sock` can be read."""
        self._handlers[sock.fileno()] = handler
        self._epoll.register(sock.fileno(), _READABLE)

    def remove(self, sock: socket.socket) -> None:
        """Read from `sock` no more."""
        if self._handlers.pop(sock.fileno(), None) is not None:
            self._epoll.unregister(sock.fileno())

    def poll(self, timeout_seconds: float) -> None:
        """Handle what is there, waiting for at most so long (whole milliseconds, rounded down)."""
        timeout = int(timeout_seconds * 1000) / 1000
        handlers = self._handlers
        for number, _ in self._epoll.poll(max(0.0, timeout), _EVENTS_PER_POLL):
            handler = handlers.get(number)
            if handler is not None:
                handler()

    def run(self, seconds: float) -> float:
        """Handle events for so long; return the seconds that it took in the end."""
        start = perf_counter()
        while (passed := perf_counter() - start) < seconds:
            self.poll(seconds - passed)
        return perf_counter() - start

    def run_until(self, condition: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
        """Handle events until the condition holds; raises `LoadError` if it takes too long."""
        if not self.reaches(condition, seconds):
            raise LoadError(f"after {seconds:.0f} s still waiting for: {what}")

    def reaches(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Handle events until the condition holds; tell whether it did in time."""
        deadline = perf_counter() + seconds
        while not condition():
            if perf_counter() > deadline:
                return False
            self.poll(0.005)
        return True
