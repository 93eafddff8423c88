"""The gate before everything that is served: names, origins, and tokens.

`Door` answers the one question of the fast lane: whose ordinary request is this? What it doesn't
know goes through the two layers here, which say what is wrong.
"""

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from resolvers.context import Caller
from server.access.callers import Access
from server.access.cors import Cors
from server.access.open_routes import is_page, is_probe, is_socket
from server.access.rate_limit import Limiter, RateLimited
from server.access.sites import Sites, is_same_origin
from server.asgi.requests import refuse
from server.settings import Settings

# Each decides something. Of two that differ, one part of the way would go by the first, and
# another, or a proxy, by the last.
_SAID_ONCE = frozenset({b"origin", b"authorization", b"content-type", b"content-length"})
# What browsers call the page of another site, also without an `Origin`.
_OTHER_SITES = frozenset({b"cross-site", b"same-site"})

Headers = dict[bytes, bytes]


class Door:
    """Who may come in without further questions."""

    def __init__(self, settings: Settings) -> None:
        self.access = Access(settings)
        self.sites = Sites(settings)
        # Bound once: this is asked for every request.
        self._is_own_site = self.sites.is_own_site
        anonymous = settings.allow_anonymous
        self.limiter = Limiter(settings.rate_limit, allow_anonymous=anonymous)

    def caller_of(self, scope: Scope, headers: Headers) -> Caller | None:
        """Return the caller of a request that isn't cross-site; None for the gate to look at."""
        if headers.get(b"sec-fetch-site") in _OTHER_SITES:
            return None
        if not self._is_own_site(scope["scheme"], headers.get(b"host"), headers.get(b"origin")):
            return None
        return self.access.caller_of(scope, headers.get(b"authorization"))


def gates(settings: Settings) -> list[Middleware]:
    """Return the layers before everything that is served, the outermost first.

    They ask the `Door` of the run, which is in the state of each request.
    """
    sites = Sites(settings)
    origins = sites.listed_origins
    return [
        Middleware(SiteGate, sites=sites),
        *([Middleware(Cors, origins=origins)] if origins else []),
        Middleware(TokenGate, pages=settings.graphiql),
        Middleware(RateLimited),
    ]


class SiteGate:
    """Plain ASGI middleware: refuses names that aren't ours, and pages of other sites.

    What it lets through has one `Host`, and no header that says two things.
    """

    def __init__(self, app: ASGIApp, *, sites: Sites) -> None:
        self._app = app
        self._sites = sites

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a connection."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        if (problem := _problem_of(scope, headers)) is not None:
            await refuse(scope, send, 400, "BAD_REQUEST", problem)
            return
        if is_probe(scope):
            await self._app(scope, receive, send)
            return
        host = headers.get(b"host", b"")
        if not self._sites.is_own_host(host):
            message = (
                "The service doesn't go by the name in the Host header. "
                "BISTRO92_ALLOWED_HOSTS lists more names."
            )
            await refuse(scope, send, 403, "HOST_NOT_ALLOWED", message)
        elif self._is_from_another_site(scope, host, headers):
            message = (
                "Pages of this origin may not use the service. BISTRO92_ALLOWED_ORIGINS lists "
                "those that may."
            )
            await refuse(scope, send, 403, "ORIGIN_NOT_ALLOWED", message)
        else:
            await self._app(scope, receive, send)

    def _is_from_another_site(self, scope: Scope, host: bytes, headers: Headers) -> bool:
        origin = headers.get(b"origin")
        if origin is None:
            # What a page embeds (an image, a frame) comes without an origin, but says this.
            is_other = headers.get(b"sec-fetch-site") in _OTHER_SITES
            return is_other and headers.get(b"sec-fetch-dest") != b"document"  # a link is fine
        is_same = is_same_origin(scope["scheme"], host, origin)
        return not (is_same or self._sites.is_listed_origin(origin))


def _problem_of(scope: Scope, headers: Headers) -> str | None:
    """Return what makes the headers mean different things to different readers, if anything."""
    if b"host" not in headers and scope["http_version"] == "1.1":
        return "A request must have a Host header (RFC 9112, 3.2)."
    if len(headers) == len(scope["headers"]):
        return None
    for name, value in scope["headers"]:
        if name in _SAID_ONCE and value != headers[name]:
            return f"The header {name.decode()} is there twice, and says different things."
    if sum(name == b"host" for name, _ in scope["headers"]) > 1:
        return "A request must have one Host header (RFC 9112, 3.2)."
    return None


class TokenGate:
    """Plain ASGI middleware: names the caller of each request, and refuses those without one.

    Closed but for what `open_routes` lists; `pages` tells whether there are any.
    """

    def __init__(self, app: ASGIApp, *, pages: bool) -> None:
        self._app = app
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a connection."""
        if scope["type"] not in ("http", "websocket") or is_probe(scope) or is_socket(scope):
            await self._app(scope, receive, send)
            return
        access: Access = scope["state"]["door"].access
        authorization = dict(scope["headers"]).get(b"authorization")
        caller = access.caller_of(scope, authorization)
        if caller is None and not (self._pages and is_page(scope)):
            challenge = b'Bearer realm="bistro92"'
            if authorization is not None:
                challenge += b', error="invalid_token"'
            message = access.why_refused()
            header = (b"www-authenticate", challenge)
            await refuse(scope, send, 401, "UNAUTHENTICATED", message, header)
            return
        scope["state"]["caller"] = caller
        await self._app(scope, receive, send)
