"""GraphQL over HTTP: media types, methods, statuses and a code for every refusal."""

import json
import os
from collections.abc import Iterator

import httpx2 as httpx
import pytest

from tests.support.orders import CREATE_ORDER, soup_input
from tests.support.server import ServerProcess

RESPONSE = "application/graphql-response+json"
JSON = "application/json"
MUTATION = 'mutation { createOrder(input: {table: "1", items: []}) { errors { code } } }'


@pytest.fixture(scope="module")
def silent_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that tells nothing of its schema."""
    folder = tmp_path_factory.mktemp("silent")
    with ServerProcess(folder, introspection=False, graphiql=False) as server:
        yield server


def is_compiled() -> bool:
    return os.environ.get("BISTRO92_TEST_COMPILED") != "false"


def post(server: ServerProcess, query: str, accept: str, **variables: object) -> httpx.Response:
    body = {"query": query, "variables": variables}
    return server.http.post("/graphql", json=body, headers={"accept": accept})


def assert_refused(response: httpx.Response, status: int, code: str) -> None:
    assert response.status_code == status, response.text
    body = response.json()
    assert list(body) == ["errors"]
    (error,) = body["errors"]
    assert error["message"]
    assert error["extensions"]["code"] == code


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", JSON),
        ("application/*", JSON),
        (JSON, JSON),
        (f"{RESPONSE}, {JSON};q=0.9", RESPONSE),
        (f"{JSON};q=0.5, {RESPONSE}", RESPONSE),
        (f"{RESPONSE};q=0.5, {JSON}", JSON),
        (f"{JSON}, {RESPONSE}", RESPONSE),
        (f"text/html, {RESPONSE.upper()}; charset=utf-8", RESPONSE),
        (f"{JSON};q=0, */*", RESPONSE),
        ("text/html, */*;q=0.1", JSON),
        ("", JSON),
    ],
)
@pytest.mark.parametrize("query", ["{ orders { nodes { id } } }", "{ __typename }"])
def test_answer_has_the_type_that_is_accepted(
    shared_server: ServerProcess, query: str, accept: str, kind: str
) -> None:
    response = post(shared_server, query, accept)
    assert response.status_code == 200
    assert response.headers["content-type"] == f"{kind}; charset=utf-8"
    assert list(response.json()) == ["data"]


@pytest.mark.parametrize("accept", ["text/html", f"{JSON};q=0", "image/*"])
def test_no_other_type_is_answered(shared_server: ServerProcess, accept: str) -> None:
    assert_refused(post(shared_server, "{ __typename }", accept), 406, "NOT_ACCEPTABLE")


REFUSED = [
    ("{", {}, "GRAPHQL_PARSE_FAILED"),
    ("{ nothing }", {}, "GRAPHQL_VALIDATION_FAILED"),
    ("query ($a: Int!) { orders(first: $a) { nodes { id } } }", {"a": "x"}, "BAD_USER_INPUT"),
    ("query A { a: __typename } query B { b: __typename }", {}, "OPERATION_RESOLUTION_FAILURE"),
    ("fragment F on Query { __typename }", {}, "GRAPHQL_VALIDATION_FAILED"),
    ("{ a: __typename " * 12 + "}" * 12, {}, "TOO_DEEP"),
    ("{ __typename }", {"a": [1] * 4000}, "VARIABLES_TOO_LARGE"),
]


@pytest.mark.parametrize(("query", "variables", "code"), REFUSED)
def test_request_that_is_refused_has_no_data(
    shared_server: ServerProcess, query: str, variables: dict[str, object], code: str
) -> None:
    assert_refused(post(shared_server, query, RESPONSE, **variables), 400, code)
    assert_refused(post(shared_server, query, JSON, **variables), 200, code)


def test_error_of_a_field_is_a_partial_answer(shared_server: ServerProcess) -> None:
    query = '{ __typename orders(after: "x") { nodes { id } } }'
    response = post(shared_server, query, RESPONSE)
    assert (response.status_code, response.json()["data"]) == (200, None)
    assert response.json()["errors"][0]["extensions"] == {"code": "BAD_CURSOR"}


@pytest.mark.parametrize("accept", [RESPONSE, JSON])
def test_only_what_may_be_tried_again_is_a_failure_of_the_server(
    server: ServerProcess, accept: str
) -> None:
    with server.held_lock():
        response = post(server, CREATE_ORDER, accept, input=soup_input())
    assert response.json()["errors"][0]["extensions"] == {"code": "UNAVAILABLE"}
    if accept == RESPONSE:
        assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    else:
        assert response.status_code == 200


def test_method_that_is_not_served_is_told_which_are(shared_server: ServerProcess) -> None:
    for method in ("PUT", "DELETE", "PATCH"):
        response = shared_server.http.request(method, "/graphql", json={"query": "{ a }"})
        assert_refused(response, 405, "METHOD_NOT_ALLOWED")
        assert response.headers["allow"] == "GET, HEAD, POST"
    response = shared_server.http.get("/graphql", params={"query": MUTATION})
    assert_refused(response, 405, "METHOD_NOT_ALLOWED")
    assert response.headers["allow"] == "POST"


def test_query_by_get_takes_all_parameters(shared_server: ServerProcess) -> None:
    query = "query A($a: Int) { orders(first: $a) { nodes { id } } } query B { __typename }"
    parameters = {"query": query, "variables": '{"a": 0}', "operationName": "A"}
    response = shared_server.http.get("/graphql", params=parameters)
    assert response.json()["errors"][0]["extensions"] == {"code": "BAD_USER_INPUT"}
    parameters["variables"] = '{"a": 1}'
    assert "data" in shared_server.http.get("/graphql", params=parameters).json()
    head = shared_server.http.head("/graphql", params=parameters)
    assert (head.status_code, head.text) == (200, "")
    parameters["variables"] = "["
    assert_refused(shared_server.http.get("/graphql", params=parameters), 400, "BAD_REQUEST")
    assert_refused(shared_server.http.get("/graphql"), 400, "BAD_REQUEST")


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/graphql",
        "application/json; charset=utf-16",
        "application/jsonp",
    ],
)
def test_post_is_json_only(shared_server: ServerProcess, content_type: str | None) -> None:
    headers = {"content-type": content_type} if content_type else {}
    body = json.dumps({"query": MUTATION}).encode()
    response = shared_server.http.post("/graphql", content=body, headers=headers)
    assert_refused(response, 415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize("charset", ["UTF-8", '"utf-8"', "utf8"])
def test_json_may_say_that_it_is_utf_8(shared_server: ServerProcess, charset: str) -> None:
    headers = {"content-type": f"application/json; charset={charset}"}
    body = json.dumps({"query": "{ __typename }"}).encode()
    assert shared_server.http.post("/graphql", content=body, headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "BAD_REQUEST"),
        (b"{", "BAD_REQUEST"),
        (b"7", "BAD_REQUEST"),
        (b"{}", "BAD_REQUEST"),
        (b"\xff", "BAD_REQUEST"),
        (b"[]", "BATCHING_NOT_SUPPORTED"),
        (b'[{"query": "{ __typename }"}]', "BATCHING_NOT_SUPPORTED"),
        (b'{"query": "{ __typename }", "variables": []}', "BAD_REQUEST"),
        (b'{"query": "{ __typename }", "operationName": 7}', "BAD_REQUEST"),
        (b'{"query": "{ __typename }", "extensions": "a"}', "BAD_REQUEST"),
        (b'{"query": "subscription { orderCreated { id } }"}', "OPERATION_RESOLUTION_FAILURE"),
    ],
)
def test_body_that_is_no_request_is_refused_with_a_code(
    shared_server: ServerProcess, body: bytes, code: str
) -> None:
    assert_refused(shared_server.post(body), 400, code)


HASH = {"persistedQuery": {"version": 1, "sha256Hash": "0" * 64}}


@pytest.mark.parametrize(("accept", "status"), [(JSON, 200), ("*/*", 200), (RESPONSE, 400)])
@pytest.mark.parametrize("query", [{}, {"query": None}, {"query": ""}], ids=str)
def test_query_that_is_only_a_hash_is_refused_as_clients_expect(
    shared_server: ServerProcess, query: dict[str, object], accept: str, status: int
) -> None:
    headers = {"accept": accept}
    by_get = {"extensions": json.dumps(HASH), **dict.fromkeys(query, "")}
    for response in (
        shared_server.http.post("/graphql", json={**query, "extensions": HASH}, headers=headers),
        shared_server.http.get("/graphql", params=by_get, headers=headers),
    ):
        assert_refused(response, status, "PERSISTED_QUERY_NOT_SUPPORTED")
        assert response.json()["errors"][0]["message"] == "PersistedQueryNotSupported"
        assert response.headers["cache-control"] == "no-store", "or a cache would keep it"


@pytest.mark.parametrize("extensions", [None, {}, {"persistedQuery": None}, {"other": 1}])
def test_request_without_query_and_hash_is_none(
    shared_server: ServerProcess, extensions: object
) -> None:
    body = json.dumps({"extensions": extensions}).encode()
    assert_refused(shared_server.post(body), 400, "BAD_REQUEST")


def test_query_with_its_hash_is_served(shared_server: ServerProcess) -> None:
    """Clients that have fallen back may go on to send both."""
    create = {"query": CREATE_ORDER, "variables": {"input": soup_input()}, "extensions": HASH}
    for body in (create, {"query": "{ orders { nodes { id } } }", "extensions": HASH}):
        for accept in (JSON, RESPONSE):
            answer = shared_server.http.post("/graphql", json=body, headers={"accept": accept})
            assert "errors" not in answer.json()
        text = {"query": str(body["query"]), "extensions": json.dumps(HASH)}
    assert "data" in shared_server.http.get("/graphql", params=text).json()


def test_batch_places_no_order(shared_server: ServerProcess) -> None:
    before = shared_server.data("{ orders(first: 1) { nodes { id } } }")
    one = {"query": CREATE_ORDER, "variables": {"input": soup_input()}}
    assert shared_server.post(json.dumps([one, one]).encode()).status_code == 400
    assert shared_server.data("{ orders(first: 1) { nodes { id } } }") == before


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ("{ ordres { nodes { id } } }", {}),
        ("{ orders(frist: 1) { nodes { id } } }", {}),
        ("{ orders { nodes { ... on Ordr { id } } } }", {}),
        ("{ orders }", {}),
        ("query ($a: CreateOrderInptu) { __typename }", {}),
        ('mutation { createOrder(input: {tabel: "1", items: []}) { errors { code } } }', {}),
        (CREATE_ORDER, {"input": {"tabel": "1", "items": []}}),
        ("{ __typename @skpi(if: true) }", {}),
    ],
)
def test_without_introspection_errors_suggest_nothing(
    silent_server: ServerProcess,
    shared_server: ServerProcess,
    query: str,
    variables: dict[str, object],
) -> None:
    told = shared_server.execute(query, **variables)["errors"]
    assert any("Did you mean" in error["message"] for error in told) or "skpi" in query
    untold = silent_server.execute(query, **variables)["errors"]
    assert not any("Did you mean" in error["message"] for error in untold)


def test_introspection_can_be_switched_off(silent_server: ServerProcess) -> None:
    for query in (
        "{ __schema { types { name } } }",
        '{ a: __type(name: "Order") { name } }',
        "{ ...F } fragment F on Query { __schema { queryType { name } } }",
    ):
        (error,) = silent_server.execute(query)["errors"]
        assert error["extensions"] == {"code": "INTROSPECTION_DISABLED"}
    assert silent_server.data("{ __typename }") == {"__typename": "Query"}
    found = silent_server.data("{ orders { __typename } }")
    assert found == {"orders": {"__typename": "OrderConnection"}}


def test_graphiql_can_be_switched_off(silent_server: ServerProcess) -> None:
    browser = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    assert_refused(silent_server.http.get("/graphql", headers=browser), 400, "BAD_REQUEST")
    assert silent_server.http.get("/").status_code == 404


@pytest.mark.parametrize("name", ["query", "operationName", "variables", "extensions"])
def test_parameter_that_is_there_twice_is_refused(shared_server: ServerProcess, name: str) -> None:
    """One part of the way would go by the first, another by the last."""
    path = f"/graphql?query={{__typename}}&{name}=&{name}="
    answer = shared_server.http.get(path)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["message"] == f"The parameter {name} is there twice."
