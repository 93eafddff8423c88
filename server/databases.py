"""Open the database that the settings name: the only place that asks which kind it is."""

from contextlib import AbstractAsyncContextManager
from pathlib import Path

from db.database import Database
from db.postgres.opening import is_postgres, open_postgres, open_postgres_tokens
from db.sqlite.engines import sqlite_path
from db.sqlite.opening import open_sqlite, open_sqlite_tokens
from db.tokens import TokenStore
from server.settings import Settings


def open_database(settings: Settings) -> AbstractAsyncContextManager[Database]:
    """Open the orders and their log. Entering raises `StartError`."""
    if is_postgres(settings.database_url):
        return open_postgres(
            settings.database_url,
            listen_url=settings.database_listen_url,
            poll_seconds=settings.database_poll_seconds,
            prepared_statements=settings.database_prepared_statements,
            reader_connections=settings.reader_connections,
            busy_timeout_ms=settings.busy_timeout_ms,
            log_memory_max_entries=settings.log_memory_max_entries,
        )
    return open_sqlite(
        settings.database_url,
        reader_connections=settings.reader_connections,
        busy_timeout_ms=settings.busy_timeout_ms,
        wal_max_bytes=settings.wal_max_bytes,
        log_memory_max_entries=settings.log_memory_max_entries,
    )


def open_tokens(settings: Settings, *, read_only: bool) -> AbstractAsyncContextManager[TokenStore]:
    """Open the tokens of devices. Entering raises `StartError`."""
    url, timeout_ms = settings.database_url, settings.busy_timeout_ms
    if is_postgres(url):
        prepared = settings.database_prepared_statements
        return open_postgres_tokens(url, prepared_statements=prepared, busy_timeout_ms=timeout_ms)
    return open_sqlite_tokens(url, busy_timeout_ms=timeout_ms, read_only=read_only)


def database_file(settings: Settings) -> Path | None:
    """Return the file of a SQLite database; None for PostgreSQL."""
    return None if is_postgres(settings.database_url) else sqlite_path(settings.database_url)
