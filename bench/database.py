"""Databases with many orders, filled through our own tables without going through the server."""

import sqlite3
from pathlib import Path
from time import time_ns

from bench.orders import PREPARED_ORDERS, order_of
from bench.server import running
from bench.systems import BISTRO92
from db.cursor import encode_cursor

_NUMBERS = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < :count)"
# Order `n` is that of table `n % PREPARED_ORDERS`, placed a millisecond after the one before.
_FILL = (
    f"{_NUMBERS} INSERT INTO orders (id, seq, table_name, created_at_us, closed_seq) "  # noqa: S608
    "SELECT n, n, n % :tables, :start + n * 1000, n FROM n",
    f"{_NUMBERS} INSERT INTO order_items (order_id, position, name, quantity) "  # noqa: S608
    "SELECT n.n, m.position, m.name, m.quantity "
    "FROM n JOIN menu AS m ON m.table_number = n.n % :tables",
    f"{_NUMBERS} INSERT INTO log_entries (seq, kind, order_id, created_at_us) "  # noqa: S608
    "SELECT n, 'order_created', n, :start + n * 1000 FROM n",
    "UPDATE log_head SET last_seq = :count, last_order_id = :count",
)


def make_database(path: Path, count: int) -> None:
    """Make a database as the server makes it, and put so many orders into it."""
    with running(BISTRO92, path):
        pass
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute(
        "CREATE TEMP TABLE menu (table_number INTEGER, position INTEGER, name, quantity, "
        "PRIMARY KEY (table_number, position))"
    )
    connection.executemany("INSERT INTO menu VALUES (?, ?, ?, ?)", _menu())
    values = {"count": count, "tables": PREPARED_ORDERS, "start": time_ns() // 1000 - count * 1000}
    for statement in _FILL:
        connection.execute(statement, values)
    connection.commit()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def cursors(path: Path, around: int, distance: int) -> list[str]:
    """Return the cursors of the entries near a place in the log."""
    connection = sqlite3.connect(path)
    (epoch,) = connection.execute("SELECT epoch FROM log_head").fetchone()
    entries = connection.execute(
        "SELECT seq, created_at_us FROM log_entries WHERE seq >= ? AND seq < ? ORDER BY seq",
        (around - distance, around + distance),
    ).fetchall()
    connection.close()
    return [encode_cursor(bytes.fromhex(epoch), *entry) for entry in entries]


def _menu() -> list[tuple[int, int, str, int]]:
    return [
        (table, position, item["name"], item["quantity"])
        for table in range(PREPARED_ORDERS)
        for position, item in enumerate(order_of(table)["items"])
    ]
