"""Open a PostgreSQL database: any number of server processes share it, and one log."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from sqlalchemy.ext.asyncio import AsyncEngine

from db.database import Database
from db.migrate import migrate
from db.postgres.connecting import Target, check_server, name_of, postgres_url
from db.postgres.store import PostgresStore
from db.postgres.tail import Tail
from db.reader import OrderReader
from db.shared_order_log import SharedOrderLog
from db.tokens import TokenStore

_CLOSE_TIMEOUT_SECONDS = 1.0


def is_postgres(url: str) -> bool:
    """Tell whether a database URL names a PostgreSQL database."""
    return url.startswith("postgres")


@asynccontextmanager
async def open_postgres(
    url: str,
    *,
    listen_url: str | None,
    poll_seconds: float,
    prepared_statements: bool,
    reader_connections: int,
    busy_timeout_ms: int,
    log_memory_max_entries: int,
) -> AsyncIterator[Database]:
    """Acquire everything in the order in which an order travels; release in reverse.

    It opens `reader_connections` to read with, one to write and one to listen on.
    """
    parsed = postgres_url(url, "BISTRO92_DATABASE_URL")
    listen = (
        parsed if listen_url is None else postgres_url(listen_url, "BISTRO92_DATABASE_LISTEN_URL")
    )
    name, origin = name_of(parsed), secrets.token_hex(8)
    target = Target(parsed, prepared_statements=prepared_statements)
    await check_server(target, name)
    await _migrate(target, name)
    async with AsyncExitStack() as stack:
        writer_engine = target.engine(connections=1, busy_timeout_ms=busy_timeout_ms)
        stack.push_async_callback(_close, writer_engine)
        reader_engine = target.engine(
            connections=reader_connections, busy_timeout_ms=busy_timeout_ms
        )
        stack.push_async_callback(_close, reader_engine)
        reader = OrderReader(reader_engine)
        log = await SharedOrderLog.load(reader, memory_max_entries=log_memory_max_entries)
        stack.push_async_callback(log.close)
        listener = Target(listen, prepared_statements=False)
        tail = Tail(log, listener.connect, origin=origin, poll_seconds=poll_seconds)
        await stack.enter_async_context(tail.running())
        store = PostgresStore(writer_engine, origin=origin, busy_timeout_ms=busy_timeout_ms)
        yield Database(name, store, reader, log)


@asynccontextmanager
async def open_postgres_tokens(
    url: str, *, prepared_statements: bool, busy_timeout_ms: int
) -> AsyncIterator[TokenStore]:
    """Open the tokens, which are a table of the database; raises `StartError`."""
    parsed = postgres_url(url, "BISTRO92_DATABASE_URL")
    target = Target(parsed, prepared_statements=prepared_statements)
    await check_server(target, name_of(parsed))
    await _migrate(target, name_of(parsed))
    engine = target.engine(connections=1, busy_timeout_ms=busy_timeout_ms)
    try:
        creating = engine.execution_options(isolation_level="READ COMMITTED")
        yield TokenStore(engine, name_of(parsed), creating=creating)
    finally:
        await _close(engine)


async def _close(engine: AsyncEngine) -> None:
    # Each connection says goodbye, and a server that doesn't answer must not hold up the end.
    with suppress(TimeoutError):
        async with asyncio.timeout(_CLOSE_TIMEOUT_SECONDS):
            await engine.dispose()


async def _migrate(target: Target, name: str) -> None:
    engine = target.migration_engine()
    try:
        await migrate(engine, name)
    finally:
        await engine.dispose()
