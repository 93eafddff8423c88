"""What a stranger may reach: the one list.

Everything else needs a token, and is limited; also what is added to the routes tomorrow, and what
isn't there, so that nobody learns by asking which paths there are. Before all of it,
`server.asgi.cors` answers the preflights of listed origins, which browsers send without a token:
they reach no route.
"""

from starlette.datastructures import Headers, QueryParams
from starlette.types import Scope

from server.media_types import asks_for_page

API = "/graphql"
# Probes of containers and balancers use whatever address they have, and learn nothing.
PROBES = frozenset({"/healthz", "/readyz"})
# GraphiQL, and the way to it: it asks for the token itself.
PAGES = frozenset({"/", API})
# The token comes with the first message.
SOCKETS = frozenset({API})

_READING = ("GET", "HEAD")


def is_probe(scope: Scope) -> bool:
    """Tell whether a request only asks how the service is: by whatever name, and without limit."""
    return _reads_one_of(PROBES, scope)


def is_page(scope: Scope) -> bool:
    """Tell whether a request can only get GraphiQL."""
    return (
        _reads_one_of(PAGES, scope)
        and asks_for_page(Headers(scope=scope).getlist("accept"))
        and "query" not in QueryParams(scope["query_string"])
    )


def is_socket(scope: Scope) -> bool:
    """Tell whether a handshake is for a socket that asks for a token itself."""
    return scope["type"] == "websocket" and route_path(scope) in SOCKETS


def route_path(scope: Scope) -> str:
    """Return the path as routes have it: without uvicorn's `--root-path`."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def _reads_one_of(paths: frozenset[str], scope: Scope) -> bool:
    return scope["type"] == "http" and scope["method"] in _READING and route_path(scope) in paths
