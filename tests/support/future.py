"""What a later version of Bistro92 writes to the log beside this one, as far as is known."""

import time

from tests.support.databases import AnyDatabase

KIND = "of_a_later_version"
# Columns that this version doesn't name, as its successor's migration adds them.
LATER_TABLES = (
    "ALTER TABLE orders ADD COLUMN note VARCHAR",
    "ALTER TABLE orders ADD COLUMN version INTEGER NOT NULL DEFAULT 1",
    "ALTER TABLE order_items ADD COLUMN station VARCHAR",
    "ALTER TABLE log_entries ADD COLUMN detail VARCHAR",
    "UPDATE alembic_version SET version_num = 'later'",
)


def append_later_entries(database: AnyDatabase, count: int, order_id: int = 1) -> None:
    """Put entries of an unknown kind, about a stored order, at the end of the log."""
    numbered = "UPDATE log_head SET last_seq = last_seq + 1"
    written = (
        "INSERT INTO log_entries (seq, kind, order_id, created_at_us) "
        f"SELECT last_seq, '{KIND}', {order_id}, {time.time_ns() // 1000} FROM log_head"
    )
    database.change(*[numbered, written] * count)
