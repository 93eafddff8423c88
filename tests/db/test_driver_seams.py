"""The insides of drivers that `db/driver.py` uses are there, and do what it takes them for.

When one of these fails after an upgrade, its sentence says which inside has gone.
"""

import inspect
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import aiosqlite
import asyncpg
import pytest
from sqlalchemy import event, make_url
from sqlalchemy.engine import AdaptedConnection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from db.driver import (
    asyncpg_arguments,
    begin_nothing,
    driver_of,
    engine_arguments,
    is_lost,
    run_in_driver,
)
from tests.support.databases import PostgresDatabase

OF_ASYNCPG = inspect.signature(asyncpg.connect).parameters
NOWHERE = "postgresql+asyncpg://user@nowhere.invalid/none"


def gone(library: str, inside: str) -> str:
    return (
        f"{library} {version(library)} has no {inside} any more. db/driver.py needs another way; "
        f"until it has one, lower the bound of {library} in pyproject.toml."
    )


def takes_a_function(function: Any) -> bool:
    """Tell whether `function(connection, work, …)` can be called, and awaited."""
    if not inspect.iscoroutinefunction(function):
        return False
    try:
        inspect.signature(function).bind(None, print, 1, keyword=2)
    except TypeError:
        return False
    return True


INSIDES: dict[tuple[str, str], Callable[[], bool]] = {
    ("aiosqlite", "Connection._execute(function, …)"): lambda: takes_a_function(
        getattr(aiosqlite.Connection, "_execute", None)
    ),
    ("aiosqlite", "Connection._conn"): lambda: hasattr(aiosqlite.Connection, "_conn"),
    ("sqlalchemy", "AdaptedConnection.driver_connection"): lambda: hasattr(
        AdaptedConnection, "driver_connection"
    ),
    ("sqlalchemy", "create_connect_args of a dialect"): lambda: hasattr(
        make_url(NOWHERE).get_dialect(), "create_connect_args"
    ),
    ("asyncpg", "Connection.is_closed()"): lambda: hasattr(asyncpg.Connection, "is_closed"),
    ("asyncpg", "statement_cache_size for connect"): lambda: "statement_cache_size" in OF_ASYNCPG,
}


@pytest.mark.parametrize(("library", "inside"), INSIDES)
def test_inside_is_there(library: str, inside: str) -> None:
    assert INSIDES[library, inside](), gone(library, inside)


@asynccontextmanager
async def connected(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    try:
        async with engine.connect() as connection:
            yield connection
    finally:
        await engine.dispose()


def sqlite_engine(folder: Path) -> AsyncEngine:
    return create_async_engine(f"sqlite+aiosqlite:///{folder}/seams.db")


async def test_work_is_done_with_the_connection_of_sqlite3_in_its_thread(tmp_path: Path) -> None:
    def work(connection: object, given: int, *, keyword: int) -> tuple[bool, int, int]:
        is_there = isinstance(connection, sqlite3.Connection)
        return is_there, threading.get_ident(), given + keyword

    async with connected(sqlite_engine(tmp_path)) as connection:
        is_there, thread, result = await run_in_driver(connection, work, 1, keyword=2)
        assert is_there, gone("aiosqlite", "Connection._conn that is sqlite3's")
        assert result == 3
        assert thread != threading.get_ident(), gone("aiosqlite", "thread of a connection's own")
        assert isinstance(await driver_of(connection), aiosqlite.Connection), gone(
            "sqlalchemy", "driver_connection that is aiosqlite's"
        )


async def test_sqlite3_begins_no_transaction(tmp_path: Path) -> None:
    engine = sqlite_engine(tmp_path)

    @event.listens_for(engine.sync_engine, "connect")
    def configure(connection: Any, _record: object) -> None:
        begin_nothing(connection)

    def insert(connection: sqlite3.Connection) -> bool:
        connection.execute("CREATE TABLE soup (id)")
        connection.execute("INSERT INTO soup VALUES (1)")
        return connection.in_transaction

    async with connected(engine) as connection:
        assert not await run_in_driver(connection, insert), gone(
            "sqlalchemy", "isolation_level that reaches sqlite3's connection"
        )


async def test_engine_connects_as_it_is_told_to() -> None:
    asked: list[dict[str, Any]] = []

    async def connect(**given: Any) -> asyncpg.Connection:
        asked.append(given)
        raise OSError

    arguments = engine_arguments(connect, prepared_statements=False)
    with suppress(Exception):  # whatever comes of it
        async with connected(create_async_engine(NOWHERE, connect_args=arguments)):
            pass
    assert asked, gone("sqlalchemy", "async_creator_fn among the connect_args for asyncpg")
    assert set(asked[0]) <= set(OF_ASYNCPG), f"asyncpg doesn't know some of {sorted(asked[0])}."
    assert asked[0]["statement_cache_size"] == 0


def test_asyncpg_knows_all_arguments_that_a_url_gives() -> None:
    url = make_url(f"{NOWHERE}?prepared_statement_cache_size=5&command_timeout=7")
    given = asyncpg_arguments(url)
    assert {"host", "user", "database", "command_timeout"} <= set(given)
    assert set(given) <= set(OF_ASYNCPG), f"asyncpg doesn't know some of {sorted(given)}."


@pytest.mark.postgres
async def test_end_of_a_connection_is_seen(postgres: PostgresDatabase) -> None:
    engine = create_async_engine(postgres.url)
    seen = []

    @event.listens_for(engine.sync_engine, "checkout")
    def look(connection: Any, _record: object, _proxy: object) -> None:
        seen.append(is_lost(connection))

    async with connected(engine) as connection:
        driver: asyncpg.Connection = await driver_of(connection)
        assert isinstance(driver, asyncpg.Connection), gone(
            "sqlalchemy", "driver_connection that is asyncpg's"
        )
        driver.terminate()
        await connection.close()
        async with engine.connect():
            pass
    assert seen == [False, True], gone("asyncpg", "is_closed() that is true after the end")


@pytest.mark.postgres
@pytest.mark.parametrize("prepared_statements", [True, False])
async def test_statements_have_names_only_where_they_may(
    postgres: PostgresDatabase, prepared_statements: bool
) -> None:
    arguments = engine_arguments(asyncpg.connect, prepared_statements=prepared_statements)
    async with connected(create_async_engine(postgres.url, connect_args=arguments)) as connection:
        # With a name it finds itself, and what the driver has asked for itself.
        found = await connection.exec_driver_sql("SELECT name FROM pg_prepared_statements")
        named = found.all()
    assert bool(named) == prepared_statements, gone(
        "sqlalchemy", "prepared_statement_name_func and prepared_statement_cache_size as they were"
    )
