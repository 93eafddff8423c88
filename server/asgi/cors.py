"""CORS for the pages of listed origins: what their clients send, and what they may read.

A page may send the headers that it asks for, within a bound, and not those of a list: tracing
libraries and GraphQL clients add ever new ones, one that is missing looks like a broken network to
a developer, and one that the service doesn't know does nothing.
"""

import re
from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

from execution.codes import Code
from server.asgi.responses import error_body

_METHODS = ("GET", "HEAD", "POST")
_EXPOSED = ("x-request-id", "retry-after")
_MAX_AGE_SECONDS = 600
_HEADERS_MAX = 32
_HEADERS_MAX_CHARACTERS = 1024
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
# They say who is asking, and a page must not: it may run behind a proxy that is believed.
_OF_PROXIES = re.compile(r"(?:x-)?forwarded.*|via|x-real-ip")


class Cors(CORSMiddleware):
    """Plain ASGI middleware: answers preflights, and lets pages of these origins read answers.

    The origins are in lower case. Nothing of a preflight is kept or logged.
    """

    def __init__(self, app: ASGIApp, *, origins: Iterable[str]) -> None:
        super().__init__(
            app,
            allow_origins=frozenset(origins),
            allow_methods=_METHODS,
            allow_headers=["*"],
            # A page of the internet may use a service in the restaurant: its origin is listed.
            allow_private_network=True,
            expose_headers=_EXPOSED,
            max_age=_MAX_AGE_SECONDS,
        )

    def is_allowed_origin(self, origin: str) -> bool:
        """Tell whether pages of an origin may use the service, in whatever case it is written."""
        return super().is_allowed_origin(origin.lower())

    def preflight_response(self, request_headers: Headers) -> Response:
        """Answer a preflight."""
        method = request_headers["access-control-request-method"]
        asked = request_headers.get("access-control-request-headers", "")
        problem = _problem_of(method, asked)
        if problem is None:
            return super().preflight_response(request_headers)
        return Response(error_body(Code.BAD_REQUEST, problem), 400, media_type="application/json")


def _problem_of(method: str, asked: str) -> str | None:
    """Return what a page may not do of what a preflight asks for, if anything."""
    if method not in _METHODS:
        return f"Pages may use {', '.join(_METHODS)}."
    names = [name.strip() for name in asked.lower().split(",")] if asked else []
    if len(names) > _HEADERS_MAX or len(asked) > _HEADERS_MAX_CHARACTERS:
        most = f"{_HEADERS_MAX} headers of {_HEADERS_MAX_CHARACTERS} characters"
        return f"Pages may send {most}; Access-Control-Request-Headers has more."
    if not all(map(_NAME.fullmatch, names)):
        return "Access-Control-Request-Headers must be names of headers, with commas."
    if any(map(_OF_PROXIES.fullmatch, names)):
        return "Pages may not send the headers of proxies."
    return None
