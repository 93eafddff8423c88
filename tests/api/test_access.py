"""Tokens and roles against a real server: over HTTP and on the socket, compiled or not."""

import asyncio
import json
from collections.abc import Iterator, Mapping

import pytest

from db.tokens import Role
from tests.support.orders import FOLLOW
from tests.support.screen import open_screen, open_socket
from tests.support.server import ServerProcess
from tests.support.tokens import CREATE, LIST, bearer, codes, create_tokens, placed, post
from tests.support.waiting import until

Tokens = Mapping[Role, str]
GENERIC = "{ __typename orders { nodes { id } } }"  # not compiled
CREATE_GENERIC = CREATE.replace("{ createOrder", "{ __typename createOrder")
MAY_PLACE = {Role.FLOOR: True, Role.KITCHEN: False, Role.MANAGER: True}
MAY_FOLLOW = {Role.FLOOR: False, Role.KITCHEN: True, Role.MANAGER: True}


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServerProcess, Tokens]]:
    """A server that started with a token of each role, and logs all it can."""
    folder = tmp_path_factory.mktemp("closed")
    tokens = asyncio.run(create_tokens(folder / "bistro92.db"))
    with ServerProcess(folder, log_level="debug") as server:
        yield server, tokens


BAD = "Bearer b92_00000000_0000000000000000000000000000000000000000"
WRONG = ["", "Bearer", BAD, "Bearer " + "x" * 4000, "Basic YTpi", b"Bearer \xff\xfe"]


@pytest.mark.parametrize("given", [None, *WRONG], ids=lambda given: repr(given)[:20])
def test_without_a_valid_token_nothing_is_answered(
    closed: tuple[ServerProcess, Tokens], given: str | bytes | None
) -> None:
    server, _ = closed
    value = given.encode() if isinstance(given, str) else given
    headers = {} if value is None else {b"authorization": value}
    for query in (LIST, GENERIC, CREATE, "{ __schema { types { name } } }", "{"):
        answer = server.http.post("/graphql", json={"query": query}, headers=headers)
        assert answer.status_code == 401
        assert codes(answer) == ["UNAUTHENTICATED"]
        assert "data" not in answer.json()
        assert answer.headers["www-authenticate"].startswith('Bearer realm="bistro92"')
        assert ("invalid_token" in answer.headers["www-authenticate"]) is bool(headers)
        assert answer.headers["x-request-id"]
    for name in ("query", "%71uery", "a&query", "query=&query"):
        answer = server.http.get(f"/graphql?{name}={LIST}", headers=headers)
        assert answer.status_code == 401


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize(("query", "create"), [(LIST, CREATE), (GENERIC, CREATE_GENERIC)])
def test_roles_over_http(
    closed: tuple[ServerProcess, Tokens], role: Role, query: str, create: str
) -> None:
    server, tokens = closed
    headers = bearer(tokens[role])
    for _ in range(2):  # the second time from the caches
        assert codes(post(server, query, headers)) == []
        answer = post(server, create, headers)
        assert answer.status_code == 200
        assert codes(answer) == ([] if MAY_PLACE[role] else ["FORBIDDEN"])
        if not MAY_PLACE[role]:
            (error,) = answer.json()["errors"]
            assert error["path"] == ["createOrder"]
            assert error["message"] == "The role kitchen may not use createOrder."
    answer = server.http.get("/graphql", params={"query": LIST}, headers=headers)
    assert codes(answer) == []


def test_the_scheme_is_compared_without_case(closed: tuple[ServerProcess, Tokens]) -> None:
    server, tokens = closed
    for scheme in ("Bearer", "bearer", "BEARER"):
        headers = {"authorization": f"{scheme} {tokens[Role.FLOOR]}"}
        assert post(server, LIST, headers).status_code == 200


