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


class OrderItem(NamedTuple):
    """One line of an order."""

    name: str
    quantity: int


class NewOrder(NamedTuple):
    """An order that has been validated but not stored."""

    table: str
    items: tuple[OrderItem, ...]
    idempotency_key: str | None = None


class Order(NamedTuple):
    """A stored order. `id` counts orders from 1 without gaps; `seq` is its place in the log."""

    id: int
    seq: int
    table: str
    items: tuple[OrderItem, ...]
    created_at: datetime
    cursor: str

    def has_content_of(self, new: NewOrder) -> bool:
        """Tell whether `new` asks for what this order already is."""
        return self.table == new.table and self.items == new.items


class EntryKind(StrEnum):
    """What an entry of the log records. Later kinds are changes of an order's state.

    A reader passes over kinds that it doesn't know: while a service is upgraded, instances of the
    next version write to the same log. What it may rely on: an entry is of an order, which was
    created in it or before it.
    """

    ORDER_CREATED = "order_created"


class LogEntry(NamedTuple):
    """One change. `kind` is plain text, as it may be one that this version doesn't know."""

    seq: int
    kind: str
    order: Order
    created_at_us: int


class LogHead(NamedTuple):
    """The newest place in the log, and its entry's time, 0 before the first one.

    Sequence numbers and order ids count different things. The time tells a log from one that went
    back and grew in another way: its numbers are the same.
    """

    epoch: bytes
    seq: int
    order_id: int
    created_at_us: int
