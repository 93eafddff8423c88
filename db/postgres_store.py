"""Store batches in PostgreSQL: the log's head row makes the writers of all processes queue.

One message stores a batch (`bistro92_store_batch`, migration 0003). The server takes the row first:
what is read after that, in the same transaction, includes every batch that was committed before. So
numbers follow one another, a key that another process has just used is found, and commit order is
log order. Nobody waits for a network, or for a process that stands still, with the row in hand.
"""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from db.cursor import encode_cursor
from db.engines import driver_of
from db.errors import UnavailableError
from db.failures import DATABASE_FAILURES
from db.numbering import Batch
from db.records import EntryKind, LogHead, NewOrder, Order, OrderItem, to_datetime
from db.store import Stored

CHANNEL = "bistro92_log"

# Beyond the wait for the row: a batch that takes longer is given up.
_STORE_TIMEOUT_SECONDS = 3.0
_STORE = (
    "SELECT * FROM bistro92_store_batch($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
)


class PostgresStore:
    """Stores batches over one connection. `origin` is what its hints name this process."""

    def __init__(self, engine: AsyncEngine, *, origin: str, busy_timeout_ms: int) -> None:
        self._engine = engine
        self._origin = origin
        self._busy_timeout_ms = busy_timeout_ms
        self._timeout_seconds = busy_timeout_ms / 1000 + _STORE_TIMEOUT_SECONDS

    async def store(self, new: Sequence[NewOrder], published: LogHead) -> Stored:
        """Store a batch: see `Store`."""
        try:
            async with asyncio.timeout(self._timeout_seconds), self._engine.connect() as connection:
                driver: asyncpg.Connection = await driver_of(connection)
                try:
                    return await self._store(driver, new, published)
                except BaseException:
                    # With the connection ends the transaction, wherever it was.
                    driver.terminate()
                    await connection.invalidate()
                    raise
        except (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError):
            raise
        except DATABASE_FAILURES as error:
            raise UnavailableError("The database can't be written.") from error

    async def _store(
        self, driver: asyncpg.Connection, new: Sequence[NewOrder], published: LogHead
    ) -> Stored:
        rows = await driver.fetch(
            _STORE,
            *(published.epoch.hex(), published.seq, published.created_at_us),
            *_columns(_first_of_each_key(new)),
            *(EntryKind.ORDER_CREATED, CHANNEL, self._origin, self._busy_timeout_ms),
        )
        first = rows[0]
        if not first["continues"]:
            raise UnavailableError("The database was replaced under the running service.")
        # Its entry's time is of no use here: a batch gives its own.
        head = LogHead(published.epoch, first["last_seq"], first["last_order_id"], 0)
        keyed = {row["idempotency_key"]: _order(row, head.epoch) for row in rows if row["id"]}
        # The same numbers once more: the function counts as a batch does.
        batch = Batch(head, keyed, created_at_us=first["now_us"])
        outcomes = [batch.place(order) for order in new]
        if len(batch.entries) != first["stored"]:
            raise UnavailableError("The batch was not numbered as it was stored.")
        return Stored(outcomes, [(batch.entries, batch.head)] if batch.entries else [])


def _first_of_each_key(new: Sequence[NewOrder]) -> list[NewOrder]:
    keys: set[str | None] = set()
    first = []
    for order in new:
        if order.idempotency_key is None or order.idempotency_key not in keys:
            keys.add(order.idempotency_key)
            first.append(order)
    return first


def _columns(new: Sequence[NewOrder]) -> list[Sequence[Any]]:
    """Return the columns of the orders, and those of their items with their order's place."""
    items = [
        (number, position, item.name, item.quantity)
        for number, order in enumerate(new, start=1)
        for position, item in enumerate(order.items)
    ]
    orders = [(order.table, order.idempotency_key) for order in new]
    return [*zip(*orders, strict=True), *zip(*items, strict=True)]


def _order(row: Any, epoch: bytes) -> Order:
    items = tuple(OrderItem(name, quantity) for name, quantity in json.loads(row["items"]))
    created_at = to_datetime(row["created_at_us"])
    cursor = encode_cursor(epoch, row["seq"], row["created_at_us"])
    return Order(row["id"], row["seq"], row["table_name"], items, created_at, cursor)
