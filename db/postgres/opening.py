"""Open a PostgreSQL database: any number of server processes share it, and one log."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncEngine

from db.database import Database
from db.migrate import migrate
from db.postgres.connecting import Target, check_server, name_of, postgres_url
from db.postgres.holding import hold_tables
from db.postgres.store import PostgresStore
from db.postgres.tail import Tail
from db.reader import OrderReader
from db.settings import DatabaseSettings
from db.shared_order_log import SharedOrderLog
from db.tokens import TokenStore

_CLOSE_TIMEOUT_SECONDS = 1.0


@asynccontextmanager
async def open_postgres(settings: DatabaseSettings) -> AsyncIterator[Database]:
    """Acquire everything in the order in which an order travels; release in reverse.

    It opens `reader_connections` to read with, one to write and one to listen on.
    """
    url, listen_url = _url_of(settings), _listen_url_of(settings)
    name, origin = name_of(url), secrets.token_hex(8)
    busy_timeout_ms = settings.busy_timeout_ms
    target = await _ready_target(settings)
    async with AsyncExitStack() as stack:
        writer_engine = target.engine(connections=1, busy_timeout_ms=busy_timeout_ms)
        stack.push_async_callback(_close, writer_engine)
        reader_engine = target.engine(
            connections=settings.reader_connections, busy_timeout_ms=busy_timeout_ms
        )
        stack.push_async_callback(_close, reader_engine)
        reader = OrderReader(reader_engine)
        log = await SharedOrderLog.load(reader, memory_max_entries=settings.log_memory_max_entries)
        stack.push_async_callback(log.close)
        listener = Target(listen_url, prepared_statements=False)
        tail = Tail(log, listener.connect, origin=origin, poll_seconds=settings.poll_seconds)
        await stack.enter_async_context(tail.running())
        store = PostgresStore(writer_engine, origin=origin, busy_timeout_ms=busy_timeout_ms)
        yield Database(name, store, reader, log)


@asynccontextmanager
async def open_postgres_tokens(settings: DatabaseSettings) -> AsyncIterator[TokenStore]:
    """Open the tokens, which are a table of the database; raises `StartError`."""
    target = await _ready_target(settings)
    engine = target.engine(connections=1, busy_timeout_ms=settings.busy_timeout_ms)
    try:
        creating = engine.execution_options(isolation_level="READ COMMITTED")
        yield TokenStore(engine, name_of(_url_of(settings)), creating=creating)
    finally:
        await _close(engine)


def _url_of(settings: DatabaseSettings) -> URL:
    return postgres_url(settings.url, "BISTRO92_DATABASE_URL")


def _listen_url_of(settings: DatabaseSettings) -> URL:
    if settings.listen_url is None:
        return _url_of(settings)
    return postgres_url(settings.listen_url, "BISTRO92_DATABASE_LISTEN_URL")


async def _ready_target(settings: DatabaseSettings) -> Target:
    """Return the database to connect to, once it is fit for that and has this version's tables."""
    url = _url_of(settings)
    target = Target(url, prepared_statements=settings.prepared_statements)
    await check_server(target, name_of(url))
    await _migrate(target, name_of(url))
    return target


async def _close(engine: AsyncEngine) -> None:
    # Each connection says goodbye, and a server that doesn't answer must not hold up the end.
    with suppress(TimeoutError):
        async with asyncio.timeout(_CLOSE_TIMEOUT_SECONDS):
            await engine.dispose()


async def _migrate(target: Target, name: str) -> None:
    engine = target.migration_engine()
    try:
        await migrate(engine, name, before_change=hold_tables)
    finally:
        await engine.dispose()
