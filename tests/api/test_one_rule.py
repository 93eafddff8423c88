"""One door: the same request has the same answer by every way, good or bad.

The ways: POST in the fast lane, POST and GET by the view, GET in the lane, and the socket.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx2 as httpx
import pytest

from tests.support.bad_requests import (
    BAD,
    FAILS,
    FIELDS,
    MUTATIONS,
    REFUSED,
    SHAPES,
    SHAPES_OF_JSON,
    SUBSCRIPTIONS,
    Request,
)
from tests.support.orders import CREATE_ORDER, FOLLOW, soup_input
from tests.support.screen import Screen, open_screen
from tests.support.server import ServerProcess

pytestmark = pytest.mark.sqlite

JSON = "application/json"
RESPONSE = "application/graphql-response+json"
ACCEPTS = (JSON, f"{RESPONSE}, {JSON};q=0.9")
TOO_LONG_FOR_THE_LANE = ", image/png" * 30


@pytest.fixture(scope="module", params=[True, False], ids=["compiled", "generic"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("one-rule")
    with ServerProcess(folder, compiled_operations=request.param) as started:
        yield started


@dataclass(frozen=True)
class Answer:
    """What an edge has answered: a response, as JSON, and its status if it is HTTP's."""

    response: dict[str, Any]
    status: int | None = None

    @property
    def codes(self) -> list[str]:
        return [error["extensions"]["code"] for error in self.response.get("errors", [])]


def by_post(server: ServerProcess, request: Request, accept: str) -> Answer:
    headers = {"content-type": JSON, "accept": accept}
    # As it is: httpx would refuse to write lone surrogates.
    body = json.dumps(request).encode()
    return _answer(server.http.post("/graphql", content=body, headers=headers))


def by_get(server: ServerProcess, request: Request, accept: str) -> Answer:
    parameters = {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in request.items()
        if value is not None
    }
    headers = {"accept": accept}
    return _answer(server.http.get("/graphql", params=parameters, headers=headers))


def _answer(response: httpx.Response) -> Answer:
    return Answer(response.json(), response.status_code)


async def by_socket(server: ServerProcess, request: Request) -> Answer:
    """Run an operation beside another one, which goes on."""
    async with open_screen(server.socket_url) as screen:
        await screen.subscribe(FOLLOW, operation="other")
        await screen.send({"id": "1", "type": "subscribe", "payload": request})
        answer = await _outcome(screen)
        await screen.send({"id": "1", "type": "complete"})
        await screen.settle()
        await screen.subscribe("{ serverTime }")  # its id is free again
        assert (await screen.next())["serverTime"]
    return answer


async def _outcome(screen: Screen) -> Answer:
    message = await screen.receive()
    assert message["id"] == "1"
    if message["type"] == "error":
        return Answer({"errors": message["payload"]})
    assert message["type"] == "next", message
    assert await screen.receive() == {"id": "1", "type": "complete"}
    return Answer(message["payload"])


async def everywhere(server: ServerProcess, request: Request, *, get: bool) -> list[Answer]:
    """Ask every edge, each for both types of answer if it is HTTP's: in the lane, and past it."""
    kinds = [accept + past for past in ("", TOO_LONG_FOR_THE_LANE) for accept in ACCEPTS]
    answers = [by_post(server, request, accept) for accept in kinds]
    if get:
        answers += [by_get(server, request, accept) for accept in kinds]
    return [*answers, await by_socket(server, request)]


def statuses(answers: list[Answer]) -> list[int]:
    return [answer.status for answer in answers if answer.status is not None]


def assert_alike(answers: list[Answer]) -> None:
    """Compare whole responses: messages, locations, paths and codes."""
    assert [answer.response for answer in answers] == [answers[0].response] * len(answers)


@pytest.mark.parametrize("name", [*SHAPES, *SHAPES_OF_JSON])
async def test_no_request_is_refused_alike(server: ServerProcess, name: str) -> None:
    request = (SHAPES | SHAPES_OF_JSON)[name]
    answers = await everywhere(server, request, get=name in SHAPES)
    assert answers[0].codes == [BAD]
    assert list(answers[0].response) == ["errors"]
    assert_alike(answers)
    assert set(statuses(answers)) == {400}
    assert "unexpected error" not in server.log


