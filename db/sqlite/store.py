"""Store batches in the SQLite file: a whole transaction in one visit to the driver's thread.

A visit costs the event loop more than a row does, and SQLAlchemy takes three for a statement. The
rows of a table go as one list of values, as `executemany` gives up the interpreter's lock for each
row and has to wait to get it back. A transaction that is one function can't be left half-way.
"""

import logging
import sqlite3
import time
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from db.batch import Batch
from db.driver import run_in_driver
from db.errors import UnavailableError
from db.reader import read_entries, read_head, read_keyed_orders
from db.records import LogEntry, LogHead, NewOrder
from db.sqlite.served_file import ServedFile
from db.store import Stored
from db.tables import log_entries, log_head, order_items, orders

logger = logging.getLogger("bistro92.store")

# Bounds the texts that are kept here, and the statements that the driver keeps prepared.
_STATEMENT_MAX_ROWS = 500
_TEXTS_MAX = 256
_MOVE_HEAD = (
    f"UPDATE {log_head.name} SET last_seq = ?, last_order_id = ? "  # noqa: S608
    "WHERE epoch = ? AND last_seq = ?"
)

Statement = tuple[str, tuple[Any, ...]]


class SqliteStore:
    """Stores batches over the one connection that commits. For the writer's task only."""

    def __init__(self, engine: AsyncEngine, file: ServedFile) -> None:
        self._engine = engine
        self._file = file

    async def store(self, new: Sequence[NewOrder], published: LogHead) -> Stored:
        """Store a batch in one transaction, numbered on from the published head of the log.

        Raises `UnavailableError` if the database fails (full, locked, I/O) or its files are no
        longer at their names, and the database's own error if it refuses what it was asked to
        store.
        """
        # Before: the WAL of a file that is gone would be applied to the one in its place.
        self._file.check_name()
        stored = await self._store(new, published)
        # After: it may have gone meanwhile, and this is what is about to be acknowledged.
        self._file.check_committed()
        return stored

    async def _store(self, new: Sequence[NewOrder], published: LogHead) -> Stored:
        async with self._engine.connect() as connection:
            try:
                return await _store(connection, new, published)
            except _LogMovedError:
                # A commit succeeded and was reported as failed. The database is the truth: the log
                # catches up with it, so that no order stays unseen.
                missed, head = await self._missed(connection, published)
                stored = await _store(connection, new, head)
                found = [(missed, head)] if missed else []
                return Stored(stored.outcomes, [*found, *stored.unpublished])

    async def _missed(
        self, connection: AsyncConnection, published: LogHead
    ) -> tuple[list[LogEntry], LogHead]:
        """Return what is committed but was never published, and the head that it leads to."""
        head = await read_head(connection)
        if head.epoch != published.epoch or head.seq < published.seq:
            raise self._file.give_up("The database's content was replaced")
        logger.warning("publishing entries %d to %d late", published.seq + 1, head.seq)
        missed = await read_entries(
            connection, epoch=head.epoch, after=published.seq, up_to=head.seq, count=head.seq
        )
        return missed, head


class _LogMovedError(UnavailableError):
    """The database's log is not where it was left."""


async def _store(connection: AsyncConnection, new: Sequence[NewOrder], head: LogHead) -> Stored:
    keys = [order.idempotency_key for order in new if order.idempotency_key is not None]
    keyed = await read_keyed_orders(connection, keys, head.epoch) if keys else {}
    if any(order.seq > head.seq for order in keyed.values()):
        raise _LogMovedError("An order was stored and not published.")
    batch = Batch(head, keyed, created_at_us=time.time_ns() // 1000)
    outcomes = [batch.number(order) for order in new]
    if not batch.entries:
        return Stored(outcomes, [])
    try:
        await run_in_driver(connection, _commit, _move_head(head, batch.head), _inserts(batch))
    except (sqlite3.IntegrityError, sqlite3.DataError):
        raise
    except sqlite3.DatabaseError as error:
        raise UnavailableError("The database can't be written.") from error
    return Stored(outcomes, [(batch.entries, batch.head)])


def _commit(connection: sqlite3.Connection, move_head: Statement, inserts: list[Statement]) -> None:
    """Write a batch in one transaction, or nothing at all. Runs in the driver's thread."""
    _roll_back(connection)  # what an earlier rollback may have failed to end
    connection.execute("BEGIN IMMEDIATE")
    try:
        if connection.execute(*move_head).rowcount != 1:
            raise _LogMovedError("The log is not where it was left.")
        for insert in inserts:
            connection.execute(*insert)
        connection.execute("COMMIT")
    except BaseException:
        _roll_back(connection)
        raise


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def _move_head(old: LogHead, new: LogHead) -> Statement:
    return _MOVE_HEAD, (new.seq, new.order_id, old.epoch.hex(), old.seq)


def _inserts(batch: Batch) -> list[Statement]:
    """Return the statements that store a batch, each with the values of its rows in one list."""
    tables = (
        (orders, batch.order_rows()),
        (order_items, batch.item_rows()),
        (log_entries, batch.entry_rows()),
    )
    return [
        (_insert_text(table, len(part)), tuple(chain.from_iterable(part)))
        for table, rows in tables
        for part in _parts(rows)
    ]


def _parts(rows: Sequence[tuple[Any, ...]]) -> Iterator[Sequence[tuple[Any, ...]]]:
    for start in range(0, len(rows), _STATEMENT_MAX_ROWS):
        yield rows[start : start + _STATEMENT_MAX_ROWS]


@lru_cache(maxsize=_TEXTS_MAX)
def _insert_text(table: Table, count: int) -> str:
    names = ", ".join(column.name for column in table.columns)
    row = f"({', '.join('?' * len(table.columns))})"
    return f"INSERT INTO {table.name} ({names}) VALUES {', '.join([row] * count)}"  # noqa: S608
