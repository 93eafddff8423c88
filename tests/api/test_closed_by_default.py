"""What a stranger reaches: what is on one list, and nothing else, also of tomorrow's routes."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import httpx2 as httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from app import create_app
from db.tokens import Role
from server.access.open_routes import PAGES, PROBES, SOCKETS
from server.settings import Settings
from tests.support.databases import SqliteFile
from tests.support.server import ServerProcess
from tests.support.tokens import bearer, codes, create_tokens

pytestmark = pytest.mark.sqlite

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
HTML = {"accept": "text/html"}


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServerProcess, str]]:
    folder = tmp_path_factory.mktemp("closed")
    tokens = asyncio.run(create_tokens(folder / "bistro92.db"))
    with ServerProcess(folder, rate_limit="100000/second") as server:
        yield server, tokens[Role.FLOOR]


def application(folder: Path, **settings: Any) -> Starlette:
    """The application with a route that somebody has added without a thought of who may use it."""
    database = SqliteFile(folder / "bistro92.db")
    app = create_app(Settings(database_url=database.url, metrics_port=0, **settings))

    async def forgotten(*_: object) -> PlainTextResponse:
        return PlainTextResponse("the takings")

    async def forgotten_socket(socket: WebSocket) -> None:
        await socket.accept()

    app.router.routes.insert(0, Route("/forgotten", forgotten, methods=list(METHODS)))
    app.router.routes.insert(0, WebSocketRoute("/forgotten", forgotten_socket))
    return app


HANDSHAKE = "a handshake"


async def ask(app: Starlette, state: dict[str, Any], method: str, path: str, **headers: str) -> int:
    """Ask the application, as the server would on behalf of a stranger; return the status."""
    is_handshake = method == HANDSHAKE
    scope: dict[str, Any] = {
        "type": "websocket" if is_handshake else "http",
        "subprotocols": ["graphql-transport-ws"],
        "extensions": {"websocket.http.response": {}},
        "http_version": "1.1",
        "method": method,
        "scheme": "ws" if is_handshake else "http",
        "root_path": "/behind" if path.startswith("/behind") else "",
        "path": path,
        "query_string": b"",
        "headers": [
            (name.encode(), value.encode())
            for name, value in {"host": "127.0.0.1", **headers}.items()
        ],
        "client": ("203.0.113.9", 5),
        "server": ("127.0.0.1", 8000),
        "state": dict(state),
    }
    sent: list[Any] = []

    given = [{"type": "websocket.connect"}] if is_handshake else []
    end = {"type": "websocket.disconnect", "code": 1000}
    body = {"type": "http.request", "body": b"{}", "more_body": False}

    async def receive() -> Any:
        return given.pop() if given else (end if is_handshake else body)

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return 101 if sent[0]["type"] == "websocket.accept" else cast("int", sent[0]["status"])


@pytest.mark.parametrize("graphiql", [True, False])
async def test_a_stranger_reaches_what_is_listed_and_nothing_else(
    tmp_path: Path, graphiql: bool
) -> None:
    await create_tokens(tmp_path / "bistro92.db")
    app = application(tmp_path, graphiql=graphiql)
    paths = {route.path for route in app.routes if isinstance(route, Route)}
    assert paths >= {"/forgotten", "/graphql", *PROBES}
    async with app.router.lifespan_context(app) as state:
        for path in {*paths, *PAGES, *PROBES, "/nothing", "/graphql/", "/healthz/", "//healthz"}:
            for method in METHODS:
                for accept in ("*/*", "text/html"):
                    status = await ask(app, dict(state or {}), method, path, accept=accept)
                    reads = method in ("GET", "HEAD")
                    page = graphiql and accept == "text/html" and path in PAGES
                    is_open = reads and (path in PROBES or page)
                    assert (status == 401) is not is_open, (method, path, accept, status)
            status = await ask(app, dict(state or {}), HANDSHAKE, path)
            assert status == (101 if path in SOCKETS else 401), path


async def test_whatever_route_is_added_is_limited(tmp_path: Path) -> None:
    app = application(tmp_path, allow_anonymous=True, rate_limit="3/hour")
    async with app.router.lifespan_context(app) as state:
        for path in ("/forgotten", "/nothing", "/graphql"):
            assert await ask(app, dict(state or {}), "OPTIONS", path) in (200, 404, 405)
        for method in METHODS:
            for path in ("/forgotten", "/nothing", "/graphql"):
                assert await ask(app, dict(state or {}), method, path) == 429
        for path in ("/forgotten", "/nothing"):
            assert await ask(app, dict(state or {}), HANDSHAKE, path) == 429
        for path in PROBES:
            assert await ask(app, dict(state or {}), "GET", path) == 200


async def test_preflights_of_listed_origins_reach_no_route(tmp_path: Path) -> None:
    """Browsers send them without a token, and can't be told to do otherwise."""
    await create_tokens(tmp_path / "bistro92.db")
    app = application(tmp_path, allowed_origins="https://pos.example.com")
    asked = {"access-control-request-method": "POST"}
    async with app.router.lifespan_context(app) as state:
        for path in ("/forgotten", "/nothing", "/graphql"):
            for origin, status in ("https://pos.example.com", 200), ("https://a.example", 403):
                preflight = {"origin": origin, **asked}
                assert await ask(app, dict(state or {}), "OPTIONS", path, **preflight) == status
            assert await ask(app, dict(state or {}), "OPTIONS", path, **asked) == 401


