"""Give orders their states, and what else a kitchen must know. What exists counts as closed."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_COLUMNS: dict[str, tuple[sa.Column[Any], ...]] = {
    "orders": (
        sa.Column("note", sa.String()),
        sa.Column("adds_to", _BIGINT),
        sa.Column("version", sa.Integer(), nullable=False, server_default="1"),
        sa.Column("state", sa.String()),
        sa.Column("placed_table", sa.String()),
        sa.Column("closed_seq", _BIGINT),
    ),
    "order_items": (
        sa.Column("modifiers", sa.String()),
        sa.Column("alert", sa.String()),
        sa.Column("station", sa.String()),
        sa.Column("course", sa.Integer()),
        sa.Column("seat", sa.Integer()),
        sa.Column("held", sa.Integer()),
    ),
    "log_entries": (
        sa.Column("state", sa.String()),
        sa.Column("detail", sa.String()),
        sa.Column("token_id", sa.String()),
    ),
}


def upgrade() -> None:
    """Add the columns. Without the update all of history would be open."""
    for table, columns in _COLUMNS.items():
        for column in columns:
            op.add_column(table, column)
    op.execute("UPDATE orders SET closed_seq = seq")
    is_open = sa.text("closed_seq IS NULL")
    op.create_index(
        "ix_orders_open_seq", "orders", ["seq"], sqlite_where=is_open, postgresql_where=is_open
    )
    op.create_index("ix_log_entries_order_id_seq", "log_entries", ["order_id", "seq"])
