"""The HTTP side: health, the page for browsers, errors and request ids."""

import json
from pathlib import Path

import httpx2 as httpx
import pytest

from app import create_app
from server.settings import Settings
from tests.support.orders import CREATE_ORDER, soup_input
from tests.support.server import ServerProcess


def test_health_and_readiness(shared_server: ServerProcess) -> None:
    for path in ("/healthz", "/readyz"):
        response = shared_server.http.get(path)
        assert (response.status_code, response.json()) == (200, {"status": "ok"})


async def test_not_ready_before_the_start() -> None:
    transport = httpx.ASGITransport(create_app(Settings()))  # no lifespan: nothing is opened
    async with httpx.AsyncClient(transport=transport, base_url="http://bistro92") as client:
        assert (await client.get("/healthz")).status_code == 200
        response = await client.get("/readyz")
    assert (response.status_code, response.json()) == (503, {"status": "starting"})


def test_not_ready_when_the_database_does_not_answer(server: ServerProcess) -> None:
    server.database.change("ALTER TABLE log_head RENAME TO hidden")
    assert server.http.get("/readyz").status_code == 503
    assert server.http.get("/healthz").status_code == 200
    server.database.change("ALTER TABLE hidden RENAME TO log_head")
    assert server.http.get("/readyz").status_code == 200


@pytest.mark.sqlite
def test_browser_gets_graphiql(shared_server: ServerProcess) -> None:
    page = shared_server.http.get("/graphql", headers={"accept": "text/html"})
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "GraphiQL" in page.text
    home = shared_server.http.get("/")
    assert (home.status_code, home.headers["location"]) == (307, "/graphql")


@pytest.mark.sqlite
def test_query_by_get_but_no_mutation(shared_server: ServerProcess) -> None:
    answer = shared_server.http.get("/graphql", params={"query": "{ __typename }"})
    assert answer.json() == {"data": {"__typename": "Query"}}
    mutation = 'mutation { createOrder(input: {table: "1", items: []}) { errors { code } } }'
    refused = shared_server.http.get("/graphql", params={"query": mutation})
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")


HUGE_NUMBER = b'{"query": ' + b"1" * 10_000 + b"}"


@pytest.mark.sqlite
@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"7", b"null", b'"{ a }"', b"[]", b"\xff", b"[" * 60_000, HUGE_NUMBER],
)
def test_body_that_is_no_request_is_refused(shared_server: ServerProcess, body: bytes) -> None:
    response = shared_server.post(body)
    assert response.status_code == 400
    assert "Traceback" not in shared_server.log


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("query", "code"),
    [("{", "GRAPHQL_PARSE_FAILED"), ("{ nothing }", "GRAPHQL_VALIDATION_FAILED")],
)
def test_every_error_has_a_code(shared_server: ServerProcess, query: str, code: str) -> None:
    for _ in range(2):  # the second time from the caches
        (error,) = shared_server.execute(query)["errors"]
        assert error["extensions"] == {"code": code}


MUTATION = 'mutation M { createOrder(input: {table: "1", items: []}) { errors { code } } }'


@pytest.mark.sqlite
@pytest.mark.parametrize(
    "queries", [(MUTATION, "query Q { a: __typename }"), ("query A { a: __typename }", MUTATION)]
)
def test_several_operations_without_a_name_are_refused(
    shared_server: ServerProcess, queries: tuple[str, str]
) -> None:
    """Running the first would place an order that nobody asked for."""
    document = "\n".join(queries)
    (error,) = shared_server.execute(document)["errors"]
    assert "Must provide operation name" in error["message"]
    body = {"query": document, "operationName": "M"}
    named = shared_server.http.post("/graphql", json=body).json()
    assert named["data"]["createOrder"]["errors"] == [{"code": "NO_ITEMS"}]


@pytest.mark.sqlite
def test_subscription_over_http_is_refused(shared_server: ServerProcess) -> None:
    body = {"query": "subscription { orderCreated { id } }"}
    for response in (
        shared_server.http.post("/graphql", json=body),
        shared_server.http.get("/graphql", params=body),
    ):
        assert response.status_code == 400
        assert "subscriptions are not allowed" in response.text
    assert "unexpected error" not in shared_server.log


@pytest.mark.sqlite
def test_body_beyond_the_limit_is_refused(shared_server: ServerProcess) -> None:
    for content_type in ("application/json", "text/plain"):  # by its length, before its type
        response = shared_server.http.post(
            "/graphql",
            content=b'{"query": "' + b" " * 140_000 + b'{ __typename }"}',
            headers={"content-type": content_type},
        )
        assert response.status_code == 413
        (error,) = response.json()["errors"]
        assert error["extensions"] == {"code": "BODY_TOO_LARGE"}
        assert "131072 bytes" in error["message"]


@pytest.mark.sqlite
@pytest.mark.parametrize("name", [7, {}, "\ud800", "é"])
def test_operation_name_that_is_none_is_refused(shared_server: ServerProcess, name: object) -> None:
    body = json.dumps({"query": "query A { __typename }", "operationName": name}).encode()
    assert shared_server.post(body).status_code == 400


@pytest.mark.sqlite
def test_request_has_an_id_of_its_own(shared_server: ServerProcess) -> None:
    ids = {shared_server.http.get("/healthz").headers["x-request-id"] for _ in range(3)}
    assert len(ids) == 3


def test_unexpected_error_is_masked_and_logged_with_the_request_id(server: ServerProcess) -> None:
    server.database.change(
        "CREATE UNIQUE INDEX one_per_table ON orders (table_name)",
        "INSERT INTO orders (id, seq, table_name, created_at_us) VALUES (0, 0, '1', 0)",
    )
    body = {"query": CREATE_ORDER, "variables": {"input": soup_input()}}
    response = server.http.post("/graphql", json=body)
    (error,) = response.json()["errors"]
    request_id = response.headers["x-request-id"]
    assert error["message"] == "Unexpected error."
    assert error["extensions"] == {"code": "INTERNAL_SERVER_ERROR", "requestId": request_id}
    assert "constraint" not in response.text
    assert f"request_id={request_id}" in server.log
    assert "constraint" in server.log


@pytest.mark.sqlite
def test_busy_port_is_named(
    shared_server: ServerProcess, tmp_path_factory: pytest.TempPathFactory
) -> None:
    second = ServerProcess(tmp_path_factory.mktemp("second"), port=shared_server.port)
    assert second.spawn().wait(20) == 1
    assert f"127.0.0.1:{shared_server.port} can't be used: Address already in use" in second.log
    second.http.close()


@pytest.mark.sqlite
def test_locked_database_is_named(
    server: ServerProcess, sqlite_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    second = ServerProcess(tmp_path_factory.mktemp("second"), server.database)
    assert second.spawn().wait(20) != 0
    assert f"{sqlite_file} is in use by another Bistro92 process" in second.log
    assert "Traceback" not in second.log
    assert isinstance(server.http.get("/readyz"), httpx.Response)
    second.http.close()
