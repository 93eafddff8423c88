"""The values that leave `db`: plain, immutable, without SQL or GraphQL in them.

Named tuples: each order is made of six of them, and frozen dataclasses take three times as long.
"""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

_EPOCH_START = datetime(1970, 1, 1, tzinfo=UTC)


def to_datetime(microseconds: int) -> datetime:
    """Turn a stored time into a UTC datetime, exactly."""
    return _EPOCH_START + timedelta(microseconds=microseconds)


class ItemState(StrEnum):
    """How far a line is; the values are those of the database. See `db.lifecycle`."""

    HELD = "H"
    QUEUED = "Q"
    STARTED = "S"
    READY = "R"
    SERVED = "D"
    VOIDED = "V"
    CLEARED = "C"


class OrderState(StrEnum):
    """How far an order is: derived from its lines, never set. Not stored."""

    HELD = "held"
    QUEUED = "queued"
    STARTED = "started"
    READY = "ready"
    VOIDED = "voided"
    CLOSED = "closed"


class NewItem(NamedTuple):
    """What was ordered in one line: content, which never changes."""

    name: str
    quantity: int
    modifiers: tuple[str, ...] = ()
    alert: str | None = None
    station: str | None = None
    course: int | None = None
    seat: int | None = None
    held: bool = False


class OrderItem(NamedTuple):
    """One line of an order: the content of a `NewItem`, its number from 1, and how far it is.

    `queued_at` is the time of the order unless it was held; what the line has not come to is None.
    """

    name: str
    quantity: int
    modifiers: tuple[str, ...]
    alert: str | None
    station: str | None
    course: int | None
    seat: int | None
    held: bool
    line: int
    state: ItemState
    queued_at: datetime | None
    started_at: datetime | None = None
    ready_at: datetime | None = None
    served_at: datetime | None = None
    voided_quantity: int = 0
    recalls: int = 0


CONTENT_FIELDS = len(NewItem._fields)


class NewOrder(NamedTuple):
    """An order that has been validated but not stored."""

    table: str
    items: tuple[NewItem, ...]
    idempotency_key: str | None = None
    note: str | None = None
    adds_to: int | None = None


class OrderNote(NamedTuple):
    """What was said about an order, or about one line of it, after it was placed."""

    line: int | None
    text: str
    at: datetime


class Order(NamedTuple):
    """An order at one version. `id` counts from 1 without gaps; `seq` is its place in the log.

    `placed_table` is where it was placed, if it was moved. One from `before_states` was placed
    by a version that knew no states: it is closed, and can't be recalled.
    """

    id: int
    seq: int
    table: str
    items: tuple[OrderItem, ...]
    created_at: datetime
    cursor: str
    note: str | None = None
    adds_to: int | None = None
    version: int = 1
    state: OrderState = OrderState.QUEUED
    notes: tuple[OrderNote, ...] = ()
    placed_table: str | None = None
    before_states: bool = False

    def has_content_of(self, new: NewOrder) -> bool:
        """Tell whether `new` asks for what this order already is."""
        return (
            (self.placed_table or self.table) == new.table
            and (self.note, self.adds_to) == (new.note, new.adds_to)
            and tuple([item[:CONTENT_FIELDS] for item in self.items]) == new.items
        )


class EntryKind(StrEnum):
    """What an entry of the log records: that an order was placed, or a change of its state.

    A reader passes over kinds that it doesn't know: while a service is upgraded, instances of the
    next version write to the same log. What it may rely on: an entry is of an order, which was
    created in it or before it.
    """

    ORDER_CREATED = "order_created"
    ITEMS_ADVANCED = "items_advanced"
    ITEMS_RECALLED = "items_recalled"
    ITEMS_VOIDED = "items_voided"
    ORDER_MOVED = "order_moved"
    NOTE_ADDED = "note_added"


class Actor(NamedTuple):
    """Who changed something: a token's name and id; None where no token is needed."""

    name: str | None = None
    token_id: str | None = None


NOBODY = Actor()


class LogEntry(NamedTuple):
    """One change, and the order after it. `lines` are those that it was about.

    `kind` is plain text, as it may be one that this version doesn't know.
    """

    seq: int
    kind: str
    order: Order
    created_at_us: int
    lines: tuple[int, ...] = ()
    by: Actor = NOBODY
    reason: str | None = None


class LogHead(NamedTuple):
    """The newest place in the log, and its entry's time, 0 before the first one.

    Sequence numbers and order ids count different things. The time tells a log from one that went
    back and grew in another way: its numbers are the same.
    """

    epoch: bytes
    seq: int
    order_id: int
    created_at_us: int
