"""Give the orders and changes of one batch their numbers, before anything is written."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from db.cursor import encode_cursor
from db.errors import IdempotencyKeyReusedError
from db.lifecycle.changes import Change, Outcome, Refusal, RefusalCode
from db.lifecycle.machine import decide
from db.lifecycle.texts import encode_detail, encode_state, placed_items, placed_state
from db.records import (
    EntryKind,
    LogEntry,
    LogHead,
    NewOrder,
    Order,
    OrderItem,
    OrderState,
    to_datetime,
)
from db.store import Request, Result

Row = tuple[Any, ...]
# What the content of a line is beyond its name and quantity, if it is nothing more.
PLAIN_CONTENT = ((), None, None, None, None, False)


class Batch:
    """The requests of one transaction, numbered on from the log's head, each seeing those before.

    `keyed` holds the stored orders of the batch's idempotency keys, `stored` the orders that its
    changes are about. Orders created in the batch join both, so that a key used twice in one batch
    is one order as well.
    """

    def __init__(
        self,
        head: LogHead,
        keyed: Mapping[str, Order],
        stored: Mapping[int, Order],
        *,
        created_at_us: int,
    ) -> None:
        self.head = head
        self.entries: list[LogEntry] = []
        self._keyed = {key: order.id for key, order in keyed.items()}
        self._orders = {**{order.id: order for order in keyed.values()}, **stored}
        self._created: list[tuple[Order, str | None]] = []
        # By id: the order after the last change, and the entry that closed it first.
        self._changed: dict[int, tuple[Order, int]] = {}
        self._at_us = created_at_us
        self._at = to_datetime(created_at_us)

    def decide(self, request: Request) -> Result:
        """Return what a request comes to; it is in the batch then, if it has to be written."""
        return self.number(request) if isinstance(request, NewOrder) else self.change(request)

    def number(self, new: NewOrder) -> Order | IdempotencyKeyReusedError:
        """Give a new order its numbers, or return the one that its key already has."""
        key = new.idempotency_key
        if key is None or key not in self._keyed:
            order = self._create(new)
            if key is not None:
                self._keyed[key] = order.id
            return order
        first = self._orders[self._keyed[key]]
        if first.has_content_of(new):
            return first
        return IdempotencyKeyReusedError(
            f"This idempotency key already belongs to a different order (id {first.id})."
        )

    def _create(self, new: NewOrder) -> Order:
        epoch, seq, order_id = self.head.epoch, self.head.seq + 1, self.head.order_id + 1
        items = placed_items(new.items, self._at)
        order = Order(
            order_id,
            seq,
            new.table,
            items,
            self._at,
            encode_cursor(epoch, seq, self._at_us),
            new.note,
            new.adds_to,
            1,
            placed_state(items),
        )
        self.head = LogHead(epoch, seq, order_id, self._at_us)
        self.entries.append(LogEntry(seq, EntryKind.ORDER_CREATED, order, self._at_us))
        self._created.append((order, new.idempotency_key))
        self._orders[order_id] = order
        return order

    def change(self, change: Change) -> Outcome:
        """Return what a change comes to."""
        order = self._orders.get(change.order_id)
        if order is None:
            message = f"There is no order {change.order_id}."
            return Outcome(None, False, Refusal(RefusalCode.ORDER_NOT_FOUND, message, "orderId"))
        decided = decide(order, change, self._at)
        if decided is None:
            return Outcome(order)
        if isinstance(decided, Refusal):
            return Outcome(order, False, decided)
        seq = self.head.seq + 1
        self.head = LogHead(self.head.epoch, seq, self.head.order_id, self._at_us)
        self.entries.append(
            LogEntry(
                seq,
                decided.kind,
                decided.order,
                self._at_us,
                decided.lines,
                change.by,
                decided.reason,
            )
        )
        self._note_changed(order, decided.order, seq)
        return Outcome(decided.order, True)

    def _note_changed(self, before: Order, after: Order, seq: int) -> None:
        closed_seq = seq
        if before.id in self._changed and before.state is OrderState.CLOSED:
            closed_seq = self._changed[before.id][1]
        self._orders[after.id] = after
        self._changed[after.id] = after, closed_seq

    def order_rows(self) -> list[Row]:
        """Rows for the table of orders, in the order of its columns; what is rare at their ends."""
        at = self._at_us
        return [
            (order.id, order.seq, order.table, at, key)
            if order.note is None and order.adds_to is None
            else (order.id, order.seq, order.table, at, key, order.note, order.adds_to)
            for order, key in self._created
        ]

    def item_rows(self) -> list[Row]:
        """Rows for the table of items, in the order of its columns; what is rare at their ends."""
        return [
            (order.id, position, *item_values(item))
            for order, _ in self._created
            for position, item in enumerate(order.items)
        ]

    def entry_rows(self) -> list[Row]:
        """Rows for the log, in the order of its columns; those of changes are longer."""
        return [_entry_row(entry) for entry in self.entries]

    def state_rows(self) -> list[Row]:
        """Rows of id, version, state, and the closing entry (None: open), for what has changed."""
        return [
            (
                order.id,
                order.version,
                encode_state(order),
                closed_seq if order.state is OrderState.CLOSED else None,
            )
            for order, closed_seq in self._changed.values()
        ]

    def moved_rows(self) -> list[Row]:
        """Rows of id, table, and the table where it was placed, for what has been moved."""
        moved = {e.order.id for e in self.entries if e.kind == EntryKind.ORDER_MOVED}
        return [
            (order.id, order.table, order.placed_table)
            for order, _ in self._changed.values()
            if order.id in moved
        ]


def item_values(item: OrderItem) -> Row:
    """Return what is stored of a line's content, without the nulls at the end of a plain one."""
    if item[2:8] == PLAIN_CONTENT:
        return item[:2]
    modifiers = orjson.dumps(item.modifiers).decode() if item.modifiers else None
    return (*item[:2], modifiers, *item[3:7], 1 if item.held else None)


def _entry_row(entry: LogEntry) -> Row:
    row = (entry.seq, str(entry.kind), entry.order.id, entry.created_at_us)
    if entry.kind == EntryKind.ORDER_CREATED:
        return row
    detail = encode_detail(entry.lines, entry.by.name, entry.reason)
    return (*row, encode_state(entry.order), detail, entry.by.token_id)


def keys_of(requests: Sequence[Request]) -> list[str]:
    """Return the idempotency keys of a batch."""
    return [
        request.idempotency_key
        for request in requests
        if isinstance(request, NewOrder) and request.idempotency_key is not None
    ]


def ids_of(requests: Sequence[Request]) -> list[int]:
    """Return the ids of the orders that a batch would change."""
    return list({r.order_id: None for r in requests if not isinstance(r, NewOrder)})
