"""The root fields: their arguments in GraphQL's words, handed on to the resolvers."""

import datetime
from collections.abc import AsyncIterable
from typing import Annotated

import strawberry

from db import records
from db.tokens import Role
from resolvers import (
    change_order,
    clock,
    create_order,
    open_orders,
    order_changed,
    order_created,
    orders,
)
from resolvers.context import Context
from resolvers.limits import PAGE_DEFAULT_ORDERS, PAGE_MAX_ORDERS
from resolvers.validation import given
from schema.inputs import (
    AddNoteInput,
    AdvanceItemsInput,
    CloseOrdersInput,
    CreateOrderInput,
    MoveOrderInput,
    RecallItemsInput,
    VoidItemsInput,
)
from schema.roles import allowed_to
from schema.types import (
    ChangeOrderPayload,
    CloseOrdersPayload,
    CreateOrderPayload,
    OpenOrderConnection,
    Order,
    OrderChange,
    OrderChangeEvent,
    OrderConnection,
)

Info = strawberry.Info[Context, None]

# Marks a query that has the same answer whenever it is asked at the same place in the log, so that
# one answer serves all who ask (`execution.shared.answers`).
OF_THE_LOG = "of_the_log"

_CURSOR_ERRORS = (
    "Errors: `BAD_CURSOR` (not a cursor), `CURSOR_EXPIRED` (of another order log, or of an entry "
    "that this one has lost: start anew without it), `BAD_USER_INPUT` (a limit)."
)
_PAGE_SIZE = f"1–{PAGE_MAX_ORDERS}"

First = Annotated[
    int | None,
    strawberry.argument(
        description=f"The page's size, {_PAGE_SIZE}, counted from the newest order "
        f"({PAGE_DEFAULT_ORDERS} if neither `first` nor `last` is given)."
    ),
]
After = Annotated[
    str | None, strawberry.argument(description="Only orders older than this cursor.")
]
Last = Annotated[
    int | None,
    strawberry.argument(
        description=f"The page's size, {_PAGE_SIZE}, counted from the oldest order. With "
        "`before`: the orders placed next after that cursor. Not together with `first`."
    ),
]
Before = Annotated[
    str | None, strawberry.argument(description="Only orders newer than this cursor.")
]
OfTable = Annotated[
    str | None, strawberry.argument(description="Only orders of this table, trimmed.")
]
FollowAfter = Annotated[
    str | None,
    strawberry.argument(
        description="Begin with every order after this cursor, then live: a screen coming back."
    ),
]
FollowLast = Annotated[
    int | None,
    strawberry.argument(
        description=f"Begin with the newest {_PAGE_SIZE} orders, the oldest of them first, then "
        "live: a screen being switched on. Not together with `after`."
    ),
]


FirstOpen = Annotated[
    int | None,
    strawberry.argument(
        description=f"The page's size, {_PAGE_SIZE} ({PAGE_DEFAULT_ORDERS} if not given)."
    ),
]
AfterOpen = Annotated[
    str | None, strawberry.argument(description="Only orders newer than this cursor.")
]
OfStation = Annotated[
    str | None,
    strawberry.argument(
        description="Only orders with a line of this station, or with one of no station: wholly."
    ),
]
ChangedAfter = Annotated[
    str | None,
    strawberry.argument(
        description="Begin with everything after this cursor, then live: `asOf` of the first page "
        "of `openOrders`, or the last event's, for a screen coming back."
    ),
]


async def _order(
    info: Info,
    id: Annotated[  # noqa: A002 - the API's name
        strawberry.ID, strawberry.argument(description='The order\'s id: "1", "2", …')
    ],
) -> records.Order | None:
    return await orders.get_order(info.context.service, id)


async def _orders(
    info: Info,
    first: First = strawberry.UNSET,
    after: After = strawberry.UNSET,
    last: Last = strawberry.UNSET,
    before: Before = strawberry.UNSET,
    table: OfTable = strawberry.UNSET,
) -> orders.OrderConnection:
    async with info.context.reading:
        return await orders.list_orders(
            info.context.service,
            first=given(first),
            after=given(after),
            last=given(last),
            before=given(before),
            table=given(table),
        )


async def _server_time(info: Info) -> datetime.datetime:
    return clock.server_time()


async def _create_order(
    info: Info,
    input: Annotated[  # noqa: A002 - the API's name
        CreateOrderInput, strawberry.argument(description="The order.")
    ],
) -> create_order.CreateOrderResult:
    return await create_order.create_order(
        info.context.service,
        input.table,
        input.items,
        given(input.idempotency_key),
        given(input.note),
        given(input.adds_to),
    )


