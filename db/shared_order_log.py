"""The log of a database that other processes write too: nothing is answered from an old state.

Entries become visible in the order of their numbers, because whoever numbers them holds the log's
head until its commit. So what a snapshot shows after a place is all there is, without a gap.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from db.errors import Bistro92Error, UnavailableError
from db.order_log import OrderLog
from db.reader import OrderReader
from db.records import EntryKind, LogEntry, LogHead

_PAGE_ENTRIES = 500
_REPLACED = "The database was replaced under the running service, or lost what it had committed."


class SharedOrderLog(OrderLog):
    """The published part of a log with several writers, each in a process of its own."""

    is_shared = True

    def __init__(self, reader: OrderReader, head: LogHead, *, memory_max_entries: int) -> None:
        super().__init__(reader, head, memory_max_entries=memory_max_entries)
        self._checking: asyncio.Task[None] | None = None
        self._next_check: asyncio.Task[None] | None = None

    async def refresh(self) -> None:
        """Publish all that was committed before this call, by whichever process.

        Calls at the same time share one look at the database, one that begins after each of them.
        Raises `UnavailableError` or `OverloadedError` if the database can't be read.
        """
        if self._next_check is None:
            # The look that is under way may have read the head before this call.
            self._next_check = asyncio.create_task(
                self._check(self._checking), name="bistro92-log-check"
            )
            self._next_check.add_done_callback(_take_note)
        # Shielded: the one who asked first may leave, the others still wait.
        await asyncio.shield(self._next_check)

    async def publish(self, entries: Sequence[LogEntry], head: LogHead) -> None:
        """Publish entries that this process has committed, after those that come before them."""
        if entries[0].seq > self._head.seq + 1:
            # What can't be read now is published later, these included: they are in the log.
            with suppress(Bistro92Error):
                await self._read_up_to(entries[0].seq - 1)
        if entries[0].seq <= self._head.seq + 1:
            self._append_new(entries, head)

    async def close(self) -> None:
        """Stop looking. Nobody may ask any more."""
        tasks = {task for task in (self._checking, self._next_check) if task is not None}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _read_up_to(self, seq: int) -> None:
        if self._checking is not None and not self._checking.done():
            await asyncio.wait({self._checking})
        if self._head.seq < seq:
            await self.refresh()

    async def _check(self, previous: asyncio.Task[None] | None) -> None:
        if previous is not None and not previous.done():
            await asyncio.wait({previous})
        self._checking, self._next_check = asyncio.current_task(), None
        await self._catch_up()

    async def _catch_up(self) -> None:
        published = self._head
        head = await self._reader.head()
        is_ours = head.epoch == published.epoch and head.seq >= published.seq
        if not is_ours or (head.seq == published.seq and head != published):
            self._refuse_replaced(head)
        while self._head.seq < head.seq:
            await self._read_page(self._head, head)

    async def _read_page(self, published: LogHead, head: LogHead) -> None:
        """Publish what follows. It is read with the entry before it, which must be the one we have.

        A log that went back may be longer than ours again when we look, and still be another.
        """
        first = max(published.seq, 1)
        entries = await self._reader.entries(
            epoch=head.epoch, after=first - 1, up_to=head.seq, count=_PAGE_ENTRIES
        )
        seqs = [entry.seq for entry in entries]
        is_dense = seqs == list(range(first, first + len(seqs)))
        if not is_dense or not seqs or seqs[-1] == published.seq:
            raise UnavailableError("The order log has a gap.")
        if published.seq and entries[0].created_at_us != published.created_at_us:
            self._refuse_replaced(head)
        self._append_new(entries, self._head_at(entries, head))

    def _append_new(self, entries: Sequence[LogEntry], head: LogHead) -> None:
        """Append what has not been published meanwhile: the writer's own, or read from the log."""
        if new := entries[max(0, self._head.seq + 1 - entries[0].seq) :]:
            self.append(new, head)

    def _head_at(self, entries: Sequence[LogEntry], head: LogHead) -> LogHead:
        if entries[-1].seq == head.seq:
            return head
        # All of a page may be entries of other kinds.
        ids = [entry.order.id for entry in entries if entry.kind == EntryKind.ORDER_CREATED]
        order_id = max([self._head.order_id, *ids])
        return LogHead(head.epoch, entries[-1].seq, order_id, entries[-1].created_at_us)

    def _refuse_replaced(self, head: LogHead) -> NoReturn:
        self.end(f"{_REPLACED} Its log is at {head.seq}, ours at {self._head.seq}.")
        raise UnavailableError(_REPLACED)


def _take_note(check: asyncio.Task[None]) -> None:
    # Everybody who waited for it may have left: asyncio would complain of an unseen error.
    if not check.cancelled():
        check.exception()
