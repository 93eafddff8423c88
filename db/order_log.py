"""The order log: its newest entries in memory, all of them in the database.

The writer appends after each commit; everything else is a reader with a cursor. A reader that is
within the newest entries is served from memory, one that is not from the database, page by page,
by the same call: first connection, reconnect, slow screen and restart are one path.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from typing import ClassVar, Self

from db.cursor import encode_cursor
from db.errors import OverloadedError, UnavailableError
from db.reader import OrderReader
from db.records import EntryKind, LogEntry, LogHead, Order

logger = logging.getLogger("bistro92.log")

# A reader that is stuck in sending holds one page: this bounds the memory of a slow screen.
PAGE_ENTRIES = 50
_READ_RETRY_SECONDS = 1.0


class OrderLog:
    """The published part of the log. Not thread-safe: it belongs to the event loop."""

    # Whether other processes write to it too: `refresh` comes before an answer from memory then.
    is_shared: ClassVar[bool] = False

    def __init__(self, reader: OrderReader, head: LogHead, *, memory_max_entries: int) -> None:
        self._reader = reader
        self._head = head
        self._memory_max_entries = memory_max_entries
        self._newest: list[LogEntry] = []
        self._newest_order = encode_cursor(head.epoch, 0, 0)
        # Set for good when the database turns out to be another: this process is of no use.
        self.replaced = asyncio.Event()
        self.why_replaced = ""
        self._longer = asyncio.Event()

    @classmethod
    async def load(cls, reader: OrderReader, *, memory_max_entries: int) -> Self:
        """Open the log where the database left it, its newest entries in memory again."""
        head = await reader.head()
        log = cls(reader, head, memory_max_entries=memory_max_entries)
        log._newest = await reader.entries(
            epoch=head.epoch,
            after=max(0, head.seq - memory_max_entries),
            up_to=head.seq,
            count=memory_max_entries,
        )
        order = await reader.order(head.order_id, epoch=head.epoch, up_to=head.seq)
        if order is not None:
            log._newest_order = order.cursor
        return log

    @property
    def head(self) -> LogHead:
        """The newest published place: readers see everything up to it and nothing after."""
        return self._head

    @property
    def newest_order(self) -> str:
        """The cursor of the newest published order; before the first one, that of the beginning.

        Not that of the head if entries of other kinds follow.
        """
        return self._newest_order

    def append(self, entries: Sequence[LogEntry], head: LogHead) -> None:
        """Put committed entries at the end and wake every waiting reader, once."""
        if entries[0].seq != self._head.seq + 1 or entries[-1].seq != head.seq:
            raise ValueError(f"entries {entries[0].seq}… don't follow entry {self._head.seq}")
        self._newest.extend(entries)
        del self._newest[: -self._memory_max_entries]
        self._head = head
        for entry in reversed(entries):
            if entry.kind == EntryKind.ORDER_CREATED:
                self._newest_order = entry.order.cursor
                break
        longer, self._longer = self._longer, asyncio.Event()
        longer.set()

    async def publish(self, entries: Sequence[LogEntry], head: LogHead) -> None:
        """Publish what this process has committed. For the writer only."""
        self.append(entries, head)

    def end(self, reason: str) -> None:
        """Tell, once, that the database is not the one that this log was read from."""
        if not self.replaced.is_set():
            logger.critical("%s", reason)
            self.why_replaced = reason
            self.replaced.set()

    async def refresh(self) -> None:
        """Publish all that was committed before this call: it is, if only this process commits."""

    async def read(self, after: int, count: int = PAGE_ENTRIES) -> list[LogEntry]:
        """Return up to `count` entries after a place, in order; none if there are none yet.

        Raises `UnavailableError` or `OverloadedError` if they are no longer in memory and the
        database can't be read.
        """
        if after >= self._head.seq:
            return []
        start = after - (self._head.seq - len(self._newest))
        if start >= 0:
            return self._newest[start : start + count]
        return await self._reader.entries(
            epoch=self._head.epoch, after=after, up_to=self._head.seq, count=count
        )

    def in_memory(self, after: int) -> list[LogEntry] | None:
        """Return every entry after a place; None if some are not in memory."""
        start = after - (self._head.seq - len(self._newest))
        return self._newest[start:] if start >= 0 else None

    def newest_orders(self, *, newer_than: int, count: int) -> list[Order] | None:
        """Return up to `count` orders after a place, newest first; None if memory lacks some.

        Each as it is now: what has changed it since is in memory too.
        """
        orders: list[Order] = []
        now: dict[int, Order] = {}
        for entry in reversed(self._newest):
            if entry.seq <= newer_than or len(orders) == count:
                return orders
            order = now.setdefault(entry.order.id, entry.order)
            if entry.kind == EntryKind.ORDER_CREATED:
                orders.append(order)
        reaches_back = self._head.seq - len(self._newest) <= newer_than
        return orders if reaches_back or len(orders) == count else None

    async def wait_beyond(self, seq: int) -> None:
        """Wait until the log has an entry after this place."""
        while self._head.seq <= seq:
            await self._longer.wait()

    async def follow(self, after: int) -> AsyncGenerator[list[LogEntry]]:
        """Yield every entry after a place, each once and in order, then live, without end.

        The entries come in pages, as many at once as there are; a page is all that is held. While
        the database can't be read it waits: an error here would end a screen's subscription for
        what is a pause.
        """
        while True:
            if page := await self.read_patiently(after):
                yield page
                after = page[-1].seq
                # A long replay to a fast socket would otherwise never let another task run.
                await asyncio.sleep(0)
            else:
                await self.wait_beyond(after)

    async def read_patiently(self, after: int, count: int = PAGE_ENTRIES) -> list[LogEntry]:
        """Read as `read` does, and wait while the database can't be read."""
        while True:
            try:
                return await self.read(after, count)
            except (UnavailableError, OverloadedError) as error:
                logger.warning("a reader waits at entry %d: %s", after, error)
                await asyncio.sleep(_READ_RETRY_SECONDS)
