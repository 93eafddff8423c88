"""Store a batch on PostgreSQL that has to be decided here, with the log's head row in hand.

What a change comes to depends on the order as it is, which others may change too. So the row is
taken first, as by `bistro92_store_batch`: whatever is read after that is the newest there is, and
nobody writes until this commits. A process that stands still meanwhile holds up the others for as
long as the server's `idle_in_transaction_session_timeout` says, which is set for that.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import asyncpg
from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from db.batch import Batch, Row, ids_of, keys_of
from db.errors import UnavailableError
from db.reader import read_keyed_orders, read_orders
from db.records import LogHead
from db.store import Request, Stored
from db.tables import log_entries, order_items, orders

CHANNEL = "bistro92_log"
REPLACED = "The database was replaced under the running service."

_IDLE_TIMEOUT_MS = 3000
_SET = """
SELECT set_config('lock_timeout', $1, true),
       set_config('idle_in_transaction_session_timeout', $2, true),
       CASE WHEN current_setting('synchronous_commit') = 'off'
            THEN set_config('synchronous_commit', 'on', true) END
"""
_TAKE_HEAD = "SELECT epoch, last_seq, last_order_id FROM log_head FOR NO KEY UPDATE"
# A log that went back and grew again has the same numbers.
_LOOK = """
SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now_us,
       $1 = 0 OR EXISTS (
           SELECT FROM log_entries WHERE seq = $1 AND created_at_us = $2
       ) AS has_published
"""
_MOVE_HEAD = "UPDATE log_head SET last_seq = $1, last_order_id = $2"
# What has been closed before stays closed since then.
_SET_STATE = """
UPDATE orders SET version = new.version, state = new.state, closed_seq =
       CASE WHEN new.closed_seq IS NOT NULL THEN coalesce(orders.closed_seq, new.closed_seq) END
  FROM unnest($1::bigint[], $2::integer[], $3::varchar[], $4::bigint[])
       AS new (id, version, state, closed_seq)
 WHERE orders.id = new.id
"""
_SET_TABLE = """
UPDATE orders SET table_name = new.table_name, placed_table = new.placed_table
  FROM unnest($1::bigint[], $2::varchar[], $3::varchar[]) AS new (id, table_name, placed_table)
 WHERE orders.id = new.id
"""


async def store_deciding(
    connection: AsyncConnection,
    driver: asyncpg.Connection,
    requests: Sequence[Request],
    published: LogHead,
    *,
    origin: str,
    lock_timeout_ms: int,
) -> Stored:
    """Store a batch: see `Store`. Whoever calls ends the connection if this raises."""
    await driver.execute("BEGIN")
    await driver.fetchrow(_SET, str(lock_timeout_ms), str(_IDLE_TIMEOUT_MS))
    batch = await _begin_batch(connection, driver, requests, published)
    outcomes = [batch.decide(request) for request in requests]
    if not batch.entries:
        await driver.execute("COMMIT")
        return Stored(outcomes, [])
    for text, columns in _statements(batch):
        await driver.execute(text, *columns)
    await driver.execute(_MOVE_HEAD, batch.head.seq, batch.head.order_id)
    await driver.execute("SELECT pg_notify($1, $2)", CHANNEL, origin)
    await driver.execute("COMMIT")
    return Stored(outcomes, [(batch.entries, batch.head)])


async def _begin_batch(
    connection: AsyncConnection,
    driver: asyncpg.Connection,
    requests: Sequence[Request],
    published: LogHead,
) -> Batch:
    head = await driver.fetchrow(_TAKE_HEAD)
    look = await driver.fetchrow(_LOOK, published.seq, published.created_at_us)
    continues = head["epoch"] == published.epoch.hex() and head["last_seq"] >= published.seq
    if not (continues and look["has_published"]):
        raise UnavailableError(REPLACED)
    keys, ids = keys_of(requests), ids_of(requests)
    epoch = published.epoch
    keyed = await read_keyed_orders(connection, keys, epoch) if keys else {}
    stored = await read_orders(connection, ids, epoch) if ids else {}
    # The time of its entry is of no use here: a batch gives its own.
    at = LogHead(epoch, head["last_seq"], head["last_order_id"], 0)
    return Batch(at, keyed, stored, created_at_us=look["now_us"])


def _statements(batch: Batch) -> list[tuple[str, list[Sequence[Any]]]]:
    inserts = [
        (_insert_text(table, len(part[0])), part)
        for table, rows in (
            (orders, batch.order_rows()),
            (order_items, batch.item_rows()),
            (log_entries, batch.entry_rows()),
        )
        for part in _alike(rows)
    ]
    updates = [
        (text, rows)
        for text, rows in ((_SET_STATE, batch.state_rows()), (_SET_TABLE, batch.moved_rows()))
        if rows
    ]
    return [(text, list(zip(*rows, strict=True))) for text, rows in inserts + updates]


def _alike(rows: Sequence[Row]) -> list[list[Row]]:
    """Return rows in groups of the same length."""
    return [list(same) for _, same in groupby(sorted(rows, key=len), key=len)]


def _insert_text(table: Table, width: int) -> str:
    """Return the text that inserts columns of values, for the table's first columns."""
    columns = list(table.columns)[:width]
    names = ", ".join(column.name for column in columns)
    arrays = ", ".join(
        f"${number}::{'varchar' if column.type.python_type is str else 'bigint'}[]"
        for number, column in enumerate(columns, 1)
    )
    return f"INSERT INTO {table.name} ({names}) SELECT * FROM unnest({arrays})"  # noqa: S608
