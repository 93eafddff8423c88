"""Create orders, their items, the order log and its head."""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables and the head row, whose random epoch names this log for ever."""
    op.create_table(
        "orders",
        sa.Column("id", _BIGINT, primary_key=True, autoincrement=False),
        sa.Column("seq", _BIGINT, nullable=False),
        sa.Column("table_name", sa.String(), nullable=False),
        sa.Column("created_at_us", _BIGINT, nullable=False),
        sa.Column("idempotency_key", sa.String(), nullable=True),
    )
    op.create_index("ux_orders_seq", "orders", ["seq"], unique=True)
    op.create_index("ix_orders_table_name_seq", "orders", ["table_name", "seq"])
    has_key = sa.text("idempotency_key IS NOT NULL")
    op.create_index(
        "ux_orders_idempotency_key",
        "orders",
        ["idempotency_key"],
        unique=True,
        sqlite_where=has_key,
        postgresql_where=has_key,
    )
    op.create_table(
        "order_items",
        sa.Column("order_id", _BIGINT, sa.ForeignKey("orders.id"), primary_key=True),
        sa.Column("position", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "log_entries",
        sa.Column("seq", _BIGINT, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("order_id", _BIGINT, sa.ForeignKey("orders.id"), nullable=False),
        sa.Column("created_at_us", _BIGINT, nullable=False),
    )
    log_head = op.create_table(
        "log_head",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("epoch", sa.String(), nullable=False),
        sa.Column("last_seq", _BIGINT, nullable=False),
        sa.Column("last_order_id", _BIGINT, nullable=False),
        sa.CheckConstraint("id = 1", name="ck_log_head_one_row"),
    )
    row = {"id": 1, "epoch": secrets.token_hex(8), "last_seq": 0, "last_order_id": 0}
    op.bulk_insert(log_head, [row])