# A coroutine that returns an iterable, so that a bad cursor fails before any event.
async def _order_created(
    info: Info, after: FollowAfter = strawberry.UNSET, last: FollowLast = strawberry.UNSET
) -> AsyncIterable[records.Order]:
    return await order_created.follow_orders(
        info.context.service, after=given(after), last=given(last)
    )


async def _open_orders(
    info: Info,
    first: FirstOpen = strawberry.UNSET,
    after: AfterOpen = strawberry.UNSET,
    station: OfStation = strawberry.UNSET,
) -> open_orders.OpenOrderConnection:
    async with info.context.reading:
        return await open_orders.list_open_orders(
            info.context.service, first=given(first), after=given(after), station=given(station)
        )


async def _order_history(
    info: Info,
    id: Annotated[strawberry.ID, strawberry.argument(description="The order's id.")],  # noqa: A002
) -> list[order_changed.OrderChange]:
    async with info.context.reading:
        return await order_changed.order_history(info.context.service, id)


async def _advance_items(
    info: Info,
    input: Annotated[  # noqa: A002
        AdvanceItemsInput, strawberry.argument(description="Which lines, and how far they are.")
    ],
) -> change_order.ChangeOrderResult:
    return await change_order.advance_items(
        info.context,
        input.order_id,
        given(input.lines),
        input.to,
        given(input.expected_version),
    )


async def _recall_items(
    info: Info,
    input: Annotated[  # noqa: A002
        RecallItemsInput, strawberry.argument(description="Which lines, and how far they are.")
    ],
) -> change_order.ChangeOrderResult:
    return await change_order.recall_items(
        info.context,
        input.order_id,
        given(input.lines),
        input.to,
        input.expected_version,
        given(input.reason),
    )


async def _void_items(
    info: Info,
    input: Annotated[  # noqa: A002
        VoidItemsInput, strawberry.argument(description="What is not wanted, and why.")
    ],
) -> change_order.ChangeOrderResult:
    return await change_order.void_items(
        info.context, input.order_id, given(input.lines), input.reason, input.expected_version
    )


async def _move_order(
    info: Info,
    input: Annotated[  # noqa: A002
        MoveOrderInput, strawberry.argument(description="Which order, and to which table.")
    ],
) -> change_order.ChangeOrderResult:
    return await change_order.move_order(
        info.context, input.order_id, input.table, input.expected_version
    )


async def _add_note(
    info: Info,
    input: Annotated[  # noqa: A002
        AddNoteInput, strawberry.argument(description="What to say, about which order.")
    ],
) -> change_order.ChangeOrderResult:
    return await change_order.add_note(info.context, input.order_id, given(input.line), input.text)


async def _close_orders(
    info: Info,
    input: Annotated[  # noqa: A002
        CloseOrdersInput, strawberry.argument(description="Which orders.")
    ],
) -> CloseOrdersPayload:
    closed = await change_order.close_orders(info.context, input.placed_before)
    return CloseOrdersPayload(closed=closed)


async def _order_changed(
    info: Info, after: ChangedAfter = strawberry.UNSET, station: OfStation = strawberry.UNSET
) -> AsyncIterable[order_changed.OrderChangeEvent]:
    return await order_changed.follow_changes(
        info.context, after=given(after), station=given(station)
    )


@strawberry.type(description="Reading orders.")
class Query:
    """The root of queries."""

    order = strawberry.field(
        resolver=_order,
        graphql_type=Order | None,
        metadata={**allowed_to(Role.FLOOR, Role.KITCHEN), OF_THE_LOG: True},
        description="One order; null if there is no such order.",
    )
    orders = strawberry.field(
        resolver=_orders,
        graphql_type=OrderConnection,
        metadata={**allowed_to(Role.FLOOR, Role.KITCHEN), OF_THE_LOG: True},
        description="Orders, newest first. An order placed while somebody pages makes none "
        f"appear twice or disappear. {_CURSOR_ERRORS}",
    )
    open_orders = strawberry.field(
        resolver=_open_orders,
        graphql_type=OpenOrderConnection,
        metadata={**allowed_to(Role.FLOOR, Role.KITCHEN), OF_THE_LOG: True},
        description="Orders that are not CLOSED, oldest first: what a screen starts with. Then "
        "follow `orderChanged(after: asOf)` and keep the higher version of each order: what "
        f"happens between two pages arrives there. {_CURSOR_ERRORS}",
    )
    order_history = strawberry.field(
        resolver=_order_history,
        graphql_type=list[OrderChange],
        metadata={**allowed_to(Role.FLOOR, Role.KITCHEN), OF_THE_LOG: True},
        description="Everything that happened to an order, oldest first; empty if there is no "
        "such order.",
    )
    server_time = strawberry.field(
        resolver=_server_time,
        graphql_type=datetime.datetime,
        metadata=allowed_to(Role.FLOOR, Role.KITCHEN),
        description="The time by the clock that sets `createdAt`: RFC 3339, UTC. A screen that "
        "compares it with its own clock once can show how old orders really are.",
    )


