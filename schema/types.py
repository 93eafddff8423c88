"""The object types. They are declarations: resolvers answer with records of the same fields.

There is no way back from an item to its order: a cycle would let a short query cost gigabytes.
"""

import datetime
from enum import Enum

import strawberry

from db import records
from resolvers import change_order, order_changed
from resolvers.limits import (
    ITEM_NAME_MAX_CHARACTERS,
    ORDER_MAX_ITEMS,
    QUANTITY_MAX,
    TABLE_MAX_CHARACTERS,
)
from resolvers.validation import OrderErrorCode


def _enum(kind: type[Enum], description: str, **values: str) -> None:
    """Make an enum of the API of one of `db`'s, which knows no GraphQL."""
    strawberry.enum(kind, description=description)
    for value in kind.__strawberry_definition__.values:  # type: ignore[attr-defined]
        value.description = values[value.name]


_enum(
    records.ItemState,
    "How far a line is.",
    HELD="It waits until it is fired.",
    QUEUED="The kitchen is to make it.",
    STARTED="The kitchen is making it.",
    READY="It can be served.",
    SERVED="It was served.",
    VOIDED="It was cancelled, and the kitchen has yet to take note.",
    CLEARED="It was cancelled, and nobody has to know any more.",
)
_enum(
    records.OrderState,
    "How far an order is. It follows from its lines: the first of CLOSED, HELD, VOIDED, READY, "
    "QUEUED and STARTED that fits.",
    HELD="All lines that remain are HELD.",
    QUEUED="All lines but those HELD or VOIDED are QUEUED, and none was served.",
    STARTED="Some lines are further than others.",
    READY="All lines but those HELD, VOIDED or served are READY.",
    VOIDED="All lines that remain are VOIDED.",
    CLOSED="All lines are SERVED or CLEARED.",
)


@strawberry.type(description="One line of an order.")
class OrderItem:
    """See `db.records.OrderItem`."""

    name: str = strawberry.field(
        description=f"What was ordered: 1–{ITEM_NAME_MAX_CHARACTERS} characters."
    )
    quantity: int = strawberry.field(description=f"How many: 1–{QUANTITY_MAX}.")
    line: int = strawberry.field(description="Its number in the order, from 1.")
    modifiers: list[str] = strawberry.field(description="How it is wanted.")
    alert: str | None = strawberry.field(description="What nobody may overlook.")
    station: str | None = strawberry.field(
        description="Which station makes it; null: it is shown at every one."
    )
    course: int | None = strawberry.field(description="With which course it is served.")
    seat: int | None = strawberry.field(description="For whom it is.")
    state: records.ItemState = strawberry.field(description="How far it is.")
    voided_quantity: int = strawberry.field(description="How many of the quantity were voided.")
    recalls: int = strawberry.field(description="How often it was taken back.")
    queued_at: datetime.datetime | None = strawberry.field(
        description="Since when it waits for the kitchen: placed, or fired if it was held."
    )
    started_at: datetime.datetime | None = strawberry.field(
        description="When it was started; null if that was not said."
    )
    ready_at: datetime.datetime | None = strawberry.field(
        description="When it was ready; null if that was not said."
    )
    served_at: datetime.datetime | None = strawberry.field(description="When it was served.")


@strawberry.type(description="Something about an order that was said after it was placed.")
class OrderNote:
    """See `db.records.OrderNote`."""

    line: int | None = strawberry.field(
        description="The line that it is about; null: the whole order."
    )
    text: str = strawberry.field(description="What was said.")
    at: datetime.datetime = strawberry.field(description="When: RFC 3339, UTC.")


@strawberry.type(
    description="An order, safely on disk, at one version. What was ordered never changes; its "
    "state, its table and its notes do, and with each change its version."
)
class Order:
    """See `db.records.Order`."""

    id: strawberry.ID = strawberry.field(
        description='"1", "2", "3" …: in the order in which orders were placed, without gaps.'
    )
    table: str = strawberry.field(
        description=f"Where its guests sit: 1–{TABLE_MAX_CHARACTERS} characters."
    )
    items: list[OrderItem] = strawberry.field(
        description=f"1–{ORDER_MAX_ITEMS} items, in the order given."
    )
    created_at: datetime.datetime = strawberry.field(
        description="When the order was stored: RFC 3339, UTC."
    )
    cursor: str = strawberry.field(
        description="The order's place in the order log. Opaque: pass it to `after` or `before`."
    )
    note: str | None = strawberry.field(description="About the whole order.")
    adds_to: strawberry.ID | None = strawberry.field(description="The order that this one adds to.")
    version: int = strawberry.field(
        description="1 as it was placed, and one more with each change. Of two that you have "
        "received, the higher one is how the order is."
    )
    state: records.OrderState = strawberry.field(description="How far it is.")
    notes: list[OrderNote] = strawberry.field(description="What was said since, oldest first.")


