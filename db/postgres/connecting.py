"""Connect to a PostgreSQL server, or refuse it: how each connection and each pool is made."""

import logging
from typing import Any

import asyncpg
from sqlalchemy import URL, Connection, NullPool, event, make_url
from sqlalchemy.exc import ArgumentError, DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from db.driver import asyncpg_arguments, engine_arguments, is_lost
from db.driver_errors import DRIVER_ERRORS
from db.errors import StartError

logger = logging.getLogger("bistro92.postgres")

_DRIVER = "postgresql+asyncpg"
_CONNECT_TIMEOUT_SECONDS = 3.0
_READ_TIMEOUT_SECONDS = 5.0
_CHECKED_SETTINGS = (
    "fsync",
    "full_page_writes",
    "synchronous_commit",
    "default_transaction_isolation",
    "server_encoding",
)
# The second takes bytes as they are, and ours are UTF-8. All others lack characters.
_ENCODINGS = ("UTF8", "SQL_ASCII")
# Any number that no other program on the same database is likely to use: "bistro92" in ASCII.
_MIGRATION_LOCK = 0x62697374726F3932


def postgres_url(url: str, setting: str) -> URL:
    """Parse a URL; raises `StartError` without showing it: there may be a password in it."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        parsed = None
    if parsed is None or parsed.drivername != _DRIVER or not parsed.database:
        raise StartError(
            f"{setting} must be like {_DRIVER}://user:password@host:5432/database, with the name "
            "of a database."
        )
    return parsed


def name_of(url: URL) -> str:
    """Return what messages call a database: nothing of it is secret."""
    host = url.host or url.query.get("host", "localhost")
    return f"{url.database} on {host if isinstance(host, str) else ', '.join(host)}"


class Target:
    """Where to connect to, and how."""

    def __init__(self, url: URL, *, prepared_statements: bool) -> None:
        self._url = url
        self._prepared_statements = prepared_statements
        self._arguments = asyncpg_arguments(url)

    async def connect(self, **given: Any) -> asyncpg.Connection:
        """Connect; raises one of `DRIVER_ERRORS`."""
        connection: asyncpg.Connection = await asyncpg.connect(
            **{
                "timeout": _CONNECT_TIMEOUT_SECONDS,
                "command_timeout": _READ_TIMEOUT_SECONDS,
                **self._arguments,
                **given,
            }
        )
        return connection

    def engine(self, *, connections: int, busy_timeout_ms: int) -> AsyncEngine:
        """Create a pool. A statement is a transaction, as SQLAlchemy begins none."""
        engine = create_async_engine(
            self._url,
            pool_size=connections,
            max_overflow=0,
            pool_timeout=busy_timeout_ms / 1000,
            isolation_level="AUTOCOMMIT",
            skip_autocommit_rollback=True,
            pool_reset_on_return=None,
            # An error's message would quote them, and end in the logs: orders, keys.
            hide_parameters=True,
            connect_args=self._connect_args(),
        )

        @event.listens_for(engine.sync_engine, "checkout")
        def replace_lost(connection: Any, _record: object, _proxy: object) -> None:
            if is_lost(connection):
                raise DisconnectionError

        return engine

    def migration_engine(self) -> AsyncEngine:
        """Create an engine whose transactions wait for those of other starting processes."""
        engine = create_async_engine(
            self._url,
            poolclass=NullPool,
            hide_parameters=True,
            connect_args={**self._connect_args(), "command_timeout": None},
        )

        @event.listens_for(engine.sync_engine, "begin")
        def take_lock(connection: Connection) -> None:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")

        return engine

    def _connect_args(self) -> dict[str, Any]:
        return engine_arguments(self.connect, prepared_statements=self._prepared_statements)


async def check_server(target: Target, name: str) -> None:
    """Refuse a server that can't be used; warn of one that forgets what it has committed."""
    settings = await _settings_of(target, name)
    refuse_encoding(settings["server_encoding"], name)
    if settings["default_transaction_isolation"] != "read committed":
        # A batch has to see what others have committed while it waited for the log's head.
        raise StartError(
            f"default_transaction_isolation is '{settings['default_transaction_isolation']}' in "
            f"{name}; Bistro92 needs 'read committed', for its user or for the database."
        )
    for setting in ("fsync", "full_page_writes"):
        if settings[setting] != "on":
            logger.warning("%s is off in %s: a power cut can lose orders", setting, name)
    if settings["synchronous_commit"] == "off":
        logger.warning("synchronous_commit is off in %s; orders are committed with it on", name)


async def _settings_of(target: Target, name: str) -> dict[str, str]:
    try:
        connection = await target.connect(statement_cache_size=0)
        try:
            return {
                setting: await connection.fetchval(f"SHOW {setting}")
                for setting in _CHECKED_SETTINGS
            }
        finally:
            connection.terminate()
    except DRIVER_ERRORS as error:
        raise StartError(f"The database {name} can't be reached: {_reason(error)}.") from error


def refuse_encoding(encoding: str, name: str) -> None:
    """Raise `StartError` if a database with this encoding can't hold every character.

    An order with one that it lacks would be refused as if it would be taken later.
    """
    if encoding not in _ENCODINGS:
        raise StartError(
            f"The encoding of the database {name} is {encoding}, which lacks characters that "
            "orders may have. Use one with UTF8, for example: createdb --encoding UTF8 --template "
            "template0 NAME."
        )


def _reason(error: BaseException) -> str:
    return str(error).strip().rstrip(".") or type(error).__name__