_CHANGE = (
    "It names what is to be so: if it is already, nothing is written and `changed` is false, so "
    "it may be repeated without a key. What is against it is data, with the order as it is. "
    "Errors: `OVERLOADED` and `UNAVAILABLE`: send it again then."
)


@strawberry.type(description="Placing orders, and what happens to them.")
class Mutation:
    """The root of mutations."""

    create_order = strawberry.mutation(
        resolver=_create_order,
        graphql_type=CreateOrderPayload,
        metadata=allowed_to(Role.FLOOR),
        description="Place an order. Answers when it is safely on disk; every screen gets it, "
        "whatever becomes of this request. Errors: `OVERLOADED` (too many orders are waiting) "
        "and `UNAVAILABLE` (the database can't be written, or the service is stopping): send the "
        "order again then, with its idempotency key.",
    )
    advance_items = strawberry.mutation(
        resolver=_advance_items,
        graphql_type=ChangeOrderPayload,
        metadata=allowed_to(Role.FLOOR, Role.KITCHEN),
        description="Move lines forward. The kitchen advances to STARTED, READY, SERVED and "
        f"CLEARED; the floor fires (QUEUED) and serves. {_CHANGE}",
    )
    recall_items = strawberry.mutation(
        resolver=_recall_items,
        graphql_type=ChangeOrderPayload,
        metadata=allowed_to(Role.FLOOR, Role.KITCHEN),
        description=f"Take lines back; the floor only from SERVED to READY. {_CHANGE}",
    )
    void_items = strawberry.mutation(
        resolver=_void_items,
        graphql_type=ChangeOrderPayload,
        metadata=allowed_to(Role.FLOOR),
        description="Cancel lines, wholly or in part. What the kitchen may have seen is VOIDED "
        "until it has taken note (CLEARED). The floor voids what is HELD or QUEUED, a manager "
        f"also what is STARTED or READY. {_CHANGE}",
    )
    move_order = strawberry.mutation(
        resolver=_move_order,
        graphql_type=ChangeOrderPayload,
        metadata=allowed_to(Role.FLOOR),
        description=f"Take an order to another table. {_CHANGE}",
    )
    add_note = strawberry.mutation(
        resolver=_add_note,
        graphql_type=ChangeOrderPayload,
        metadata=allowed_to(Role.FLOOR),
        description=f"Say something about an order; the same text again changes nothing. {_CHANGE}",
    )
    close_orders = strawberry.mutation(
        resolver=_close_orders,
        graphql_type=CloseOrdersPayload,
        metadata=allowed_to(),
        description="Close what is left from other days: what was held is cleared, everything "
        "else counts as served. Safe to repeat.",
    )


@strawberry.type(description="Following orders.")
class Subscription:
    """The root of subscriptions."""

    order_created = strawberry.subscription(
        resolver=_order_created,
        graphql_type=Order,
        metadata=allowed_to(Role.KITCHEN),
        description="Every order, exactly once and in the order in which they were placed. With "
        "neither argument: those placed from now on. To miss nothing, remember the `cursor` of "
        f"the last order and pass it to `after` when connecting again. {_CURSOR_ERRORS}",
    )
    order_changed = strawberry.subscription(
        resolver=_order_changed,
        graphql_type=OrderChangeEvent,
        metadata=allowed_to(Role.FLOOR, Role.KITCHEN),
        description="Everything that happens to orders, each change exactly once and in the order "
        "in which they were made. Without `after`: what happens from now on. An event without a "
        "change tells that there is nothing more for you up to its cursor: one comes when "
        "everything has been told that there was at the beginning, and before a ping if the order "
        f"log has moved. {_CURSOR_ERRORS}",
    )
