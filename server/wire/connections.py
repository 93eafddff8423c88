"""What HTTP connections may cost: how many there are, and what the service keeps for them.

All of it is spent before anybody has shown a token, so it is bounded for each client and in all.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Protocol

from server.access.clients import network_of

# Refused connections that may read their refusal at the same time; more are dropped without one.
_REFUSED_MAX = 256


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """The limits of HTTP connections, in bytes, seconds and numbers of them.

    `proxies` are networks whose addresses stand for many clients: no client's limit is theirs.
    """

    head_max_bytes: int
    max_headers: int
    min_bytes_per_second: int
    unsent_max_bytes_per_client: int
    unsent_max_bytes: int
    max_connections_per_client: int
    max_connections: int
    proxies: Sequence[str] = ()


class Connection(Protocol):
    """What the account knows of a connection."""

    account_key: str

    def kept_bytes(self) -> int:
        """Return how much is kept for it: answers that it hasn't read, requests sent ahead."""
        ...

    def drop(self) -> None:
        """End it with all that is kept for it."""
        ...


class Connections:
    """The account of one server's HTTP connections. For the event loop only."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self._proxies = [ip_network(proxy) for proxy in limits.proxies]
        self._count = 0
        self._open: Counter[str] = Counter()
        self._refused = 0
        # Those for which much is kept, in the order in which they fell behind.
        self._behind: dict[Connection, None] = {}

    def key_of(self, address: str | None) -> str:
        """Return the name of a client for `enter`: empty for a proxy, and for a Unix socket."""
        return "" if address is None or self._is_proxy(address) else network_of(address)

    def _is_proxy(self, address: str) -> bool:
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        return any(parsed in proxy for proxy in self._proxies)

    def enter(self, key: str) -> tuple[int, str] | None:
        """Count a connection; or return a status and a sentence if it is one too many."""
        limits = self.limits
        if self._count >= limits.max_connections:
            return 503, f"The service has {limits.max_connections} connections."
        if key and self._open[key] >= limits.max_connections_per_client:
            return 429, f"This client has {limits.max_connections_per_client} connections."
        self._count += 1
        self._open[key] += 1
        return None

    def leave(self, key: str) -> None:
        """Forget a connection that was counted."""
        self._count -= 1
        self._open[key] -= 1
        if not self._open[key]:
            del self._open[key]

    def may_be_told(self) -> bool:
        """Tell whether one that is refused may stay to read why; then `was_told` is to follow."""
        if self._refused >= _REFUSED_MAX:
            return False
        self._refused += 1
        return True

    def was_told(self) -> None:
        """Forget a connection that was refused."""
        self._refused -= 1

    def keep(self, connection: Connection) -> None:
        """Note that much is kept for a connection, and drop the slowest if it is too much.

        A single one is never too much: an answer has a limit of its own.
        """
        self._behind.setdefault(connection)
        key, limits = connection.account_key, self.limits
        if key:
            self._make_room(
                lambda other: other.account_key == key, limits.unsent_max_bytes_per_client
            )
        self._make_room(lambda _: True, limits.unsent_max_bytes)

    def release(self, connection: Connection) -> None:
        """Forget what was kept for a connection."""
        self._behind.pop(connection, None)

    def _make_room(self, is_counted: Callable[[Connection], bool], max_bytes: int) -> None:
        counted = {other: other.kept_bytes() for other in self._behind if is_counted(other)}
        total = sum(counted.values())
        for slowest in list(counted)[:-1]:
            if total <= max_bytes:
                return
            total -= counted[slowest]
            self.release(slowest)
            slowest.drop()
