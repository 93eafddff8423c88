"""Open the database that a URL names: the only place that asks which kind it is."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

from db.database import Database
from db.postgres.opening import open_postgres, open_postgres_tokens
from db.settings import DatabaseSettings
from db.sqlite.checkpoint import wal_bytes
from db.sqlite.engines import sqlite_path
from db.sqlite.opening import open_sqlite, open_sqlite_tokens
from db.tokens import TokenStore


def open_database(settings: DatabaseSettings) -> AbstractAsyncContextManager[Database]:
    """Open the orders and their log. Entering raises `StartError`."""
    return open_postgres(settings) if _is_postgres(settings) else open_sqlite(settings)


def open_tokens(
    settings: DatabaseSettings, *, read_only: bool
) -> AbstractAsyncContextManager[TokenStore]:
    """Open the tokens of devices. Entering raises `StartError`."""
    if _is_postgres(settings):
        return open_postgres_tokens(settings)
    return open_sqlite_tokens(settings, read_only=read_only)


def database_file(settings: DatabaseSettings) -> Path | None:
    """Return the file of a SQLite database; None for PostgreSQL. Raises `StartError`."""
    return None if _is_postgres(settings) else sqlite_path(settings.url)


def wal_size_of(settings: DatabaseSettings) -> Callable[[], int] | None:
    """Return what tells the bytes of SQLite's write-ahead log, in any thread; None for PostgreSQL.

    Raises `StartError`.
    """
    file = database_file(settings)
    return None if file is None else partial(wal_bytes, file)


def _is_postgres(settings: DatabaseSettings) -> bool:
    return settings.url.startswith("postgres")
