"""`orderChanged` and `orderHistory`: what happened to orders, read from the order log."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from datetime import datetime
from enum import Enum
from typing import NamedTuple

import strawberry

from db.cursor import encode_cursor
from db.order_log import OrderLog
from db.records import EntryKind, LogEntry, Order, to_datetime
from resolvers.context import Context, Service
from resolvers.places import find_place
from resolvers.screens import Screens
from resolvers.validation import order_id_of, validate_station


class ChangeKind(Enum):
    """What happened to an order."""

    CREATED = strawberry.enum_value("CREATED", description="It was placed.")
    ADVANCED = strawberry.enum_value(
        "ADVANCED", description="Lines moved forward: fired, started, ready, served, cleared."
    )
    RECALLED = strawberry.enum_value("RECALLED", description="Lines were taken back.")
    VOIDED = strawberry.enum_value("VOIDED", description="Lines were cancelled, or some of them.")
    MOVED = strawberry.enum_value("MOVED", description="It went to another table.")
    NOTED = strawberry.enum_value("NOTED", description="Something was said about it.")


_KINDS: dict[str, ChangeKind] = {
    EntryKind.ORDER_CREATED: ChangeKind.CREATED,
    EntryKind.ITEMS_ADVANCED: ChangeKind.ADVANCED,
    EntryKind.ITEMS_RECALLED: ChangeKind.RECALLED,
    EntryKind.ITEMS_VOIDED: ChangeKind.VOIDED,
    EntryKind.ORDER_MOVED: ChangeKind.MOVED,
    EntryKind.NOTE_ADDED: ChangeKind.NOTED,
}


class OrderChange(NamedTuple):
    """One thing that happened, and the order after it."""

    kind: ChangeKind
    lines: Sequence[int]
    at: datetime
    by: str | None
    reason: str | None
    order: Order


class OrderChangeEvent(NamedTuple):
    """What a screen is sent: a change, or that there is nothing for it up to this place."""

    cursor: str
    change: OrderChange | None


class Progress(NamedTuple):
    """That there is nothing more for a screen up to a place.

    `seq` is negative: the entry at that place may have an event of its own.
    """

    seq: int
    cursor: str


def change_of(entry: LogEntry) -> OrderChange:
    """Return what an entry of a known kind tells."""
    order = entry.order
    lines = entry.lines
    if entry.kind == EntryKind.ORDER_CREATED:
        lines = tuple(range(1, len(order.items) + 1))
    at = to_datetime(entry.created_at_us)
    return OrderChange(_KINDS[entry.kind], lines, at, entry.by.name, entry.reason, order)


class ChangeFeed:
    """The changes after a place in the log that are a station's, then those that are made.

    When everything is told that there was at the beginning, a progress event says so. Iterate over
    it for single events, or over `pages` for as many at once as there are.
    """

    def __init__(self, log: OrderLog, after: int, station: str | None, screens: Screens) -> None:
        self._log = log
        self._station = station
        self._screens = screens
        self._begun_at = log.head.seq
        # The place that the screen knows of, and whether it waits for more.
        self._told = -1
        self._waits = False
        # Moves on when a page has been sent, so that a stuck screen is seen to be behind.
        self.place = after

    def value_of(self, event: LogEntry | Progress) -> OrderChangeEvent:
        """Return what an event is in the schema."""
        if isinstance(event, Progress):
            return OrderChangeEvent(event.cursor, None)
        return OrderChangeEvent(self._cursor(event.seq, event.created_at_us), change_of(event))

    def _cursor(self, seq: int, created_at_us: int) -> str:
        return encode_cursor(self._log.head.epoch, seq, created_at_us)

    async def pages(self) -> AsyncGenerator[Sequence[LogEntry | Progress]]:
        """Yield events, some at once; never nothing."""
        self._screens.following.add(self)
        try:
            if self.place >= self._begun_at:
                yield [self._progress()]
            while True:
                if not (page := await self._log.read_patiently(self.place)):
                    await self._wait()
                    continue
                if events := self._events(page):
                    self._told = abs(events[-1].seq)
                    yield events
                    self._screens.deliveries += len(events)
                self.place = page[-1].seq
                # See `OrderLog.follow`: a long replay would otherwise hold up everybody.
                await asyncio.sleep(0)
        finally:
            self._screens.following.discard(self)

    async def _wait(self) -> None:
        self._waits = True
        try:
            await self._log.wait_beyond(self.place)
        finally:
            self._waits = False

    def _events(self, page: Sequence[LogEntry]) -> list[LogEntry | Progress]:
        events: list[LogEntry | Progress] = [entry for entry in page if self._is_for_us(entry)]
        if self.place < self._begun_at <= page[-1].seq:
            last = page[-1]
            events.append(Progress(-last.seq, self._cursor(last.seq, last.created_at_us)))
        return events

    def _is_for_us(self, entry: LogEntry) -> bool:
        if entry.kind not in _KINDS:
            return False
        station = self._station
        # A line without a station is everybody's: food without a route must be seen.
        return station is None or any(item.station in (None, station) for item in entry.order.items)

    def _progress(self) -> Progress:
        head = self._log.head
        self._told = head.seq
        return Progress(-head.seq, self._cursor(head.seq, head.created_at_us))

    def progress(self) -> Progress | None:
        """Return what to tell a screen that waits, if the log has moved and nothing is for it.

        Its last cursor is that of the log's head then, whatever it follows.
        """
        if not self._waits or self._told >= self._log.head.seq:
            return None
        newer = self._log.in_memory(self.place)
        if newer is None or any(map(self._is_for_us, newer)):
            return None
        return self._progress()

    async def __aiter__(self) -> AsyncIterator[OrderChangeEvent]:
        async with aclosing(self.pages()) as pages:
            async for page in pages:
                for event in page:
                    yield self.value_of(event)
                    await asyncio.sleep(0)


async def follow_changes(context: Context, *, after: str | None, station: str | None) -> ChangeFeed:
    """Begin to follow what happens to orders.

    The place is settled before this returns: a change that is made once the subscription has been
    accepted is never missed. Raises `BadUserInputError`, `BadCursorError`, `CursorExpiredError`.
    """
    service = context.service
    station = validate_station(station)
    start = service.log.head.seq
    if after is not None:
        start = await find_place(service, "after", after, service.log.read_patiently)
    feed = ChangeFeed(service.log, start, station, service.screens)
    context.feeds.append(feed)
    return feed


async def order_history(service: Service, order_id: str) -> list[OrderChange]:
    """Return everything that happened to an order, oldest first; nothing if there is no such."""
    known_id = order_id_of(order_id)
    if known_id is None:
        return []
    await service.log.refresh()
    head = service.log.head
    entries = await service.reader.history(known_id, epoch=head.epoch, up_to=head.seq)
    return [change_of(entry) for entry in entries if entry.kind in _KINDS]
