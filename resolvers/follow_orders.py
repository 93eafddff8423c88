"""`orderCreated`: a cursor over the order log."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from db.cursor import place_of
from db.log import OrderLog
from db.records import EntryKind, Order
from resolvers.context import Service
from resolvers.validation import BadUserInputError, validate_count


async def follow_orders(
    service: Service, *, after: str | None, last: int | None
) -> AsyncGenerator[Order]:
    """Return the orders after a place, each once and in order, then those that are placed.

    The place is settled before this returns, so an order that is placed once the subscription
    has been accepted is never missed. Raises `BadUserInputError`, `BadCursorError` and
    `CursorExpiredError` before any order.
    """
    if after is not None and last is not None:
        raise BadUserInputError("after and last can't be given together.")
    validate_count("last", last)
    start = service.log.head.seq
    if after is not None:
        start = place_of("after", after, service.log.head)
    elif last is not None:
        start = await _before_newest(service, last)
    return _created_orders(service.log, start)


async def _before_newest(service: Service, count: int) -> int:
    """Return the place before the newest `count` orders. Ids have no gaps; log places may."""
    order_id = service.log.head.order_id - count
    return (await service.reader.seq_of(order_id) or 0) if order_id > 0 else 0


async def _created_orders(log: OrderLog, after: int) -> AsyncGenerator[Order]:
    async with aclosing(log.follow(after)) as entries:
        async for entry in entries:
            if entry.kind == EntryKind.ORDER_CREATED:
                yield entry.order
