"""Open a SQLite file: the database of one server process, with nothing to install."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from db.database import Database
from db.migrate import migrate
from db.order_log import OrderLog
from db.reader import OrderReader
from db.settings import DatabaseSettings
from db.sqlite.checkpoint import Checkpointer
from db.sqlite.engines import (
    create_migration_engine,
    create_reader_engine,
    create_token_engine,
    create_token_reader_engine,
    create_writer_engine,
    given_path,
    open_writer,
    sqlite_path,
)
from db.sqlite.lock import exclusive_lock, refuse_second_name
from db.sqlite.served_file import ServedFile
from db.sqlite.store import SqliteStore
from db.tokens import TokenStore

_TOKEN_MIGRATIONS = Path(__file__).parent / "access_migrations"


@asynccontextmanager
async def open_sqlite(settings: DatabaseSettings) -> AsyncIterator[Database]:
    """Acquire everything in the order in which an order travels; release in reverse."""
    path, busy_timeout_ms = sqlite_path(settings.url), settings.busy_timeout_ms
    async with AsyncExitStack() as stack:
        refuse_second_name(path)
        stack.enter_context(exclusive_lock(path, create=True))
        file = ServedFile(given_path(settings.url), path)
        stack.callback(file.put_wal_aside)
        migration_engine = create_migration_engine(path, busy_timeout_ms=busy_timeout_ms)
        try:
            await migrate(migration_engine, str(path))
        finally:
            await migration_engine.dispose()
        file.check_at_start()
        writer_engine = create_writer_engine(path, busy_timeout_ms=busy_timeout_ms)
        # The writer's connection closes last: the last one to close checkpoints.
        stack.push_async_callback(writer_engine.dispose)
        await open_writer(writer_engine, path)
        file.know_companions()
        checkpointer = Checkpointer(writer_engine, file, wal_max_bytes=settings.wal_max_bytes)
        stack.push_async_callback(checkpointer.run)
        reader_engine = create_reader_engine(
            path, connections=settings.reader_connections, busy_timeout_ms=busy_timeout_ms
        )
        stack.push_async_callback(reader_engine.dispose)
        # A connection that is opened late would be one to whatever has the names by then.
        reader = OrderReader(reader_engine, file.check)
        file.check_at_start()
        log = await OrderLog.load(reader, memory_max_entries=settings.log_memory_max_entries)
        file.when_gone(log.end)
        await stack.enter_async_context(file.watched())
        store = SqliteStore(writer_engine, file)
        yield Database(str(path), store, reader, log, checkpointer.run_if_due)


@asynccontextmanager
async def open_sqlite_tokens(
    settings: DatabaseSettings, *, read_only: bool
) -> AsyncIterator[TokenStore]:
    """Open the tokens that belong to an orders database; raises `StartError`.

    Their file is created if it isn't there. Any number of processes may have it open.
    """
    orders, busy_timeout_ms = sqlite_path(settings.url), settings.busy_timeout_ms
    # Beside another name of the file they would be read by no server.
    refuse_second_name(orders)
    path = Path(f"{orders}.tokens")
    engine = create_token_engine(path, busy_timeout_ms=busy_timeout_ms)
    try:
        await migrate(engine, str(path), _TOKEN_MIGRATIONS)
        if read_only:
            await engine.dispose()
            engine = create_token_reader_engine(path, busy_timeout_ms=busy_timeout_ms)
        yield TokenStore(engine, str(path))
    finally:
        await engine.dispose()
