"""`createOrder` over HTTP."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resolvers.text import ENDS
from tests.support.orders import CREATE_ORDER, soup_input
from tests.support.server import ServerProcess

ANY_TEXT = st.text(st.characters(codec=None)) | st.text("\ud800\x00\t \n", max_size=3)
ANY_NUMBER = st.sampled_from([-(2**31), -1, 0, 1, 999, 1000, 2**31 - 1, 2**31, 2**63, 10**30, 1.5])
ANY_VALUE = st.none() | st.booleans() | ANY_NUMBER | ANY_TEXT | st.lists(ANY_TEXT, max_size=2)
ITEM = st.fixed_dictionaries({"name": ANY_TEXT, "quantity": ANY_NUMBER}) | ANY_VALUE
INPUT = st.fixed_dictionaries(
    {"table": ANY_TEXT | ANY_VALUE, "items": st.lists(ITEM, max_size=130) | ANY_VALUE},
    optional={"idempotencyKey": ANY_VALUE, "unknown": ANY_VALUE},
)
COUNT = "{ orders(first: 1) { nodes { id } } }"


def create(server: ServerProcess, **given: object) -> dict[str, Any]:
    payload: dict[str, Any] = server.data(CREATE_ORDER, input=given)["createOrder"]
    return payload


def newest_id(server: ServerProcess) -> int:
    nodes = server.data(COUNT)["orders"]["nodes"]
    return int(nodes[0]["id"]) if nodes else 0


def test_order_comes_back_as_stored(shared_server: ServerProcess) -> None:
    before = newest_id(shared_server)
    items = [{"name": " Crème brûlée ", "quantity": 2}, {"name": "茶", "quantity": 999}]
    payload = create(shared_server, table="  7 \n", items=items)
    order = payload["order"]
    assert payload["errors"] == []
    assert order["id"] == str(before + 1)
    assert order["table"] == "7"
    assert order["items"] == [
        {"name": "Crème brûlée", "quantity": 2},
        {"name": "茶", "quantity": 999},
    ]
    created_at = datetime.fromisoformat(order["createdAt"])
    assert created_at.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - created_at) < timedelta(minutes=1)
    found = shared_server.data(
        "query ($id: ID!) { order(id: $id) { id table items { name quantity } createdAt cursor } }",
        id=order["id"],
    )
    assert found["order"] == order


def test_all_that_is_wrong_is_reported_at_once_and_nothing_is_stored(
    shared_server: ServerProcess,
) -> None:
    before = newest_id(shared_server)
    items = [{"name": "Soup", "quantity": 1}, {"name": "", "quantity": 0}]
    payload = create(shared_server, table=" ", items=items, idempotencyKey="")
    assert payload["order"] is None
    assert [(error["field"], error["code"]) for error in payload["errors"]] == [
        ("table", "BLANK"),
        ("items.1.name", "BLANK"),
        ("items.1.quantity", "QUANTITY_OUT_OF_RANGE"),
        ("idempotencyKey", "BLANK"),
    ]
    assert newest_id(shared_server) == before


@pytest.mark.parametrize("blank", ["\u00a0\u2003\u200b", "\u3164", "\ufe0f", "\U000e0067\u2060"])
def test_name_that_shows_nothing_is_blank(shared_server: ServerProcess, blank: str) -> None:
    before = newest_id(shared_server)
    payload = create(shared_server, table=blank, items=[{"name": blank, "quantity": 1}])
    assert [(error["field"], error["code"]) for error in payload["errors"]] == [
        ("table", "BLANK"),
        ("items.0.name", "BLANK"),
    ]
    assert newest_id(shared_server) == before


SCOTLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"


@pytest.mark.parametrize(
    "name", [SCOTLAND, "👩\u200d🍳", "☕\ufe0f", "\u200fשניצל!\u200f", "e\u0301", "ക്\u200d"]
)
def test_name_that_shows_something_is_stored_as_it_is(
    shared_server: ServerProcess, name: str
) -> None:
    item = {"name": f"\u200b {name}\u00a0", "quantity": 1}
    stored = create(shared_server, table=f"{name}\ufeff", items=[item])["order"]
    assert (stored["table"], stored["items"][0]["name"]) == (name, name)
    query = "query ($table: String) { orders(first: 1, table: $table) { nodes { id } } }"
    found = shared_server.data(query, table=f" {name}\u200b")
    assert found["orders"]["nodes"] == [{"id": stored["id"]}]


def test_lone_surrogate_in_an_escape_is_an_error_of_its_field(
    shared_server: ServerProcess,
) -> None:
    given = {"table": "\ud800", "items": [{"name": "a\udfff", "quantity": 1}]}
    errors = create(shared_server, **given)["errors"]
    assert [(error["field"], error["code"]) for error in errors] == [
        ("table", "INVALID_CHARACTER"),
        ("items.0.name", "INVALID_CHARACTER"),
    ]


def test_key_makes_a_retry_safe(shared_server: ServerProcess) -> None:
    first = create(shared_server, **soup_input(key="retry"))
    assert create(shared_server, **soup_input(key="retry")) == first
    assert create(shared_server, **soup_input(table=" 1 ", key="retry")) == first
    refused = create(shared_server, **soup_input(quantity=2, key="retry"))
    assert refused["order"] is None
    assert refused["errors"] == [
        {
            "code": "IDEMPOTENCY_KEY_REUSED",
            "message": "This idempotency key already belongs to a different order "
            f"(id {first['order']['id']}).",
            "field": "idempotencyKey",
        }
    ]
    assert newest_id(shared_server) == int(first["order"]["id"])


def test_null_key_is_no_key(shared_server: ServerProcess) -> None:
    ids = {create(shared_server, **soup_input(key=None))["order"]["id"] for _ in range(2)}
    assert len(ids) == 2


@given(INPUT)
@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_input_is_stored_whole_or_refused(shared_server: ServerProcess, given: object) -> None:
    """Never a 5xx, never an internal error, never a half-written order."""
    before = newest_id(shared_server)
    answer = shared_server.execute(CREATE_ORDER, input=given)
    order = ((answer.get("data") or {}).get("createOrder") or {}).get("order")
    assert newest_id(shared_server) == before + (order is not None)
    codes = [error["extensions"]["code"] for error in answer.get("errors", [])]
    assert set(codes) <= {"BAD_USER_INPUT"}
    if order is not None:
        assert isinstance(given, dict)
        assert len(order["items"]) == len(given["items"])
        assert order["table"] == given["table"].strip(ENDS)


@pytest.mark.parametrize("variables", [{}, {"input": None}, {"input": {}}, {"input": [[[]]]}])
def test_input_of_another_shape_is_a_clear_error(
    shared_server: ServerProcess, variables: dict[str, object]
) -> None:
    (error, *_) = shared_server.execute(CREATE_ORDER, **variables)["errors"]
    assert "input" in error["message"]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
