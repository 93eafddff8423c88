"""Check what a client sends, all of it at once, naming each field and its limit."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import strawberry

from db.errors import Bistro92Error
from db.records import NewOrder, OrderItem
from resolvers.limits import (
    IDEMPOTENCY_KEY_MAX_CHARACTERS,
    ITEM_NAME_MAX_CHARACTERS,
    ORDER_MAX_ITEMS,
    PAGE_MAX_ORDERS,
    QUANTITY_MAX,
    TABLE_MAX_CHARACTERS,
)
from resolvers.text import trimmed

# The Unicode categories Cc (control) and Cs (surrogates: those can't be written as UTF-8).
_REFUSED_CHARACTER = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class OrderErrorCode(Enum):
    """Why an order was not stored."""

    BLANK = strawberry.enum_value(
        "BLANK", description="The text is empty after trimming, or shows nothing."
    )
    TOO_LONG = strawberry.enum_value(
        "TOO_LONG", description="The text has more characters than the limit."
    )
    INVALID_CHARACTER = strawberry.enum_value(
        "INVALID_CHARACTER",
        description="The text contains a control character or a lone surrogate.",
    )
    NO_ITEMS = strawberry.enum_value("NO_ITEMS", description="The order has no item.")
    TOO_MANY_ITEMS = strawberry.enum_value(
        "TOO_MANY_ITEMS", description=f"The order has more than {ORDER_MAX_ITEMS} items."
    )
    QUANTITY_OUT_OF_RANGE = strawberry.enum_value(
        "QUANTITY_OUT_OF_RANGE", description=f"The quantity is not within 1–{QUANTITY_MAX}."
    )
    IDEMPOTENCY_KEY_REUSED = strawberry.enum_value(
        "IDEMPOTENCY_KEY_REUSED",
        description="The idempotency key already belongs to a different order.",
    )


@dataclass(frozen=True, slots=True)
class OrderError:
    """One thing that is wrong with an order; `field` is its path (`items.2.quantity`)."""

    code: OrderErrorCode
    message: str
    field: str | None


class BadUserInputError(Bistro92Error):
    """An argument is outside its limits."""


class ItemInput(Protocol):
    """One line of an order as a client gives it."""

    @property
    def name(self) -> str:
        """What was ordered."""

    @property
    def quantity(self) -> int:
        """How many."""


def validate_order(
    table: str, items: Sequence[ItemInput], idempotency_key: str | None
) -> NewOrder | list[OrderError]:
    """Trim and check an order; return it, or everything that is wrong with it.

    Names are trimmed. The idempotency key is not: it is compared exactly as it was sent. Items
    beyond the limit are not looked at one by one.
    """
    table = trimmed(table)
    lines = tuple(OrderItem(trimmed(item.name), item.quantity) for item in items[:ORDER_MAX_ITEMS])
    errors = _text_errors("table", table, TABLE_MAX_CHARACTERS)
    errors += _count_errors(len(items))
    for index, line in enumerate(lines):
        errors += _text_errors(f"items.{index}.name", line.name, ITEM_NAME_MAX_CHARACTERS)
        errors += _quantity_errors(f"items.{index}.quantity", line.quantity)
    if idempotency_key is not None:
        errors += _text_errors("idempotencyKey", idempotency_key, IDEMPOTENCY_KEY_MAX_CHARACTERS)
    return errors or NewOrder(table, lines, idempotency_key)


def validate_table(table: str | None) -> str | None:
    """Trim and check the `table` filter; raises `BadUserInputError`."""
    if table is None:
        return None
    table = trimmed(table)
    if errors := _text_errors("table", table, TABLE_MAX_CHARACTERS):
        raise BadUserInputError(" ".join(error.message for error in errors))
    return table


def validate_count(name: str, count: int | None) -> None:
    """Check a page size; raises `BadUserInputError`."""
    if count is not None and not 1 <= count <= PAGE_MAX_ORDERS:
        raise BadUserInputError(f"{name} must be within 1–{PAGE_MAX_ORDERS}, not {count}.")


def _text_errors(field: str, text: str, max_characters: int) -> list[OrderError]:
    if 0 < len(text) <= max_characters and not _REFUSED_CHARACTER.search(text):
        return []
    errors: list[tuple[OrderErrorCode, str]] = []
    if not text:
        errors.append((OrderErrorCode.BLANK, "must not be blank"))
    if len(text) > max_characters:
        message = f"must have at most {max_characters} characters, not {len(text)}"
        errors.append((OrderErrorCode.TOO_LONG, message))
    if _REFUSED_CHARACTER.search(text):
        message = "must not contain control characters or lone surrogates"
        errors.append((OrderErrorCode.INVALID_CHARACTER, message))
    return [OrderError(code, f"{field} {message}.", field) for code, message in errors]


def _count_errors(count: int) -> list[OrderError]:
    if count == 0:
        message = f"items must have 1–{ORDER_MAX_ITEMS} items, not 0."
        return [OrderError(OrderErrorCode.NO_ITEMS, message, "items")]
    if count > ORDER_MAX_ITEMS:
        message = f"items must have 1–{ORDER_MAX_ITEMS} items, not {count}."
        return [OrderError(OrderErrorCode.TOO_MANY_ITEMS, message, "items")]
    return []


def _quantity_errors(field: str, quantity: int) -> list[OrderError]:
    if 1 <= quantity <= QUANTITY_MAX:
        return []
    message = f"{field} must be within 1–{QUANTITY_MAX}, not {quantity}."
    return [OrderError(OrderErrorCode.QUANTITY_OUT_OF_RANGE, message, field)]
