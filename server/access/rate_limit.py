"""How much one client may ask for in a window of time.

`limits` has the notation and the strategy; the windows are our own. Its storage in memory starts a
thread for each hundredth of a second and keeps every client that it has seen in a window.
"""

import math
import time
from dataclasses import dataclass

from limits import RateLimitItem, parse_many
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter
from starlette.types import Scope

from execution.bounded import BoundedMap
from resolvers.context import Caller
from server.access.clients import client_key

OFF = "off"
AUTOMATIC = "automatic"
AUTOMATIC_RATE = "1000/second"
_CLIENTS_MAX = 65_536


def parse_rate(text: str) -> RateLimitItem | None:
    """Return the limit that a text such as `200/second` or `automatic` names, None for `off`.

    Raises `ValueError` for anything else.
    """
    if text == OFF:
        return None
    items = parse_many(AUTOMATIC_RATE if text == AUTOMATIC else text)
    if len(items) != 1 or items[0].amount < 1 or items[0].get_expiry() < 1:
        raise ValueError("not one limit of at least 1")
    return items[0]


class Windows(Storage):
    """Counters by client, in memory: the newest windows, at most so many. For the event loop only.

    A window begins with a client's first request and has the same length for all. Beyond the
    bound the oldest are given up: their clients begin anew.
    """

    STORAGE_SCHEME = None

    def __init__(self, *, max_clients: int) -> None:
        super().__init__()
        # In the order in which they end: all are of the same length.
        self._windows: BoundedMap[str, tuple[float, list[int]]] = BoundedMap(
            max_entries=max_clients
        )

    def __len__(self) -> int:
        return len(self._windows)

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Count a request; return how many there are in the client's window."""
        now = time.monotonic()
        window = self._windows.get(key)
        if window is None or window[0] <= now:
            self._give_up(now)
            window = (now + expiry, [0])
            self._windows.keep(key, window)
        count = window[1]
        count[0] += amount
        return count[0]

    def _give_up(self, now: float) -> None:
        windows = self._windows
        while windows and next(iter(windows.values()))[0] <= now:
            windows.popitem(last=False)

    def get(self, key: str) -> int:
        """Return how many requests there are in the client's window."""
        window = self._windows.get(key)
        return 0 if window is None or window[0] <= time.monotonic() else window[1][0]

    def get_expiry(self, key: str) -> float:
        """Return the end of the client's window, by the monotonic clock."""
        window = self._windows.get(key)
        return time.monotonic() if window is None else window[0]

    def check(self) -> bool:
        """Tell whether the storage works."""
        return True

    def reset(self) -> int:
        """Forget every window."""
        count = len(self._windows)
        self._windows.clear()
        return count

    def clear(self, key: str) -> None:
        """Forget a client's window."""
        self._windows.pop(key, None)

    @property
    def base_exceptions(self) -> type[Exception]:
        """What the storage raises: nothing of its own."""
        return KeyError


class RateLimit:
    """So many requests of one client in a window of time; HTTP and sockets count together."""

    def __init__(self, item: RateLimitItem, *, max_clients: int = _CLIENTS_MAX) -> None:
        self._item = item
        self.windows = Windows(max_clients=max_clients)
        self._limiter = FixedWindowRateLimiter(self.windows)

    def seconds_to_wait(self, key: str) -> int:
        """Count a request; return 0 if it may be served, else when to send it again."""
        if self._limiter.hit(self._item, key):
            return 0
        ends = self.windows.get_expiry(self._item.key_for(key))
        return max(1, math.ceil(ends - time.monotonic()))

    def sentence(self, seconds: int) -> str:
        """Return what to tell a client that is refused."""
        return f"Too many requests: the limit is {self._item}. Try again in {seconds} s."


@dataclass(frozen=True, slots=True)
class TooMany:
    """A request that is one too many: what to say, and when to come again."""

    message: str
    retry_after_seconds: int


class Limiter:
    """The rate limit that a service has by its settings, if it has one."""

    def __init__(self, text: str, *, allow_anonymous: bool) -> None:
        rate = parse_rate(text)
        self._limit = None if rate is None else RateLimit(rate)
        # While only this machine is served, there is nobody to be kept from too much.
        self._spares_anonymous = text == AUTOMATIC and not allow_anonymous

    def count(self, scope: Scope, caller: Caller | None) -> TooMany | None:
        """Count a request of a client; return what it is told if it is one too many."""
        if self._limit is None:
            return None
        if self._spares_anonymous and caller is not None and caller.token_id is None:
            return None
        seconds = self._limit.seconds_to_wait(client_key(scope, caller))
        return TooMany(self._limit.sentence(seconds), seconds) if seconds else None
