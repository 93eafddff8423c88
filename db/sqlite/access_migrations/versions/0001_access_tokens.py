"""Create the tokens of devices."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the table; a name belongs to one token at a time that is not revoked."""
    op.create_table(
        "access_tokens",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("token_sha256", sa.String(), nullable=False),
        sa.Column("created_at_us", _BIGINT, nullable=False),
        sa.Column("revoked_at_us", _BIGINT, nullable=True),
    )
    is_active = sa.text("revoked_at_us IS NULL")
    op.create_index(
        "ux_access_tokens_name",
        "access_tokens",
        ["name"],
        unique=True,
        sqlite_where=is_active,
        postgresql_where=is_active,
    )
