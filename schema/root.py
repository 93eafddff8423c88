"""The root fields: their arguments in GraphQL's words, handed on to the resolvers."""

import datetime
from collections.abc import AsyncIterable
from typing import Annotated, TypeVar

import strawberry
from strawberry.types.unset import UnsetType

from db import records
from db.tokens import Role
from resolvers import clock, create_order, order_created, orders
from resolvers.context import Context
from resolvers.limits import PAGE_DEFAULT_ORDERS, PAGE_MAX_ORDERS
from schema.inputs import CreateOrderInput
from schema.roles import allowed_to
from schema.types import CreateOrderPayload, Order, OrderConnection

T = TypeVar("T")
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


def _given(value: T | None) -> T | None:
    """Treat an argument that is absent like one that is null."""
    return None if isinstance(value, UnsetType) else value


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
            first=_given(first),
            after=_given(after),
            last=_given(last),
            before=_given(before),
            table=_given(table),
        )


async def _server_time(info: Info) -> datetime.datetime:
    return clock.server_time()


async def _create_order(
    info: Info,
    input: Annotated[  # noqa: A002 - the API's name
        CreateOrderInput, strawberry.argument(description="The order.")
    ],
) -> create_order.CreateOrderResult:
    key = _given(input.idempotency_key)
    return await create_order.create_order(info.context.service, input.table, input.items, key)


# A coroutine that returns an iterable, so that a bad cursor fails before any event.
async def _order_created(
    info: Info, after: FollowAfter = strawberry.UNSET, last: FollowLast = strawberry.UNSET
) -> AsyncIterable[records.Order]:
    return await order_created.follow_orders(
        info.context.service, after=_given(after), last=_given(last)
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
    server_time = strawberry.field(
        resolver=_server_time,
        graphql_type=datetime.datetime,
        metadata=allowed_to(Role.FLOOR, Role.KITCHEN),
        description="The time by the clock that sets `createdAt`: RFC 3339, UTC. A screen that "
        "compares it with its own clock once can show how old orders really are.",
    )


@strawberry.type(description="Placing orders.")
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
