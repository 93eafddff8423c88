"""The SQLModel tables. Migrations create them; a test holds the two equal.

Only `db` reads these. The hot path uses the Core tables at the end of the module: the ORM's unit
of work costs ten times an `executemany`.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    text,
)
from sqlmodel import Field, SQLModel

# SQLite makes only an INTEGER primary key the row id; PostgreSQL needs BIGINT for the range.
BigInt = BigInteger().with_variant(Integer(), "sqlite")


def _key_column(*args: Any) -> Column[int]:
    return Column(BigInt, *args, primary_key=True, autoincrement=False)


class OrderRow(SQLModel, table=True):
    """An order. `seq` repeats its creation entry's number so that paging needs no join.

    `table_name`, `version` and `state` are as of now (no state: as it was placed; see
    `db.lifecycle.texts`), `placed_table` is where it was placed, if it was moved. `closed_seq` is
    the entry that closed it; its own `seq` if it was placed before there were states.
    """

    __tablename__ = "orders"
    __table_args__ = (
        Index("ux_orders_seq", "seq", unique=True),
        Index("ix_orders_table_name_seq", "table_name", "seq"),
        Index(
            "ux_orders_idempotency_key",
            "idempotency_key",
            unique=True,
            # Most orders have no key: without the condition each would still cost an entry.
            sqlite_where=text("idempotency_key IS NOT NULL"),
            postgresql_where=text("idempotency_key IS NOT NULL"),
        ),
        Index(
            "ix_orders_open_seq",
            "seq",
            sqlite_where=text("closed_seq IS NULL"),
            postgresql_where=text("closed_seq IS NULL"),
        ),
    )

    id: int = Field(sa_column=_key_column())
    seq: int = Field(sa_type=BigInt)
    table_name: str
    created_at_us: int = Field(sa_type=BigInt)
    idempotency_key: str | None = None
    note: str | None = None
    adds_to: int | None = Field(default=None, sa_type=BigInt)
    version: int = Field(sa_column=Column(Integer, nullable=False, server_default="1"))
    state: str | None = None
    placed_table: str | None = None
    closed_seq: int | None = Field(default=None, sa_type=BigInt)


class OrderItemRow(SQLModel, table=True):
    """One line of an order; `position` counts from 0 in the order given.

    `modifiers` is a JSON list of texts; `held` is 1 or null.
    """

    __tablename__ = "order_items"
    __table_args__ = ({"sqlite_with_rowid": False},)

    order_id: int = Field(sa_column=_key_column(ForeignKey("orders.id")))
    position: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    name: str
    quantity: int
    modifiers: str | None = None
    alert: str | None = None
    station: str | None = None
    course: int | None = None
    seat: int | None = None
    held: int | None = None


class LogEntryRow(SQLModel, table=True):
    """One entry of the order log: what happened, to which order, when.

    Of a change also the order's whole `state` after it and a `detail` (see `db.lifecycle.texts`),
    and the token that made it.
    """

    __tablename__ = "log_entries"
    __table_args__ = (Index("ix_log_entries_order_id_seq", "order_id", "seq"),)

    seq: int = Field(sa_column=_key_column())
    kind: str
    order_id: int = Field(sa_column=Column(BigInt, ForeignKey("orders.id"), nullable=False))
    created_at_us: int = Field(sa_type=BigInt)
    state: str | None = None
    detail: str | None = None
    token_id: str | None = None


class LogHeadRow(SQLModel, table=True):
    """The log's head: always one row. Whoever updates it numbers the next entries."""

    __tablename__ = "log_head"
    __table_args__ = (CheckConstraint("id = 1", name="ck_log_head_one_row"),)

    id: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    epoch: str
    last_seq: int = Field(sa_type=BigInt)
    last_order_id: int = Field(sa_type=BigInt)


metadata = SQLModel.metadata
orders: Table = metadata.tables["orders"]
order_items: Table = metadata.tables["order_items"]
log_entries: Table = metadata.tables["log_entries"]
log_head: Table = metadata.tables["log_head"]

# In a database of their own: see docs/decisions/0010.
access_metadata = MetaData()
access_tokens = Table(
    "access_tokens",
    access_metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("role", String, nullable=False),
    Column("token_sha256", String, nullable=False),
    Column("created_at_us", BigInt, nullable=False),
    Column("revoked_at_us", BigInt),
    Index(
        "ux_access_tokens_name",
        "name",
        unique=True,
        sqlite_where=text("revoked_at_us IS NULL"),
        postgresql_where=text("revoked_at_us IS NULL"),
    ),
)
