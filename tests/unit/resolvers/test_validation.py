"""Validation: everything that is wrong, with its field, and nothing else."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from db.records import NewItem, NewOrder
from resolvers.text import trimmed
from resolvers.validation import BadUserInputError, OrderErrorCode, validate_order, validate_table
from schema.inputs import OrderItemInput

ANY_TEXT = st.text(st.characters(codec=None)) | st.text("\ud800\x00\t \n\u200b\u200d", max_size=3)
ANY_INT = st.integers(-(2**31), 2**31 - 1)
ITEMS = st.lists(st.builds(OrderItemInput, name=ANY_TEXT, quantity=ANY_INT), max_size=130)


def is_good(text: str, limit: int) -> bool:
    """Say in other words than the code what a good text is."""
    refused = {"Cc", "Cs"}
    return 1 <= len(text) <= limit and not refused & {unicodedata.category(c) for c in text}


@given(ANY_TEXT, ITEMS, st.none() | ANY_TEXT)
@example("x" * 64, [OrderItemInput(name="y" * 100, quantity=999)] * 100, "z" * 128)
@example("x" * 65, [OrderItemInput(name="y" * 101, quantity=1000)] * 101, "z" * 129)
@example("", [], "")
@example("🍜", [OrderItemInput(name="Crème brûlée", quantity=1)], None)
def test_order_is_accepted_exactly_if_every_field_is_within_its_limits(
    table: str, items: list[OrderItemInput], key: str | None
) -> None:
    result = validate_order(table, items, key)
    bad_fields = {
        *(["table"] if not is_good(trimmed(table), 64) else []),
        *(["items"] if not 1 <= len(items) <= 100 else []),
        *(["idempotencyKey"] if key is not None and not is_good(key, 128) else []),
        *(
            f"items.{i}.name"
            for i, item in enumerate(items[:100])
            if not is_good(trimmed(item.name), 100)
        ),
        *(
            f"items.{i}.quantity"
            for i, item in enumerate(items[:100])
            if not 1 <= item.quantity <= 999
        ),
    }
    if bad_fields:
        assert isinstance(result, list)
        assert {error.field for error in result} == bad_fields
        for error in result:
            assert error.message.startswith(f"{error.field} ")
            error.message.encode()
    else:
        lines = tuple(NewItem(trimmed(item.name), item.quantity) for item in items)
        assert result == NewOrder(trimmed(table), lines, key)


def test_each_error_has_its_code_and_names_its_limit() -> None:
    items = [
        OrderItemInput(name=" ", quantity=0),
        OrderItemInput(name="a\x07", quantity=1),
        OrderItemInput(name="x" * 101, quantity=2**31 - 1),
    ]
    found = validate_order("t" * 65, items, "k" * 129)
    assert isinstance(found, list)
    assert [(error.field, error.code.name, error.message) for error in found] == [
        ("table", "TOO_LONG", "table must have at most 64 characters, not 65."),
        ("items.0.name", "BLANK", "items.0.name must not be blank."),
        (
            "items.0.quantity",
            "QUANTITY_OUT_OF_RANGE",
            "items.0.quantity must be within 1–999, not 0.",
        ),
        (
            "items.1.name",
            "INVALID_CHARACTER",
            "items.1.name must not contain control characters or lone surrogates.",
        ),
        ("items.2.name", "TOO_LONG", "items.2.name must have at most 100 characters, not 101."),
        (
            "items.2.quantity",
            "QUANTITY_OUT_OF_RANGE",
            "items.2.quantity must be within 1–999, not 2147483647.",
        ),
        (
            "idempotencyKey",
            "TOO_LONG",
            "idempotencyKey must have at most 128 characters, not 129.",
        ),
    ]


@pytest.mark.parametrize("blank", ["\u00a0\u2003\u200b", "\u3164", "\ufe0f", "\u2800 \u2063"])
def test_names_that_show_nothing_are_blank(blank: str) -> None:
    found = validate_order(blank, [OrderItemInput(name=blank, quantity=1)], blank)
    assert isinstance(found, list)
    # The key is compared exactly, and read by nobody.
    assert [(error.field, error.code.name) for error in found] == [
        ("table", "BLANK"),
        ("items.0.name", "BLANK"),
    ]
    with pytest.raises(BadUserInputError, match="table must not be blank"):
        validate_table(blank)


def test_huge_list_is_refused_without_an_error_for_each_item() -> None:
    found = validate_order("1", [OrderItemInput(name="", quantity=0)] * 1_000_000, None)
    assert isinstance(found, list)
    assert found[0].code is OrderErrorCode.TOO_MANY_ITEMS
    assert len(found) == 201
