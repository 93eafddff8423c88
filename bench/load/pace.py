"""An open loop: requests at a fixed rate, whether or not the server keeps up."""

from collections.abc import Callable
from time import perf_counter

from bench.load.loop import Loop


class Pace:
    """Calls `send` so many times a second, with the number of the call and the time it was due."""

    def __init__(self, loop: Loop, per_second: int, send: Callable[[int, float], None]) -> None:
        self.sent = 0
        self._loop = loop
        self._interval = 1 / per_second
        self._send = send
        self._due = perf_counter()

    def run(self, seconds: float) -> float:
        """Send and handle events for so long; return the seconds that it took in the end."""
        start = now = perf_counter()
        self._due = max(self._due, start)
        while now - start < seconds:
            while self._due <= now:
                self._send(self.sent, self._due)
                self.sent += 1
                self._due += self._interval
            # Rounded down to whole milliseconds by `poll`: the rest is spun, to be on time.
            self._loop.poll(self._due - perf_counter())
            now = perf_counter()
        return now - start
