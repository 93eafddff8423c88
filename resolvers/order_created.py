"""`orderCreated`: a cursor over the order log."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing

from db.order_log import OrderLog
from db.records import EntryKind, LogEntry, Order
from resolvers.context import Service
from resolvers.places import find_place
from resolvers.screens import Screens
from resolvers.validation import BadUserInputError, validate_count


class OrderFeed:
    """The orders after a place in the log, each once and in order, then those that are placed.

    Iterate over it for single orders, or over `pages` for as many at once as there are.
    """

    def __init__(self, log: OrderLog, after: int, screens: Screens) -> None:
        self._log = log
        self._screens = screens
        # Moves on when a page has been sent, so that a stuck screen is seen to be behind.
        self.place = after

    @staticmethod
    def value_of(entry: LogEntry) -> Order:
        """Return what an event is in the schema."""
        return entry.order

    async def pages(self) -> AsyncGenerator[Sequence[LogEntry]]:
        """Yield the creations of orders, some at once; never nothing."""
        self._screens.following.add(self)
        try:
            async with aclosing(self._log.follow(self.place)) as pages:
                async for page in pages:
                    if created := [e for e in page if e.kind == EntryKind.ORDER_CREATED]:
                        yield created
                        self._screens.deliveries += len(created)
                    self.place = page[-1].seq
        finally:
            self._screens.following.discard(self)

    async def __aiter__(self) -> AsyncIterator[Order]:
        async with aclosing(self.pages()) as pages:
            async for page in pages:
                for entry in page:
                    yield entry.order
                    # See `OrderLog.follow`: a page is a long time for the other tasks.
                    await asyncio.sleep(0)


async def follow_orders(service: Service, *, after: str | None, last: int | None) -> OrderFeed:
    """Begin to follow the orders.

    The place is settled before this returns, so an order that is placed once the subscription
    has been accepted is never missed. Raises `BadUserInputError`, `BadCursorError` and
    `CursorExpiredError`.
    """
    if after is not None and last is not None:
        raise BadUserInputError("after and last can't be given together.")
    validate_count("last", last)
    start = service.log.head.seq
    if after is not None:
        start = await find_place(service, "after", after, service.log.read_patiently)
    elif last is not None:
        start = await _before_newest(service, last)
    return OrderFeed(service.log, start, service.screens)


async def _before_newest(service: Service, count: int) -> int:
    """Return the place before the newest `count` orders. Ids have no gaps; log places may."""
    order_id = service.log.head.order_id - count
    return (await service.reader.seq_of(order_id) or 0) if order_id > 0 else 0
