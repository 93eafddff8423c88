"""What we use of the drivers and of SQLAlchemy below its public face, named in this one place.

Nobody promised us these. `tests/db/test_driver_seams.py` looks for each of them in the versions
that are installed, and `pyproject.toml` keeps newer ones away until somebody has looked.
"""

import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncConnection

P = ParamSpec("P")
T = TypeVar("T")

# What SQLAlchemy takes out of a URL for itself, and asyncpg doesn't know.
_NOT_ASYNCPGS = ("prepared_statement_cache_size", "prepared_statement_name_func")


async def driver_of(connection: AsyncConnection) -> Any:
    """Return the connection of aiosqlite or asyncpg below.

    Its statements begin no transaction by themselves.
    """
    return (await connection.get_raw_connection()).driver_connection


async def run_in_driver(
    connection: AsyncConnection,
    work: Callable[Concatenate[sqlite3.Connection, P], T],
    *arguments: P.args,
    **keywords: P.kwargs,
) -> T:
    """Run a function with the `sqlite3` connection below, in the thread that it belongs to.

    Once begun it runs to its end, whether or not the caller is cancelled.
    """
    driver = await driver_of(connection)
    # aiosqlite has no public way to run more than one statement in a visit.
    result: T = await driver._execute(work, driver._conn, *arguments, **keywords)
    return result


def begin_nothing(connection: Any) -> None:
    """Keep `sqlite3` from beginning transactions of its own, so that ours are the only ones.

    `connection` is what SQLAlchemy's event `connect` brings.
    """
    connection.isolation_level = None


def is_lost(connection: Any) -> bool:
    """Tell whether asyncpg has seen the end of a connection, for example of the server's restart.

    `connection` is what SQLAlchemy's event `checkout` brings.
    """
    lost: bool = connection.driver_connection.is_closed()
    return lost


def asyncpg_arguments(url: URL) -> dict[str, Any]:
    """Return what `asyncpg.connect` has to be called with to reach a URL."""
    _, arguments = url.get_dialect()().create_connect_args(url)
    return {name: value for name, value in arguments.items() if name not in _NOT_ASYNCPGS}


def engine_arguments(
    connect: Callable[..., Awaitable[Any]], *, prepared_statements: bool
) -> dict[str, Any]:
    """Return the `connect_args` of an engine whose connections to asyncpg `connect` makes."""
    # The public `async_creator` would leave no way to pass on the others.
    arguments: dict[str, Any] = {"async_creator_fn": connect}
    if not prepared_statements:
        # A name would be known to one of PgBouncer's servers only; no name lives for one query.
        arguments |= {
            "statement_cache_size": 0,
            "prepared_statement_cache_size": 0,
            "prepared_statement_name_func": lambda: "",
        }
    return arguments
