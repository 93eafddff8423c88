"""Whom a proxy serves, by uvicorn's own rules, for requests that never reach its middleware."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from starlette.types import Scope
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

Headers = tuple[tuple[bytes, bytes], ...]

# The bound of what is kept: strangers choose what stands in these headers.
_KEPT = 4096
_KEPT_MAX_BYTES = 128


async def _nothing(*_arguments: Any) -> None:
    """Serve nothing: the scope is what counts."""


class Forwarded:
    """Believes trusted proxies about their clients, as the middleware does that sees all others."""

    def __init__(self, trusted_proxies: Sequence[str]) -> None:
        self._middleware: Any = ProxyHeadersMiddleware(_nothing, list(trusted_proxies))
        self._known = lru_cache(_KEPT)(self._ask)

    def apply(self, scope: Scope, headers: Headers) -> None:
        """Write the client and the scheme that a trusted proxy names into a scope.

        Done twice it is as if done once: the middleware may see the same scope later.
        """
        peer = scope.get("client")
        is_short = sum([len(value) for _, value in headers]) <= _KEPT_MAX_BYTES
        ask = self._known if is_short else self._ask
        client, scope["scheme"] = ask(peer and peer[0], scope["scheme"], headers)
        if client is not None:
            scope["client"] = client

    def _ask(
        self, peer: str | None, scheme: str, headers: Headers
    ) -> tuple[tuple[str, int] | None, str]:
        """Return the client, None if it is the peer itself, and the scheme."""
        client = (peer, -1)  # of a port that nobody has
        scope: Scope = {"type": "http", "client": client, "scheme": scheme, "headers": headers}
        running = self._middleware(scope, None, None)
        try:
            running.send(None)  # it waits for nothing
        except StopIteration:
            return None if scope["client"] == client else scope["client"], scope["scheme"]
        running.close()
        raise RuntimeError("uvicorn's ProxyHeadersMiddleware waits for something")
