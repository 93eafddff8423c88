"""Store batches in PostgreSQL: the log's head row makes the writers of all processes queue.

The row is taken first. What is read after that, in the same transaction, includes every batch
that was committed before: so numbers follow one another, a key that another process has just used
is found, and commit order is log order. It is held for three round trips.
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
from db.records import LogHead, NewOrder, Order, OrderItem, to_datetime
from db.store import Stored

CHANNEL = "bistro92_log"

# A process that stands still with the head row in its hands holds up all others.
_IDLE_IN_TRANSACTION_MS = 1000
_STATEMENT_TIMEOUT_MS = 3000

# One message, no results: the settings end with the transaction, as behind PgBouncer they must.
# Each statement after it sees what was committed before the lock was had.
_BEGIN = f"""
BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
SELECT set_config('lock_timeout', '%d', true),
       set_config('statement_timeout', '{_STATEMENT_TIMEOUT_MS}', true),
       set_config('idle_in_transaction_session_timeout', '{_IDLE_IN_TRANSACTION_MS}', true);
SELECT set_config('synchronous_commit', 'on', true)
 WHERE current_setting('synchronous_commit') = 'off';
SELECT FROM log_head FOR NO KEY UPDATE
"""  # noqa: S608
# The server's clock: one for all processes.
_HEAD_AND_KEYED = """
SELECT head.epoch, head.last_seq, head.last_order_id,
       (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now_us,
       keyed.*
  FROM log_head AS head
  LEFT JOIN (
         SELECT id, seq, table_name, created_at_us, idempotency_key, (
                  SELECT json_agg(json_build_array(name, quantity) ORDER BY position)
                    FROM order_items WHERE order_id = orders.id
                )::text AS items
           FROM unnest($1::varchar[]) AS given (key)
           JOIN orders ON orders.idempotency_key = given.key
       ) AS keyed ON true
"""
_STORE = """
WITH new_orders AS (
       INSERT INTO orders (id, seq, table_name, created_at_us, idempotency_key)
       SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::varchar[], $4::bigint[], $5::varchar[])
     ), new_items AS (
       INSERT INTO order_items (order_id, position, name, quantity)
       SELECT * FROM unnest($6::bigint[], $7::integer[], $8::varchar[], $9::integer[])
     ), new_entries AS (
       INSERT INTO log_entries (seq, kind, order_id, created_at_us)
       SELECT * FROM unnest($10::bigint[], $11::varchar[], $12::bigint[], $13::bigint[])
     ), moved AS (
       UPDATE log_head SET last_seq = $14, last_order_id = $15 WHERE last_seq = $16 RETURNING id
     )
SELECT pg_notify($17, $18) FROM moved
"""


class PostgresStore:
    """Stores batches over one connection. `origin` is what its hints name this process."""

    def __init__(self, engine: AsyncEngine, *, origin: str, busy_timeout_ms: int) -> None:
        self._engine = engine
        self._origin = origin
        self._begin = _BEGIN % busy_timeout_ms
        self._timeout_seconds = (busy_timeout_ms + _STATEMENT_TIMEOUT_MS) / 1000

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
        await driver.execute(self._begin)
        keys = {order.idempotency_key for order in new if order.idempotency_key is not None}
        rows = await driver.fetch(_HEAD_AND_KEYED, list(keys))
        head = _head(rows[0], published)
        keyed = {row["idempotency_key"]: _order(row, head.epoch) for row in rows if row["id"]}
        batch = Batch(head, keyed, created_at_us=rows[0]["now_us"])
        outcomes = [batch.place(order) for order in new]
        if not batch.entries:
            await driver.execute("ROLLBACK")
            return Stored(outcomes, [])
        if len(await driver.fetch(_STORE, *self._arguments(batch, head))) != 1:
            raise UnavailableError("The log is not where it was left.")
        if await driver.execute("COMMIT") != "COMMIT":
            raise UnavailableError("The batch was not committed.")
        return Stored(outcomes, [(batch.entries, batch.head)])

    def _arguments(self, batch: Batch, old: LogHead) -> list[Any]:
        columns = [
            *zip(*batch.order_rows(), strict=True),
            *zip(*batch.item_rows(), strict=True),
            *zip(*batch.entry_rows(), strict=True),
        ]
        return [*columns, batch.head.seq, batch.head.order_id, old.seq, CHANNEL, self._origin]


def _head(row: Any, published: LogHead) -> LogHead:
    head = LogHead(bytes.fromhex(row["epoch"]), row["last_seq"], row["last_order_id"])
    if head.epoch != published.epoch or head.seq < published.seq:
        raise UnavailableError("The database was replaced under the running service.")
    return head


def _order(row: Any, epoch: bytes) -> Order:
    items = tuple(OrderItem(name, quantity) for name, quantity in json.loads(row["items"]))
    created_at = to_datetime(row["created_at_us"])
    cursor = encode_cursor(epoch, row["seq"])
    return Order(row["id"], row["seq"], row["table_name"], items, created_at, cursor)
