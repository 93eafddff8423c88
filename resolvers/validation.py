"""Check what a client sends, all of it at once, naming each field and its limit."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, TypeVar

import strawberry

from db.errors import Bistro92Error
from db.records import NewItem, NewOrder
from resolvers.limits import (
    ALERT_MAX_CHARACTERS,
    COURSE_MAX,
    IDEMPOTENCY_KEY_MAX_CHARACTERS,
    ITEM_NAME_MAX_CHARACTERS,
    MODIFIER_MAX_CHARACTERS,
    MODIFIERS_MAX,
    NOTE_MAX_CHARACTERS,
    ORDER_MAX_ITEMS,
    PAGE_MAX_ORDERS,
    QUANTITY_MAX,
    SEAT_MAX,
    STATION_MAX_CHARACTERS,
    TABLE_MAX_CHARACTERS,
)
from resolvers.text import trimmed

T = TypeVar("T")

# No more digits than an id can have: a longer number doesn't fit the database's integers.
_ORDER_ID = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)

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
    TOO_MANY = strawberry.enum_value(
        "TOO_MANY", description=f"The line has more than {MODIFIERS_MAX} modifiers."
    )
    OUT_OF_RANGE = strawberry.enum_value(
        "OUT_OF_RANGE",
        description=f"The course is not within 1–{COURSE_MAX}, or the seat not within "
        f"1–{SEAT_MAX}.",
    )
    ORDER_NOT_FOUND = strawberry.enum_value(
        "ORDER_NOT_FOUND", description="There is no order that this could be added to."
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


def given(value: T | None) -> T | None:
    """Treat what is absent like what is null."""
    return None if value is strawberry.UNSET else value


class ItemInput(Protocol):
    """One line of an order as a client gives it. What is not given is None or `UNSET`."""

    @property
    def name(self) -> str:
        """What was ordered."""

    @property
    def quantity(self) -> int:
        """How many."""

    @property
    def modifiers(self) -> Sequence[str] | None:
        """How it is wanted."""

    @property
    def alert(self) -> str | None:
        """What nobody may overlook."""

    @property
    def station(self) -> str | None:
        """Who makes it."""

    @property
    def course(self) -> int | None:
        """With what it is served."""

    @property
    def seat(self) -> int | None:
        """For whom it is."""

    @property
    def hold(self) -> bool | None:
        """Whether it is to wait."""


def validate_order(
    table: str,
    items: Sequence[ItemInput],
    idempotency_key: str | None,
    note: str | None = None,
    adds_to: int | None = None,
) -> NewOrder | list[OrderError]:
    """Trim and check an order; return it, or everything that is wrong with it.

    Texts are trimmed. The idempotency key is not: it is compared exactly as it was sent. Items
    beyond the limit are not looked at one by one.
    """
    table = trimmed(table)
    lines = tuple([_to_item(item) for item in items[:ORDER_MAX_ITEMS]])
    errors = text_errors("table", table, TABLE_MAX_CHARACTERS)
    errors += _count_errors(len(items))
    for index, line in enumerate(lines):
        errors += text_errors(f"items.{index}.name", line.name, ITEM_NAME_MAX_CHARACTERS)
        errors += _range_errors(
            OrderErrorCode.QUANTITY_OUT_OF_RANGE,
            f"items.{index}.quantity",
            line.quantity,
            QUANTITY_MAX,
        )
        if line[2:] != _NO_MORE:
            errors += _content_errors(f"items.{index}", line)
    if note is not None:
        note = trimmed(note)
        errors += text_errors("note", note, NOTE_MAX_CHARACTERS)
    if idempotency_key is not None:
        errors += text_errors("idempotencyKey", idempotency_key, IDEMPOTENCY_KEY_MAX_CHARACTERS)
    return errors or NewOrder(table, lines, idempotency_key, note, adds_to)


_NO_MORE = NewItem("", 0)[2:]


def _to_item(item: ItemInput) -> NewItem:
    return NewItem(
        trimmed(item.name),
        item.quantity,
        # One more than the limit shows that there are too many.
        tuple([trimmed(text) for text in item.modifiers[: MODIFIERS_MAX + 1]])
        if item.modifiers
        else (),
        trimmed(item.alert) if item.alert or item.alert == "" else None,
        trimmed(item.station) if item.station or item.station == "" else None,
        given(item.course),
        given(item.seat),
        bool(item.hold),
    )


def _content_errors(field: str, line: NewItem) -> list[OrderError]:
    """Return what is wrong with a line beyond its name and quantity."""
    errors: list[OrderError] = []
    if len(line.modifiers) > MODIFIERS_MAX:
        message = f"{field}.modifiers must have at most {MODIFIERS_MAX} modifiers."
        errors.append(OrderError(OrderErrorCode.TOO_MANY, message, f"{field}.modifiers"))
    texts = [
        (f"modifiers.{index}", text, MODIFIER_MAX_CHARACTERS)
        for index, text in enumerate(line.modifiers[:MODIFIERS_MAX])
    ]
    if line.alert is not None:
        texts.append(("alert", line.alert, ALERT_MAX_CHARACTERS))
    if line.station is not None:
        texts.append(("station", line.station, STATION_MAX_CHARACTERS))
    for name, text, max_characters in texts:
        errors += text_errors(f"{field}.{name}", text, max_characters)
    for name, number, most in (("course", line.course, COURSE_MAX), ("seat", line.seat, SEAT_MAX)):
        if number is not None:
            code = OrderErrorCode.OUT_OF_RANGE
            errors += _range_errors(code, f"{field}.{name}", number, most)
    return errors


def validate_table(table: str | None) -> str | None:
    """Trim and check the `table` filter; raises `BadUserInputError`."""
    return _validate_filter("table", table, TABLE_MAX_CHARACTERS)


def validate_station(station: str | None) -> str | None:
    """Trim and check the `station` filter; raises `BadUserInputError`."""
    return _validate_filter("station", station, STATION_MAX_CHARACTERS)


def _validate_filter(name: str, text: str | None, max_characters: int) -> str | None:
    if text is None:
        return None
    text = trimmed(text)
    if errors := text_errors(name, text, max_characters):
        raise BadUserInputError(" ".join(error.message for error in errors))
    return text


def order_id_of(text: str) -> int | None:
    """Return the id that a text is; None if it can't be one."""
    return int(text) if _ORDER_ID.fullmatch(text) else None


def validate_count(name: str, count: int | None) -> None:
    """Check a page size; raises `BadUserInputError`."""
    if count is not None and not 1 <= count <= PAGE_MAX_ORDERS:
        raise BadUserInputError(f"{name} must be within 1–{PAGE_MAX_ORDERS}, not {count}.")


def text_errors(field: str, text: str, max_characters: int) -> list[OrderError]:
    """Return what is wrong with a text that was trimmed."""
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


def _range_errors(code: OrderErrorCode, field: str, number: int, most: int) -> list[OrderError]:
    if 1 <= number <= most:
        return []
    return [OrderError(code, f"{field} must be within 1–{most}, not {number}.", field)]
