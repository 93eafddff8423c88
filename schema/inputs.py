"""The input types."""

import datetime

import strawberry

import schema.types  # noqa: F401 - makes an enum of the API of it
from db.records import ItemState
from resolvers.limits import (
    ALERT_MAX_CHARACTERS,
    COURSE_MAX,
    IDEMPOTENCY_KEY_MAX_CHARACTERS,
    ITEM_NAME_MAX_CHARACTERS,
    MODIFIER_MAX_CHARACTERS,
    MODIFIERS_MAX,
    NOTE_MAX_CHARACTERS,
    ORDER_MAX_ITEMS,
    QUANTITY_MAX,
    REASON_MAX_CHARACTERS,
    SEAT_MAX,
    STATION_MAX_CHARACTERS,
    TABLE_MAX_CHARACTERS,
)

_TEXT = "any Unicode but control characters and lone surrogates"


@strawberry.input(description="One line of an order.")
class OrderItemInput:
    """What to make, and how many."""

    name: str = strawberry.field(
        description=f"1–{ITEM_NAME_MAX_CHARACTERS} characters after trimming, {_TEXT}."
    )
    quantity: int = strawberry.field(description=f"1–{QUANTITY_MAX}.")
    modifiers: list[str] | None = strawberry.field(
        default=strawberry.UNSET,
        description=f"How it is wanted: at most {MODIFIERS_MAX} texts of 1–"
        f"{MODIFIER_MAX_CHARACTERS} characters, in the order given.",
    )
    alert: str | None = strawberry.field(
        default=strawberry.UNSET,
        description="What nobody may overlook, for example an allergy: 1–"
        f"{ALERT_MAX_CHARACTERS} characters.",
    )
    station: str | None = strawberry.field(
        default=strawberry.UNSET,
        description=f"Which station makes it: 1–{STATION_MAX_CHARACTERS} characters after "
        "trimming. A line without a station is shown at every one.",
    )
    course: int | None = strawberry.field(
        default=strawberry.UNSET, description=f"With which course it is served: 1–{COURSE_MAX}."
    )
    seat: int | None = strawberry.field(
        default=strawberry.UNSET, description=f"For whom it is: 1–{SEAT_MAX}."
    )
    hold: bool | None = strawberry.field(
        default=False, description="Whether it waits (HELD) until it is fired: advanced to QUEUED."
    )


@strawberry.input(description="An order to be placed.")
class CreateOrderInput:
    """What `createOrder` takes."""

    table: str = strawberry.field(
        description=f"1–{TABLE_MAX_CHARACTERS} characters after trimming, {_TEXT}."
    )
    items: list[OrderItemInput] = strawberry.field(description=f"1–{ORDER_MAX_ITEMS} items.")
    idempotency_key: str | None = strawberry.field(
        default=strawberry.UNSET,
        description=(
            f"1–{IDEMPOTENCY_KEY_MAX_CHARACTERS} characters, {_TEXT}; compared exactly. Sending "
            "the same order again with the same key returns the first order and writes nothing, "
            "so a client may retry safely; a different order with the key is refused."
        ),
    )
    note: str | None = strawberry.field(
        default=strawberry.UNSET,
        description=f"About the whole order: 1–{NOTE_MAX_CHARACTERS} characters.",
    )
    adds_to: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET,
        description="The order that this one adds to. What was ordered never changes, so more of "
        "it is a new order.",
    )


_ORDER_ID = "The order's id."
_LINES = "Which lines, from 1. Null: every line that it can apply to."
_EXPECTED_VERSION = (
    "The `version` that you have seen: with another one nothing is done (`CONFLICT`), unless it "
    "is so already."
)
_REASON = f"Why, for people: 1–{REASON_MAX_CHARACTERS} characters."


@strawberry.input(description="Lines that have come further.")
class AdvanceItemsInput:
    """What `advanceItems` takes."""

    order_id: strawberry.ID = strawberry.field(description=_ORDER_ID)
    lines: list[int] | None = strawberry.field(default=strawberry.UNSET, description=_LINES)
    to: ItemState = strawberry.field(
        description="QUEUED (fires what was held), STARTED, READY or SERVED, however many stages "
        "that is; or CLEARED, for what was voided and the kitchen has seen."
    )
    expected_version: int | None = strawberry.field(
        default=strawberry.UNSET, description=_EXPECTED_VERSION
    )


@strawberry.input(description="Lines that were not so far after all.")
class RecallItemsInput:
    """What `recallItems` takes."""

    order_id: strawberry.ID = strawberry.field(description=_ORDER_ID)
    lines: list[int] | None = strawberry.field(default=strawberry.UNSET, description=_LINES)
    to: ItemState = strawberry.field(description="QUEUED, STARTED or READY.")
    expected_version: int = strawberry.field(description=_EXPECTED_VERSION)
    reason: str | None = strawberry.field(default=strawberry.UNSET, description=_REASON)


@strawberry.input(description="A line that is not wanted any more, or not so many of it.")
class VoidLineInput:
    """See `VoidItemsInput`."""

    line: int = strawberry.field(description="Which line, from 1.")
    voided_quantity: int = strawberry.field(
        description="How many of it are voided altogether: at least as many as are already, at "
        "most its quantity."
    )


@strawberry.input(description="What is not wanted any more.")
class VoidItemsInput:
    """What `voidItems` takes."""

    order_id: strawberry.ID = strawberry.field(description=_ORDER_ID)
    lines: list[VoidLineInput] | None = strawberry.field(
        default=strawberry.UNSET,
        description="Which lines, and how many. Null: all of every line that can be voided.",
    )
    reason: str = strawberry.field(description=_REASON)
    expected_version: int = strawberry.field(description=_EXPECTED_VERSION)


@strawberry.input(description="Where an order's guests sit now.")
class MoveOrderInput:
    """What `moveOrder` takes."""

    order_id: strawberry.ID = strawberry.field(description=_ORDER_ID)
    table: str = strawberry.field(
        description=f"1–{TABLE_MAX_CHARACTERS} characters after trimming, {_TEXT}."
    )
    expected_version: int = strawberry.field(description=_EXPECTED_VERSION)


@strawberry.input(description="Something about an order that was not known when it was placed.")
class AddNoteInput:
    """What `addNote` takes."""

    order_id: strawberry.ID = strawberry.field(description=_ORDER_ID)
    line: int | None = strawberry.field(
        default=strawberry.UNSET, description="The line that it is about; null: the whole order."
    )
    text: str = strawberry.field(description=f"1–{NOTE_MAX_CHARACTERS} characters, {_TEXT}.")


@strawberry.input(description="Which orders to close.")
class CloseOrdersInput:
    """What `closeOrders` takes."""

    placed_before: datetime.datetime = strawberry.field(
        description="Those placed before this time, with its time zone."
    )