async def test_under_a_root_path_the_same_is_open(tmp_path: Path) -> None:
    """As with `uvicorn app:app --root-path /behind`."""
    await create_tokens(tmp_path / "bistro92.db")
    app = application(tmp_path)
    async with app.router.lifespan_context(app) as state:

        async def asked(method: str, path: str) -> int:
            return await ask(app, dict(state or {}), method, path, accept="text/html")

        assert await asked("GET", "/behind/healthz") == 200
        assert await asked("GET", "/behind/graphql") == 200
        assert await asked(HANDSHAKE, "/behind/graphql") == 101
        assert await asked("POST", "/behind/graphql") == 401
        assert await asked("GET", "/behind/forgotten") == 401


async def test_a_stranger_s_handshake_is_taken_where_a_socket_asks_for_a_token(
    closed: tuple[ServerProcess, str],
) -> None:
    server, token = closed
    app = create_app(Settings())
    sockets = {route.path for route in app.routes if isinstance(route, WebSocketRoute)}
    assert sockets == {*SOCKETS, "/{path:path}"}
    protocols = [Subprotocol("graphql-transport-ws")]
    for headers, status in ({}, 401), (bearer(token), 404):
        for path in ("/", "/healthz", "/nothing", "/graphql/"):
            url = f"ws://127.0.0.1:{server.port}{path}"
            with pytest.raises(InvalidStatus) as refused:
                async with connect(url, subprotocols=protocols, additional_headers=headers):
                    pass
            response = refused.value.response
            assert response.status_code == status
            code = "UNAUTHENTICATED" if status == 401 else "NOT_FOUND"
            assert json.loads(response.body)["errors"][0]["extensions"]["code"] == code


def test_what_is_not_there_is_said_like_everything_else(
    closed: tuple[ServerProcess, str],
) -> None:
    server, token = closed
    for method, path, status, code in (
        ("GET", "/nothing", 404, "NOT_FOUND"),
        ("POST", "/", 405, "METHOD_NOT_ALLOWED"),
        ("DELETE", "/healthz", 405, "METHOD_NOT_ALLOWED"),
        ("PUT", "/graphql", 405, "METHOD_NOT_ALLOWED"),
        ("OPTIONS", "/graphql", 405, "METHOD_NOT_ALLOWED"),
    ):
        answer = server.http.request(method, path, headers=bearer(token))
        assert answer.status_code == status
        assert codes(answer) == [code]
        assert answer.headers["content-type"].startswith("application/json")
        assert answer.headers["x-request-id"]
        assert ("allow" in answer.headers) is (status == 405)


def test_the_page_and_the_probes_are_open(closed: tuple[ServerProcess, str]) -> None:
    server, _ = closed
    assert server.http.get("/healthz").json() == {"status": "ok"}
    assert server.http.get("/readyz", headers={"host": "elsewhere.example"}).status_code == 200
    page = server.http.get("/", headers=HTML, follow_redirects=True)
    assert page.status_code == 200
    assert "graphiql" in page.text.lower()
    for path in ("/", "/graphql", "/graphql?query={__typename}"):
        assert server.http.get(path).status_code == 401
    query = {"query": "{__typename}"}
    assert server.http.get("/graphql", params=query, headers=HTML).status_code == 401
    with httpx.Client(base_url=server.url) as other:
        refused = other.get("/nothing", headers={"host": "elsewhere.example"})
        assert codes(refused) == ["HOST_NOT_ALLOWED"]
