"""What a later version of Bistro92 does to the database beside this one, as far as is known."""

import time
from pathlib import Path

from db.migrate import MIGRATIONS, scripts
from tests.support.databases import AnyDatabase

KIND = "of_a_later_version"
# Columns that this version doesn't name, in an order that is not that of readers.
_LATER_TABLES = (
    "ALTER TABLE orders ADD COLUMN remark VARCHAR",
    "ALTER TABLE orders ADD COLUMN covers INTEGER NOT NULL DEFAULT 1",
    "ALTER TABLE order_items ADD COLUMN price VARCHAR",
    "ALTER TABLE log_entries ADD COLUMN device VARCHAR",
    "ALTER TABLE log_head ADD COLUMN open_orders INTEGER NOT NULL DEFAULT 0",
)


def copy_of_migrations(folder: Path, *more: str) -> Path:
    """Copy the real migrations, with one more that runs these statements, if there are any."""
    copy = folder / "migrations"
    (copy / "versions").mkdir(parents=True)
    for file in (MIGRATIONS / "env.py", *(MIGRATIONS / "versions").glob("*.py")):
        (copy / file.relative_to(MIGRATIONS)).write_text(file.read_text())
    if more:
        (copy / "versions" / "9001_more.py").write_text(
            "from alembic import op\n"
            f"revision, down_revision = '9001', '{scripts().get_current_head()}'\n"
            "def upgrade():\n" + "".join(f"    op.execute({each!r})\n" for each in more)
        )
    return copy


def later_migrations(folder: Path) -> Path:
    """Copy the real migrations, with one of a later version."""
    return copy_of_migrations(folder, *_LATER_TABLES)


def append_later_entries(database: AnyDatabase, count: int, order_id: int = 1) -> None:
    """Put entries of an unknown kind, about a stored order, at the end of the log."""
    numbered = "UPDATE log_head SET last_seq = last_seq + 1"
    written = (
        "INSERT INTO log_entries (seq, kind, order_id, created_at_us) "
        f"SELECT last_seq, '{KIND}', {order_id}, {time.time_ns() // 1000} FROM log_head"
    )
    database.change(*[numbered, written] * count)
