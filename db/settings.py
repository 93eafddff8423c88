"""What a database is opened with, whichever it is."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """Where a database is, and how it is used. What they mean and their defaults: server/settings.

    A URL may have a password in it: it is shown to nobody.
    """

    url: str = field(repr=False)
    # PostgreSQL only.
    listen_url: str | None = field(repr=False)
    poll_seconds: float
    prepared_statements: bool
    # SQLite only.
    wal_max_bytes: int
    # Both.
    reader_connections: int
    busy_timeout_ms: int
    log_memory_max_entries: int
