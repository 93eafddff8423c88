"""Create the tokens of devices on PostgreSQL; on SQLite they have a file of their own."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the table; a name belongs to one token at a time that is not revoked."""
    if op.get_bind().dialect.name != "postgresql":
        return
    op.create_table(
        "access_tokens",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("token_sha256", sa.String(), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at_us", sa.BigInteger(), nullable=True),
    )
    op.create_index(
        "ux_access_tokens_name",
        "access_tokens",
        ["name"],
        unique=True,
        postgresql_where=sa.text("revoked_at_us IS NULL"),
    )
