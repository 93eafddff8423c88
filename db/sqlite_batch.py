"""Write a numbered batch through the SQLite driver: one thread hop for a statement.

SQLAlchemy would take three hops for each statement, and its preparation of each row costs more
than inserting it; and `executemany` gives up the interpreter's lock for each row and has to wait
to get it back. So the rows of a table go as one list of values, with a text that is made once for
each length. The transaction around it is SQLAlchemy's.
"""

import sqlite3
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engines import driver_of
from db.errors import UnavailableError
from db.numbering import Batch
from db.records import LogHead
from db.tables import log_entries, log_head, order_items, orders

# Bounds the texts that are kept here, and the statements that the driver keeps prepared.
_STATEMENT_MAX_ROWS = 500
_TEXTS_MAX = 256
_HEAD = f"SELECT epoch, last_seq, last_order_id FROM {log_head.name}"  # noqa: S608
_MOVE_HEAD = f"UPDATE {log_head.name} SET last_seq = ?, last_order_id = ?"  # noqa: S608


async def read_head(connection: AsyncConnection) -> LogHead:
    """Return the log's head as this transaction sees it. Raises `UnavailableError`."""
    driver = await driver_of(connection)
    try:
        ((epoch, seq, order_id),) = await driver.execute_fetchall(_HEAD)
    except sqlite3.DatabaseError as error:
        raise UnavailableError("The database can't be read.") from error
    return LogHead(bytes.fromhex(epoch), seq, order_id)


async def insert_batch(connection: AsyncConnection, batch: Batch) -> None:
    """Insert a batch and move the log's head, within the connection's transaction.

    Raises `UnavailableError` if the database fails (full, locked, I/O), and the driver's own
    error if it refuses what it was asked to store.
    """
    driver = await driver_of(connection)
    try:
        await _insert(driver, orders, batch.order_rows())
        await _insert(driver, order_items, batch.item_rows())
        await _insert(driver, log_entries, batch.entry_rows())
        await driver.execute_fetchall(_MOVE_HEAD, (batch.head.seq, batch.head.order_id))
    except (sqlite3.IntegrityError, sqlite3.DataError):
        raise
    except sqlite3.DatabaseError as error:
        raise UnavailableError("The database can't be written.") from error


async def _insert(driver: Any, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    for start in range(0, len(rows), _STATEMENT_MAX_ROWS):
        part = rows[start : start + _STATEMENT_MAX_ROWS]
        values = tuple(chain.from_iterable(part))
        await driver.execute_fetchall(_text(table, len(part)), values)


@lru_cache(maxsize=_TEXTS_MAX)
def _text(table: Table, count: int) -> str:
    names = ", ".join(column.name for column in table.columns)
    row = f"({', '.join('?' * len(table.columns))})"
    return f"INSERT INTO {table.name} ({names}) VALUES {', '.join([row] * count)}"  # noqa: S608
