"""Store batches in PostgreSQL: the log's head row makes the writers of all processes queue.

One message stores a batch (`bistro92_store_batch`, migration 0003). The server takes the row first:
what is read after that, in the same transaction, includes every batch that was committed before. So
numbers follow one another, a key that another process has just used is found, and commit order is
log order. Nobody waits for a network, or for a process that stands still, with the row in hand.

A batch with changes, or with orders of more than names and quantities, is decided here, between
that row's lock and the commit: see `db.postgres.deciding`.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from db.batch import PLAIN_CONTENT, Batch
from db.driver import driver_of
from db.driver_errors import DRIVER_ERRORS
from db.errors import UnavailableError
from db.postgres.deciding import CHANNEL, REPLACED, store_deciding
from db.reader import read_keyed_orders
from db.records import EntryKind, LogHead, NewOrder, Order
from db.store import Request, Stored

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

    async def store(self, requests: Sequence[Request], published: LogHead) -> Stored:
        """Store a batch: see `Store`."""
        try:
            async with asyncio.timeout(self._timeout_seconds), self._engine.connect() as connection:
                driver: asyncpg.Connection = await driver_of(connection)
                try:
                    return await self._store(connection, driver, requests, published)
                except BaseException:
                    # With the connection ends the transaction, wherever it was.
                    driver.terminate()
                    await connection.invalidate()
                    raise
        except (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError):
            raise
        except DRIVER_ERRORS as error:
            raise UnavailableError("The database can't be written.") from error

    async def _store(
        self,
        connection: AsyncConnection,
        driver: asyncpg.Connection,
        requests: Sequence[Request],
        published: LogHead,
    ) -> Stored:
        new = [request for request in requests if _is_plain(request)]
        if len(new) < len(requests):
            return await store_deciding(
                connection,
                driver,
                requests,
                published,
                origin=self._origin,
                lock_timeout_ms=self._busy_timeout_ms,
            )
        sent = _first_of_each_key(new)
        answer = await driver.fetchrow(
            _STORE,
            *(published.epoch.hex(), published.seq, published.created_at_us),
            *_columns(sent),
            *(EntryKind.ORDER_CREATED, CHANNEL, self._origin, self._busy_timeout_ms),
        )
        if not answer["continues"]:
            raise UnavailableError(REPLACED)
        try:
            keys = [sent[number - 1].idempotency_key or "" for number in answer["known"]]
            keyed = await read_keyed_orders(connection, keys, published.epoch) if keys else {}
            return _stored(answer, keyed, new, published.epoch)
        except Exception as error:
            # The batch is committed: any other error would have it stored once more.
            raise UnavailableError("What was stored can't be read.") from error


def _is_plain(request: Request) -> TypeGuard[NewOrder]:
    """Tell whether a request is an order of names and quantities only."""
    return (
        isinstance(request, NewOrder)
        and request.note is None
        and request.adds_to is None
        and all(item[2:] == PLAIN_CONTENT for item in request.items)
    )


def _stored(
    answer: Any, keyed: Mapping[str, Order], new: Sequence[NewOrder], epoch: bytes
) -> Stored:
    """Return what the batch came to, numbered once more: the function counts as `Batch` does."""
    # The time of its entry is of no use here: a batch gives its own.
    head = LogHead(epoch, answer["last_seq"], answer["last_order_id"], 0)
    batch = Batch(head, keyed, {}, created_at_us=answer["now_us"])
    outcomes = [batch.number(order) for order in new]
    if len(batch.entries) != answer["stored"]:
        raise ValueError(f"{answer['stored']} orders were stored, not {len(batch.entries)}")
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
    """Return the columns of the orders, and those of their items with their order's number."""
    items = [
        (number, position, item.name, item.quantity)
        for number, order in enumerate(new, start=1)
        for position, item in enumerate(order.items)
    ]
    orders = [(order.table, order.idempotency_key) for order in new]
    return [*zip(*orders, strict=True), *zip(*items, strict=True)]