@pytest.mark.parametrize("role", Role)
async def test_roles_on_the_socket(closed: tuple[ServerProcess, Tokens], role: Role) -> None:
    server, tokens = closed
    async with open_screen(server.socket_url, tokens[role]) as screen:
        before = placed(server)
        for create in (CREATE, CREATE_GENERIC):
            await screen.subscribe(create, operation="create")
            answer = await screen.receive()
            assert answer["type"] == "next"
            found = [e["extensions"]["code"] for e in answer["payload"].get("errors", [])]
            assert found == ([] if MAY_PLACE[role] else ["FORBIDDEN"])
            assert (await screen.receive())["type"] == "complete"
        assert placed(server) - before == (2 if MAY_PLACE[role] else 0)
        for query in (LIST, GENERIC):
            await screen.subscribe(query, operation="list")
            assert (await screen.next())["orders"]
            assert (await screen.receive())["type"] == "complete"
        await screen.subscribe(FOLLOW, operation="follow", last=1)
        if MAY_FOLLOW[role]:
            await screen.send({"id": "follow", "type": "complete"})
        else:
            assert (await screen.error())["extensions"]["code"] == "FORBIDDEN"
        await screen.settle()


INIT = "connection_init"


@pytest.mark.parametrize(
    "payload",
    [
        None,
        {},
        {"authorization": BAD},
        {"authorization": None},
        {"authorization": 7},
        {"authorization": ["Bearer"]},
        {"authorization": "Bearer \ud800 🍣"},
    ],
)
async def test_socket_without_a_valid_token_is_closed_before_anything_is_answered(
    closed: tuple[ServerProcess, Tokens], payload: object
) -> None:
    server, _ = closed
    before = placed(server)
    async with open_socket(server.socket_url) as screen:
        await screen.send(json.dumps({"type": INIT, "payload": payload}))
        for number in range(5):  # in the same breath
            await screen.subscribe(CREATE, operation=f"{number}")
            await screen.send({"type": INIT})
        with pytest.raises(Exception, match="4403"):
            await screen.receive()
        assert (await screen.closed())[0] == 4403
    assert placed(server) == before
    assert "Traceback" not in server.log


async def test_operation_before_the_token_closes_with_4401(
    closed: tuple[ServerProcess, Tokens],
) -> None:
    server, tokens = closed
    before = placed(server)
    async with open_socket(server.socket_url) as screen:
        await screen.subscribe(CREATE)
        await screen.send({"type": INIT, "payload": bearer(tokens[Role.FLOOR])})
        assert (await screen.closed())[0] == 4401
    assert placed(server) == before


async def test_header_of_the_payload_is_found_in_any_case(
    closed: tuple[ServerProcess, Tokens],
) -> None:
    """GraphiQL sends the headers of its editor as they were typed."""
    server, tokens = closed
    async with open_socket(server.socket_url) as screen:
        payload = {"Authorization": f"Bearer {tokens[Role.KITCHEN]}", "X-Other": 1}
        await screen.send({"type": INIT, "payload": payload})
        assert (await screen.receive())["type"] == "connection_ack"


def test_page_and_probes_need_no_token(closed: tuple[ServerProcess, Tokens]) -> None:
    server, _ = closed
    page = server.http.get("/graphql", headers={"accept": "text/html"})
    assert (page.status_code, "GraphiQL" in page.text) == (200, True)
    for path in ("/healthz", "/readyz"):
        assert server.http.get(path).status_code == 200


async def test_no_token_is_in_the_log(closed: tuple[ServerProcess, Tokens]) -> None:
    """At the level `debug`, at which websockets would log every header and frame."""
    server, tokens = closed
    token = tokens[Role.KITCHEN]
    url = f"{server.socket_url}?token={token}"  # by mistake: handshakes are logged with their path
    async with open_screen(url, token, additional_headers=bearer(token)) as screen:
        await screen.subscribe(FOLLOW)
        await screen.settle()
    post(server, CREATE, bearer(token))
    server.http.get("/graphql", params={"query": LIST, "token": token}, headers=bearer(token))
    await until(lambda: "token=b92_" in server.log, "the handshake to be logged")
    for text in tokens.values():
        _, token_id, secret = text.split("_")
        assert token_id in server.log or text != token, "shortened, not left out"
        for start in range(0, 40, 10):
            assert secret[start : start + 10] not in server.log
