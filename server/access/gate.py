"""Whose request is this? The one question that every way in asks."""

from starlette.types import Scope

from resolvers.context import Caller
from server.access.callers import Access
from server.access.rate_limit import Limiter
from server.access.sites import Sites

# What browsers call the page of another site, also without an `Origin`.
OTHER_SITES = frozenset({b"cross-site", b"same-site"})

Headers = dict[bytes, bytes]


class Gate:
    """Who may come in: the callers, sites and rates of one run."""

    def __init__(self, access: Access, sites: Sites, limiter: Limiter) -> None:
        self.access = access
        self.limiter = limiter
        # Bound once: this is asked for every request.
        self._is_own_site = sites.is_own_site

    def caller_of(self, scope: Scope, headers: Headers) -> Caller | None:
        """Return the caller of a request that isn't cross-site.

        None for one that has to be looked at by the layers of `server.asgi.gates`, which say what
        is wrong.
        """
        if headers.get(b"sec-fetch-site") in OTHER_SITES:
            return None
        if not self._is_own_site(scope["scheme"], headers.get(b"host"), headers.get(b"origin")):
            return None
        return self.access.caller_of(scope, headers.get(b"authorization"))
