"""Give the orders of one batch their numbers, before anything is written."""

from collections.abc import Mapping
from typing import Any

from db.cursor import encode_cursor
from db.errors import IdempotencyKeyReusedError
from db.records import EntryKind, LogEntry, LogHead, NewOrder, Order, to_datetime


class Batch:
    """The orders of one transaction, numbered on from the log's head.

    `keyed` holds the stored orders of the batch's idempotency keys; orders created in the batch
    join it, so that a key used twice in one batch is one order as well.
    """

    def __init__(self, head: LogHead, keyed: Mapping[str, Order], *, created_at_us: int) -> None:
        self.head = head
        self.entries: list[LogEntry] = []
        self._keyed = dict(keyed)
        self._keys: list[str | None] = []
        self._created_at_us = created_at_us
        self._created_at = to_datetime(created_at_us)

    def number(self, new: NewOrder) -> Order | IdempotencyKeyReusedError:
        """Give a new order its numbers, or return the one that its key already has."""
        key = new.idempotency_key
        if key is None or key not in self._keyed:
            order = self._create(new)
            if key is not None:
                self._keyed[key] = order
            return order
        first = self._keyed[key]
        if first.has_content_of(new):
            return first
        return IdempotencyKeyReusedError(
            f"This idempotency key already belongs to a different order (id {first.id})."
        )

    def _create(self, new: NewOrder) -> Order:
        epoch, seq, order_id = self.head.epoch, self.head.seq + 1, self.head.order_id + 1
        cursor = encode_cursor(epoch, seq, self._created_at_us)
        order = Order(order_id, seq, new.table, new.items, self._created_at, cursor)
        self.head = LogHead(epoch, seq, order_id, self._created_at_us)
        self.entries.append(LogEntry(seq, EntryKind.ORDER_CREATED, order, self._created_at_us))
        self._keys.append(new.idempotency_key)
        return order

    def order_rows(self) -> list[tuple[Any, ...]]:
        """Rows for the table of orders, in the order of its columns."""
        at = self._created_at_us
        return [
            (entry.order.id, entry.seq, entry.order.table, at, key)
            for entry, key in zip(self.entries, self._keys, strict=True)
        ]

    def item_rows(self) -> list[tuple[Any, ...]]:
        """Rows for the table of items, in the order of its columns."""
        return [
            (entry.order.id, position, item.name, item.quantity)
            for entry in self.entries
            for position, item in enumerate(entry.order.items)
        ]

    def entry_rows(self) -> list[tuple[Any, ...]]:
        """Rows for the log, in the order of its columns."""
        return [(e.seq, str(e.kind), e.order.id, e.created_at_us) for e in self.entries]
