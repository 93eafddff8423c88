"""The object types. They are declarations: resolvers answer with records of the same fields.

There is no way back from an item to its order: a cycle would let a short query cost gigabytes.
"""

import datetime

import strawberry

from resolvers.limits import (
    ITEM_NAME_MAX_CHARACTERS,
    ORDER_MAX_ITEMS,
    QUANTITY_MAX,
    TABLE_MAX_CHARACTERS,
)
from resolvers.validation import OrderErrorCode


@strawberry.type(description="One line of an order.")
class OrderItem:
    """See `db.records.OrderItem`."""

    name: str = strawberry.field(
        description=f"What was ordered: 1–{ITEM_NAME_MAX_CHARACTERS} characters."
    )
    quantity: int = strawberry.field(description=f"How many: 1–{QUANTITY_MAX}.")


@strawberry.type(description="An order, safely on disk. It never changes.")
class Order:
    """See `db.records.Order`."""

    id: strawberry.ID = strawberry.field(
        description='"1", "2", "3" …: in the order in which orders were placed, without gaps.'
    )
    table: str = strawberry.field(
        description=f"The table that ordered: 1–{TABLE_MAX_CHARACTERS} characters."
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


@strawberry.type(description="Where a page stands in its list.")
class PageInfo:
    """See `resolvers.orders.PageInfo`."""

    has_next_page: bool = strawberry.field(description="Whether older orders follow this page.")
    has_previous_page: bool = strawberry.field(
        description="Whether newer orders precede this page."
    )
    start_cursor: str | None = strawberry.field(
        description="The cursor of the page's first (newest) order; null if the page is empty."
    )
    end_cursor: str | None = strawberry.field(
        description="The cursor of the page's last (oldest) order; null if the page is empty."
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
