"""Whom a proxy serves, by uvicorn's own rules, for requests that never reach its middleware."""

from collections.abc import Sequence
from typing import Any

from starlette.types import Scope
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware


async def _nothing(*_arguments: Any) -> None:
    """Serve nothing: the scope is what counts."""


class Forwarded:
    """Believes trusted proxies about their clients, as the middleware does that sees all others."""

    def __init__(self, trusted_proxies: Sequence[str]) -> None:
        self._middleware: Any = ProxyHeadersMiddleware(_nothing, list(trusted_proxies))

    def apply(self, scope: Scope) -> None:
        """Write the client and the scheme that a trusted proxy names into a scope.

        Done twice it is as if done once: the middleware may see the same scope later.
        """
        running = self._middleware(scope, None, None)
        try:
            running.send(None)  # it waits for nothing
        except StopIteration:
            return
        running.close()
        raise RuntimeError("uvicorn's ProxyHeadersMiddleware waits for something")
