"""The layers before everything that is served: names and origins, tokens, and rates.

They ask the `Gate` of the run, which is in the state of each request, and say what is wrong.
"""

from collections.abc import Iterable

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from execution.codes import Code
from server.access.gate import OTHER_SITES, Headers
from server.access.open_routes import is_page, is_probe, is_socket
from server.access.sites import Sites, is_same_origin
from server.asgi.cors import Cors
from server.asgi.responses import refuse
from server.asgi.state import state_of

# Each decides something. Of two that differ, one part of the way would go by the first, and
# another, or a proxy, by the last.
_SAID_ONCE = frozenset({b"origin", b"authorization", b"content-type", b"content-length"})


def gates(sites: Sites, *, pages: bool) -> Iterable[Middleware]:
    """Yield the layers, the outermost first; `pages` tells whether there are any for browsers."""
    yield Middleware(SiteGate, sites=sites)
    if sites.listed_origins:
        yield Middleware(Cors, origins=sites.listed_origins)
    yield Middleware(TokenGate, pages=pages)
    yield Middleware(RateLimited)


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
            await refuse(scope, send, Code.BAD_REQUEST, problem)
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
            await refuse(scope, send, Code.HOST_NOT_ALLOWED, message)
        elif self._is_from_another_site(scope, host, headers):
            message = (
                "Pages of this origin may not use the service. BISTRO92_ALLOWED_ORIGINS lists "
                "those that may."
            )
            await refuse(scope, send, Code.ORIGIN_NOT_ALLOWED, message)
        else:
            await self._app(scope, receive, send)

    def _is_from_another_site(self, scope: Scope, host: bytes, headers: Headers) -> bool:
        origin = headers.get(b"origin")
        if origin is None:
            # What a page embeds (an image, a frame) comes without an origin, but says this.
            is_other = headers.get(b"sec-fetch-site") in OTHER_SITES
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
        state = state_of(scope)
        access = state.run.gate.access
        authorization = dict(scope["headers"]).get(b"authorization")
        caller = access.caller_of(scope, authorization)
        if caller is None and not (self._pages and is_page(scope)):
            challenge = b'Bearer realm="bistro92"'
            if authorization is not None:
                challenge += b', error="invalid_token"'
            message = access.why_refused()
            header = (b"www-authenticate", challenge)
            await refuse(scope, send, Code.UNAUTHENTICATED, message, header)
            return
        state.caller = caller
        await self._app(scope, receive, send)


class RateLimited:
    """Plain ASGI middleware: refuses requests of clients that send too many with 429.

    GraphQL's sockets count their operations themselves.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a connection."""
        if scope["type"] not in ("http", "websocket") or is_probe(scope) or is_socket(scope):
            await self._app(scope, receive, send)
            return
        state = state_of(scope)
        too_many = state.run.gate.limiter.count(scope, state.caller)
        if too_many is None:
            await self._app(scope, receive, send)
            return
        seconds = too_many.retry_after_seconds
        later = (b"retry-after", b"%d" % seconds)
        await refuse(
            scope,
            send,
            Code.RATE_LIMITED,
            too_many.message,
            later,
            retryAfterSeconds=seconds,
        )