@strawberry.type(description="Where a page stands in its list.")
class PageInfo:
    """See `resolvers.orders.PageInfo`."""

    has_next_page: bool = strawberry.field(description="Whether more orders follow this page.")
    has_previous_page: bool = strawberry.field(description="Whether orders precede this page.")
    start_cursor: str | None = strawberry.field(
        description="The cursor of the page's first order; null if the page is empty."
    )
    end_cursor: str | None = strawberry.field(
        description="The cursor of the page's last order; null if the page is empty."
    )


@strawberry.type(description="An order in a page.")
class OrderEdge:
    """See `resolvers.orders.OrderEdge`."""

    node: Order = strawberry.field(description="The order.")
    cursor: str = strawberry.field(description="The same as the order's own cursor.")


@strawberry.type(description="A page of orders, newest first.")
class OrderConnection:
    """See `resolvers.orders.OrderConnection`."""

    nodes: list[Order] = strawberry.field(description="The page's orders, newest first.")
    edges: list[OrderEdge] = strawberry.field(
        description="The same orders in the form of Relay's connections."
    )
    page_info: PageInfo = strawberry.field(description="Where the page stands in the list.")


@strawberry.type(description="One thing that is wrong with an order.")
class OrderError:
    """See `resolvers.validation.OrderError`."""

    code: strawberry.enum(  # type: ignore[valid-type]
        OrderErrorCode, description="Why an order was not stored."
    ) = strawberry.field(description="What is wrong, for programs.")
    message: str = strawberry.field(
        description="What is wrong, for people: names the field and its limit."
    )
    field: str | None = strawberry.field(
        description="The path of the field within the input, for example `items.2.quantity`."
    )


@strawberry.type(description="The result of `createOrder`.")
class CreateOrderPayload:
    """See `resolvers.create_order.CreateOrderResult`."""

    order: Order | None = strawberry.field(
        description="The stored order; null exactly if there are errors."
    )
    errors: list[OrderError] = strawberry.field(
        description="Everything that is wrong with the input; empty if the order is stored."
    )


@strawberry.type(description="A page of open orders, oldest first.")
class OpenOrderConnection:
    """See `resolvers.open_orders.OpenOrderConnection`."""

    as_of: str = strawberry.field(
        description="The place of the order log that this page is of: each order is as of then, "
        "or later. Pass the first page's to `orderChanged(after:)` to miss nothing."
    )
    nodes: list[Order] = strawberry.field(description="The page's orders, oldest first.")
    edges: list[OrderEdge] = strawberry.field(
        description="The same orders in the form of Relay's connections."
    )
    page_info: PageInfo = strawberry.field(description="Where the page stands in the list.")


@strawberry.type(description="One thing that happened to an order.")
class OrderChange:
    """See `resolvers.order_changed.OrderChange`."""

    kind: strawberry.enum(  # type: ignore[valid-type]
        order_changed.ChangeKind, description="What happened to an order."
    ) = strawberry.field(description="What happened.")
    lines: list[int] = strawberry.field(
        description="The lines that it was about, from 1; none if it was about the whole order."
    )
    at: datetime.datetime = strawberry.field(description="When: RFC 3339, UTC.")
    by: str | None = strawberry.field(
        description="The name of the token that did it; null if none was needed, or if it placed "
        "the order."
    )
    reason: str | None = strawberry.field(description="Why, if that was said.")
    order: Order = strawberry.field(description="The order after this change.")


@strawberry.type(description="What a screen is sent.")
class OrderChangeEvent:
    """See `resolvers.order_changed.OrderChangeEvent`."""

    cursor: str = strawberry.field(
        description="The place of the order log that the screen has come to: for `after`, when it "
        "comes back. If it is that of the last ping's `head`, nothing is missing."
    )
    change: OrderChange | None = strawberry.field(
        description="What happened; null: there is nothing for you up to this cursor."
    )


@strawberry.type(description="Why an order was not changed.")
class ChangeError:
    """See `resolvers.change_order.ChangeError`."""

    code: strawberry.enum(  # type: ignore[valid-type]
        change_order.ChangeErrorCode, description="Why an order was not changed."
    ) = strawberry.field(description="What is wrong, for programs.")
    message: str = strawberry.field(description="What is wrong, for people.")
    field: str | None = strawberry.field(
        description="The path of the field within the input, for example `lines.2`."
    )


@strawberry.type(description="The result of a change.")
class ChangeOrderPayload:
    """See `resolvers.change_order.ChangeOrderResult`."""

    order: Order | None = strawberry.field(
        description="The order as it is now, also if there are errors; null if there is none."
    )
    changed: bool = strawberry.field(
        description="Whether this request changed it. False if it was so already."
    )
    errors: list[ChangeError] = strawberry.field(
        description="What was against it: nothing was done then."
    )


@strawberry.type(description="The result of `closeOrders`.")
class CloseOrdersPayload:
    """How many orders this request closed."""

    closed: int = strawberry.field(description="How many orders this request closed.")
