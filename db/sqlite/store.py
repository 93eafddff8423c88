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
from itertools import chain, groupby
from typing import Any

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from db.batch import Batch, ids_of, keys_of
from db.driver import run_in_driver
from db.errors import UnavailableError
from db.reader import read_entries, read_head, read_keyed_orders, read_orders
from db.records import LogEntry, LogHead
from db.sqlite.served_file import ServedFile
from db.store import Request, Stored
from db.tables import log_entries, log_head, order_items, orders

logger = logging.getLogger("bistro92.store")

# Bounds the texts that are kept here, and the statements that the driver keeps prepared.
_STATEMENT_MAX_ROWS = 500
_TEXTS_MAX = 256
_MOVE_HEAD = (
    f"UPDATE {log_head.name} SET last_seq = ?, last_order_id = ? "  # noqa: S608
    "WHERE epoch = ? AND last_seq = ?"
)
# What has been closed before stays closed since then.
_SET_STATE = (
    "version = new.column2, state = new.column3, closed_seq = "
    "CASE WHEN new.column4 IS NOT NULL THEN coalesce(closed_seq, new.column4) END"
)
_SET_TABLE = "table_name = new.column2, placed_table = new.column3"

Statement = tuple[str, tuple[Any, ...]]


class SqliteStore:
    """Stores batches over the one connection that commits. For the writer's task only."""

    def __init__(self, engine: AsyncEngine, file: ServedFile) -> None:
        self._engine = engine
        self._file = file

    async def store(self, requests: Sequence[Request], published: LogHead) -> Stored:
        """Store a batch in one transaction, numbered on from the published head of the log.

        Raises `UnavailableError` if the database fails (full, locked, I/O) or its files are no
        longer at their names, and the database's own error if it refuses what it was asked to
        store.
        """
        # Before: the WAL of a file that is gone would be applied to the one in its place.
        self._file.check_name()
        stored = await self._store(requests, published)
        # After: it may have gone meanwhile, and this is what is about to be acknowledged.
        self._file.check_committed()
        return stored

    async def _store(self, requests: Sequence[Request], published: LogHead) -> Stored:
        async with self._engine.connect() as connection:
            try:
                return await _store(connection, requests, published)
            except _LogMovedError:
                # A commit succeeded and was reported as failed. The database is the truth: the log
                # catches up with it, so that no order stays unseen.
                missed, head = await self._missed(connection, published)
                stored = await _store(connection, requests, head)
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


async def _store(connection: AsyncConnection, requests: Sequence[Request], head: LogHead) -> Stored:
    keys, ids = keys_of(requests), ids_of(requests)
    keyed = await read_keyed_orders(connection, keys, head.epoch) if keys else {}
    if any(order.seq > head.seq for order in keyed.values()):
        raise _LogMovedError("An order was stored and not published.")
    stored = await read_orders(connection, ids, head.epoch) if ids else {}
    batch = Batch(head, keyed, stored, created_at_us=time.time_ns() // 1000)
    outcomes = [batch.decide(request) for request in requests]
    if not batch.entries:
        return Stored(outcomes, [])
    try:
        await run_in_driver(connection, _commit, _move_head(head, batch.head), _statements(batch))
    except (sqlite3.IntegrityError, sqlite3.DataError):
        raise
    except sqlite3.DatabaseError as error:
        raise UnavailableError("The database can't be written.") from error
    return Stored(outcomes, [(batch.entries, batch.head)])


def _commit(
    connection: sqlite3.Connection, move_head: Statement, statements: list[Statement]
) -> None:
    """Write a batch in one transaction, or nothing at all. Runs in the driver's thread."""
    _roll_back(connection)  # what an earlier rollback may have failed to end
    connection.execute("BEGIN IMMEDIATE")
    try:
        if connection.execute(*move_head).rowcount != 1:
            raise _LogMovedError("The log is not where it was left.")
        for statement in statements:
            connection.execute(*statement)
        connection.execute("COMMIT")
    except BaseException:
        _roll_back(connection)
        raise


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def _move_head(old: LogHead, new: LogHead) -> Statement:
    return _MOVE_HEAD, (new.seq, new.order_id, old.epoch.hex(), old.seq)


def _statements(batch: Batch) -> list[Statement]:
    """Return the statements that store a batch, each with the values of its rows in one list."""
    tables = (
        (orders, batch.order_rows()),
        (order_items, batch.item_rows()),
        (log_entries, batch.entry_rows()),
    )
    texts = [
        (_insert_text(table, len(part[0]), len(part)), part)
        for table, rows in tables
        for part in _parts(rows)
    ]
    for set_text, rows in ((_SET_STATE, batch.state_rows()), (_SET_TABLE, batch.moved_rows())):
        texts += [(_update_text(set_text, len(part[0]), len(part)), part) for part in _parts(rows)]
    return [(text, tuple(chain.from_iterable(part))) for text, part in texts]


def _parts(rows: Sequence[tuple[Any, ...]]) -> Iterator[Sequence[tuple[Any, ...]]]:
    """Yield rows of the same length, not too many at once."""
    for _, alike in groupby(sorted(rows, key=len), key=len):
        same = list(alike)
        for start in range(0, len(same), _STATEMENT_MAX_ROWS):
            yield same[start : start + _STATEMENT_MAX_ROWS]


@lru_cache(maxsize=_TEXTS_MAX)
def _insert_text(table: Table, width: int, count: int) -> str:
    """Return the text that inserts rows of the table's first columns."""
    names = ", ".join([column.name for column in table.columns][:width])
    return f"INSERT INTO {table.name} ({names}) {_values(width, count)}"


@lru_cache(maxsize=_TEXTS_MAX)
def _update_text(set_text: str, width: int, count: int) -> str:
    """Return the text that updates orders; the first value of each row is the order's id."""
    return (
        f"UPDATE {orders.name} SET {set_text} "  # noqa: S608
        f"FROM ({_values(width, count)}) AS new WHERE {orders.name}.id = new.column1"
    )


def _values(width: int, count: int) -> str:
    row = f"({', '.join('?' * width)})"
    return f"VALUES {', '.join([row] * count)}"
