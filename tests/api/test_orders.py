"""`order` and `orders` over HTTP. Every combination of cursors is tested in `tests/db`."""

import base64
from typing import Any

import pytest

from tests.support.orders import CREATE_ORDER, soup_input
from tests.support.server import ServerProcess

ORDERS = """
query ($first: Int, $after: String, $last: Int, $before: String, $table: String) {
  orders(first: $first, after: $after, last: $last, before: $before, table: $table) {
    nodes { id table cursor }
    edges { cursor node { id } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}
"""


def orders(server: ServerProcess, **arguments: object) -> dict[str, Any]:
    connection: dict[str, Any] = server.data(ORDERS, **arguments)["orders"]
    return connection


def ids(connection: dict[str, Any]) -> list[int]:
    return [int(node["id"]) for node in connection["nodes"]]


def place(server: ServerProcess, count: int, table: str = "1") -> None:
    for _ in range(count):
        server.data(CREATE_ORDER, input=soup_input(table))


def test_empty_list_is_an_empty_page(server: ServerProcess) -> None:
    assert orders(server) == {
        "nodes": [],
        "edges": [],
        "pageInfo": {
            "hasNextPage": False,
            "hasPreviousPage": False,
            "startCursor": None,
            "endCursor": None,
        },
    }


def test_pages_walk_the_list_forward_and_backward(server: ServerProcess) -> None:
    place(server, 60)
    assert ids(orders(server)) == list(range(60, 10, -1))
    first = orders(server, first=25)
    second = orders(server, first=25, after=first["pageInfo"]["endCursor"])
    third = orders(server, first=25, after=second["pageInfo"]["endCursor"])
    assert ids(first) + ids(second) + ids(third) == list(range(60, 0, -1))
    flags = [
        (page["pageInfo"]["hasPreviousPage"], page["pageInfo"]["hasNextPage"])
        for page in (first, second, third)
    ]
    assert flags == [(False, True), (True, True), (True, False)]
    back = orders(server, last=25, before=third["pageInfo"]["startCursor"])
    assert back["nodes"] == second["nodes"]
    assert back["edges"] == [
        {"cursor": node["cursor"], "node": {"id": node["id"]}} for node in second["nodes"]
    ]


def test_table_filter_is_exact_and_trimmed(server: ServerProcess) -> None:
    place(server, 2, "7")
    place(server, 2, "77")
    place(server, 1, "7")
    assert ids(orders(server, table=" 7 ")) == [5, 2, 1]
    assert ids(orders(server, table="7", first=1)) == [5]
    assert ids(orders(server, table="nobody")) == []


@pytest.mark.parametrize(
    "order_id", ["0", "-1", "01", "999999", "9" * 18, "9" * 40, "x", "", "١", "\n1"]
)
def test_order_that_does_not_exist_is_null(shared_server: ServerProcess, order_id: str) -> None:
    assert shared_server.data("query ($id: ID!) { order(id: $id) { id } }", id=order_id) == {
        "order": None
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"first": 0}, "first must be within 1–200, not 0."),
        ({"first": 201}, "first must be within 1–200, not 201."),
        ({"last": -5}, "last must be within 1–200, not -5."),
        ({"first": 1, "last": 1}, "first and last can't be given together."),
        ({"table": " "}, "table must not be blank."),
        ({"table": "x" * 65}, "table must have at most 64 characters, not 65."),
        (
            {"table": "\ud800"},
            "table must not contain control characters or lone surrogates.",
        ),
    ],
)
def test_argument_beyond_its_limit_is_named(
    shared_server: ServerProcess, arguments: dict[str, object], message: str
) -> None:
    (error,) = shared_server.execute(ORDERS, **arguments)["errors"]
    assert (error["message"], error["extensions"]) == (message, {"code": "BAD_USER_INPUT"})


@pytest.mark.parametrize("argument", ["after", "before"])
@pytest.mark.parametrize(
    ("cursor", "code"),
    [
        ("", "BAD_CURSOR"),
        ("nonsense", "BAD_CURSOR"),
        (base64.urlsafe_b64encode(bytes(16)).decode()[:-2], "CURSOR_EXPIRED"),
    ],
)
def test_cursor_that_is_not_of_this_log_is_refused(
    shared_server: ServerProcess, argument: str, cursor: str, code: str
) -> None:
    (error,) = shared_server.execute(ORDERS, **{argument: cursor})["errors"]
    assert error["extensions"] == {"code": code}
    assert error["message"].startswith(f"{argument} ")
