"""Which names the service answers to, and which web pages may use it.

A browser runs pages of any site, also on the machines of a restaurant. What it tells us is the
`Host` that it believes it talks to and the `Origin` of the page. A name that was pointed at our
address (DNS rebinding) is none of ours; a page of another origin must be listed.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
_EVERYWHERE = ("0.0.0.0", "::", "")  # noqa: S104 - compared with, not listened on
_KEPT_MAX_BYTES = 512
_HTTP_SCHEMES = {"ws": "http", "wss": "https"}


@dataclass(frozen=True, slots=True)
class SiteRules:
    """The address that is listened on, and what settings list besides; all in lower case."""

    host: str
    allowed_hosts: Sequence[str] = ()
    allowed_origins: Sequence[str] = ()


class Sites:
    """The hosts and origins of one service."""

    def __init__(self, rules: SiteRules) -> None:
        self._any_host = "*" in rules.allowed_hosts
        host = rules.host
        self._hosts = {*_LOOPBACK_NAMES, *map(_bracketed, (host, *rules.allowed_hosts))}
        # A page can't be at an IP address that isn't its own: rebinding takes a name.
        self._any_address = host in _EVERYWHERE
        self.listed_origins = frozenset(rules.allowed_origins)
        # Bounded, as clients may send any number of others; a look-up takes 0.2 µs.
        self._is_short_own_site = lru_cache(maxsize=256)(self._is_own_site)

    def is_own_site(self, scheme: str, host: bytes | None, origin: bytes | None) -> bool:
        """Tell whether a request is to one of our names, and from no other site's page.

        May be False for names that are too long to be kept: the gate looks at each of those.
        """
        is_short = len(host or b"") + len(origin or b"") <= _KEPT_MAX_BYTES
        return is_short and self._is_short_own_site(scheme, host, origin)

    def _is_own_site(self, scheme: str, host: bytes | None, origin: bytes | None) -> bool:
        if host is None or not self.is_own_host(host):
            return False
        return origin is None or is_same_origin(scheme, host, origin)

    def is_own_host(self, host: bytes) -> bool:
        """Tell whether a `Host` header names this service; any port will do."""
        name = _without_port(host.decode("latin-1").lower())
        return bool(name) and (
            self._any_host or name in self._hosts or (self._any_address and _is_address(name))
        )

    def is_listed_origin(self, origin: bytes) -> bool:
        """Tell whether pages of an origin may use the service from another site."""
        return origin.decode("latin-1").lower() in self.listed_origins


def is_same_origin(scheme: str, host: bytes, origin: bytes) -> bool:
    """Tell whether a page of this origin was served under this scheme and `Host`."""
    scheme = _HTTP_SCHEMES.get(scheme, scheme)
    return origin.lower() == scheme.encode() + b"://" + host.lower()


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdecimal() and not name.endswith(":") else host


def _bracketed(host: str) -> str:
    """Write an IPv6 address as a `Host` header does."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True