@pytest.mark.parametrize("name", REFUSED)
async def test_bad_operation_is_refused_alike(server: ServerProcess, name: str) -> None:
    request, code = REFUSED[name]
    for _ in range(2):  # the second time from the caches
        answers = await everywhere(server, request, get=True)
        assert set(answers[0].codes) == {code}
        assert list(answers[0].response) == ["errors"]
        assert_alike(answers)
        assert statuses(answers) == [200, 400] * 4
    assert "unexpected error" not in server.log


@pytest.mark.parametrize("name", FIELDS)
async def test_field_fails_alike(server: ServerProcess, name: str) -> None:
    request, code = FIELDS[name]
    answers = await everywhere(server, request, get=True)
    assert answers[0].codes == [code]
    assert list(answers[0].response) == ["data", "errors"]
    assert_alike(answers)
    assert set(statuses(answers)) == {200}


@pytest.mark.parametrize("name", MUTATIONS)
async def test_bad_mutation_is_refused_alike(server: ServerProcess, name: str) -> None:
    request, code = MUTATIONS[name]
    answers = await everywhere(server, request, get=False)
    assert set(answers[0].codes) == {code}
    assert list(answers[0].response) == ["errors"]
    assert_alike(answers)
    assert statuses(answers) == [200, 400] * 2
    refused = by_get(server, request, JSON)
    assert (refused.status, refused.codes) == (405, ["METHOD_NOT_ALLOWED"])


PAGE = "query P($n: Int) { orders(first: $n) { nodes { id table items { name quantity } } } }"
GOOD: dict[str, Request] = {
    "page": {"query": PAGE, "variables": {"n": 2}},
    "page, its variables null": {"query": PAGE, "variables": None},
    "two pages": {"query": "{ a: orders(first: 1) { nodes { id } } b: order(id: 1) { table } }"},
    "nothing found": {"query": "{ order(id: 9999) { id } }"},
    "fragments": {"query": "{ ...F } fragment F on Query { orders { pageInfo { hasNextPage } } }"},
    "condition": {"query": "{ orders { nodes { id @skip(if: true) table } } }"},
    "types": {"query": "{ __schema { queryType { name } } }"},
    "other extensions": {"query": "{ __typename }", "extensions": {"clientLibrary": {"name": "x"}}},
    "any Unicode": {"query": '{ orders(table: "Ü😀") { nodes { id } } }'},
}


@pytest.mark.parametrize("name", GOOD)
async def test_good_request_is_answered_alike(server: ServerProcess, name: str) -> None:
    server.data(CREATE_ORDER, input=soup_input())
    for _ in range(2):  # the second time from what is shared
        answers = await everywhere(server, GOOD[name], get=True)
        assert list(answers[0].response) == ["data"]
        assert_alike(answers)
        assert set(statuses(answers)) == {200}


async def test_order_with_a_key_is_the_same_one_by_every_way(server: ServerProcess) -> None:
    order = soup_input() | {"idempotencyKey": "one rule"}
    request: Request = {"query": CREATE_ORDER, "variables": {"input": order}}
    answers = await everywhere(server, request, get=False)
    assert answers[0].response["data"]["createOrder"]["errors"] == []
    assert_alike(answers)


async def test_empty_name_is_none(server: ServerProcess) -> None:
    """So says GraphQL over HTTP of GET, where an absent name can't be told from an empty one."""
    request = {"query": "query Kind { kind: __typename }", "operationName": ""}
    for answer in await everywhere(server, request, get=True):
        assert answer.response == {"data": {"kind": "Query"}}


async def test_good_name_among_several_is_run(server: ServerProcess) -> None:
    text = "query A { a: __typename } query B { b: __typename }"
    for answer in await everywhere(server, {"query": text, "operationName": "B"}, get=True):
        assert answer.response == {"data": {"b": "Query"}}


def test_subscription_by_http_is_refused_alike(server: ServerProcess) -> None:
    """By nature not the socket's."""
    for accept in (JSON, RESPONSE):
        for answer in (
            by_post(server, {"query": FOLLOW}, accept),
            by_get(server, {"query": FOLLOW}, accept),
        ):
            assert (answer.status, answer.codes) == (400, [FAILS])


@pytest.mark.parametrize("name", SUBSCRIPTIONS)
async def test_bad_subscription_ends_with_an_error(server: ServerProcess, name: str) -> None:
    request, code = SUBSCRIPTIONS[name]
    answer = await by_socket(server, request)
    assert answer.codes == [code]
    assert "data" not in answer.response
