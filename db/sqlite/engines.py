"""Engines for one SQLite file: one connection that commits and checkpoints, and readers that can't.

SQLite before 3.51.3 can corrupt a WAL database when two connections write or checkpoint at the
same moment (sqlite.org/wal.html, "WAL-reset bug"). Everything here serves that rule: the writer
engine has a single connection, readers are `query_only` and never checkpoint, and a lock file
keeps other server processes out.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from db.driver import begin_nothing, driver_of
from db.errors import StartError
from db.sqlite.served_file import identity

_SHARED_PRAGMAS = (
    # A mapped file turns an I/O error into a crash and widens the WAL-reset bug.
    "PRAGMA mmap_size=0",
    "PRAGMA temp_store=MEMORY",
    "PRAGMA cache_size=-8000",
)
_WRITER_PRAGMAS = (
    *_SHARED_PRAGMAS,
    "PRAGMA synchronous=FULL",
    # macOS: without it fsync() leaves the data in the drive's cache.
    "PRAGMA fullfsync=ON",
    # Automatic checkpoints are passive and starve under constant readers: `db.sqlite.checkpoint`.
    "PRAGMA wal_autocheckpoint=0",
)
# SQLAlchemy begins nothing, so there is nothing to roll back: saves visits to the driver's thread.
_WITHOUT_TRANSACTIONS: dict[str, Any] = {
    "isolation_level": "AUTOCOMMIT",
    "skip_autocommit_rollback": True,
    "pool_reset_on_return": None,
}
# An error's message would quote them, and end in the logs: orders, keys.
_HIDE_PARAMETERS = True
_READER_PRAGMAS = (*_SHARED_PRAGMAS, "PRAGMA query_only=ON")


def given_path(url: str) -> Path:
    """Return the database file that a `sqlite+aiosqlite` URL names, links and all.

    Raises `StartError` for other databases and for databases in memory.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise StartError(
            "BISTRO92_DATABASE_URL is not a database URL. Examples: "
            "sqlite+aiosqlite:///bistro92.db, postgresql+asyncpg://user:password@host/database"
        ) from None
    if parsed.drivername != "sqlite+aiosqlite":
        raise StartError(
            f"{parsed.drivername!r} databases are not supported: BISTRO92_DATABASE_URL must begin "
            "with sqlite+aiosqlite:/// or postgresql+asyncpg://"
        )
    name = parsed.database
    if not name or name == ":memory:" or name.startswith("file:") or parsed.query:
        raise StartError(
            "The database must be a plain file: orders have to survive the process. "
            "Example: sqlite+aiosqlite:///bistro92.db"
        )
    try:
        return Path(name).absolute()
    except FileNotFoundError:
        raise StartError("The folder that this was started in is no more.") from None


def sqlite_path(url: str) -> Path:
    """Return the database file that a `sqlite+aiosqlite` URL leads to.

    Raises `StartError` for what can be none: see `given_path`; folders that don't exist.
    """
    given = given_path(url)
    try:
        path = given.resolve()
    except (ValueError, OSError, RuntimeError) as error:  # a null character, links in a circle
        raise StartError(f"The database {str(given)!r} can be no file: {error}.") from None
    try:
        _refuse_no_file(path)
    except OSError as error:  # a folder that may not be entered
        raise StartError(f"The database {path} can't be looked at: {error.strerror}.") from error
    return path


def _refuse_no_file(path: Path) -> None:
    if not path.parent.is_dir():
        raise StartError(f"The folder of the database {path} does not exist. Create it first.")
    if path.is_dir():
        raise StartError(f"The database {path} is a folder; it must be a file.")
    if path.exists() and not path.is_file():
        raise StartError(f"The database {path} is no ordinary file; it must be a file.")


def _url(path: Path) -> URL:
    # Not written as text: `?` would end the name there, and `%41` would be read as `A`.
    return URL.create("sqlite+aiosqlite", database=str(path))


def _on_connect(engine: AsyncEngine, pragmas: Sequence[str]) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def configure(dbapi_connection: Any, _record: object) -> None:
        begin_nothing(dbapi_connection)
        cursor = dbapi_connection.cursor()
        for pragma in pragmas:
            cursor.execute(pragma)
        cursor.close()


def create_writer_engine(path: Path, *, busy_timeout_ms: int) -> AsyncEngine:
    """Create the engine of the one connection that writes. See `db.sqlite.store`."""
    engine = create_async_engine(
        _url(path),
        pool_size=1,
        max_overflow=0,
        hide_parameters=_HIDE_PARAMETERS,
        **_WITHOUT_TRANSACTIONS,
    )
    # Foreign keys are not checked: a batch's rows are made together from one list, and to look each
    # of them up in the table of orders takes as long as to insert it when there are many orders.
    pragmas = ("PRAGMA journal_mode=WAL", *_WRITER_PRAGMAS)
    _on_connect(engine, (f"PRAGMA busy_timeout={busy_timeout_ms}", *pragmas))
    return engine


async def open_writer(engine: AsyncEngine, path: Path) -> None:
    """Connect the writer, before any reader: only then can the file become a WAL database."""
    try:
        async with engine.connect() as connection:
            driver = await driver_of(connection)
            ((mode,),) = await driver.execute_fetchall("PRAGMA journal_mode")
            # SQLite opens what is beside the file with the first read: see `db.sqlite.served_file`.
            await driver.execute_fetchall("SELECT count(*) FROM sqlite_master")
    except DBAPIError as error:
        raise StartError(f"The database {path} can't be opened: {error.orig}.") from error
    if mode != "wal":
        raise StartError(f"The database {path} is on a file system where SQLite can't use WAL.")


def create_migration_engine(path: Path, *, busy_timeout_ms: int) -> AsyncEngine:
    """Create the engine that migrations run on, to be disposed before the writer's is used.

    It leaves a database that is refused as it was (the journal mode is part of the file), and
    checks no foreign keys: SQLite alters a table by copying it, which drops the one they point to.
    """
    return _create_writing_engine(path, busy_timeout_ms, _WRITER_PRAGMAS)


def create_token_engine(path: Path, *, busy_timeout_ms: int) -> AsyncEngine:
    """Create the engine on which commands write the tokens' database, also while it is served.

    Other processes have it open, so it never gets a write-ahead log: the WAL-reset bug needs one.
    """
    pragmas = ("PRAGMA journal_mode=DELETE", *_SHARED_PRAGMAS, "PRAGMA synchronous=FULL")
    return _create_writing_engine(path, busy_timeout_ms, pragmas)


def create_token_reader_engine(path: Path, *, busy_timeout_ms: int) -> AsyncEngine:
    """Create the engine on which a server reads the tokens' database.

    It connects anew to a file that was put in the place of another.
    """
    engine = create_reader_engine(path, connections=1, busy_timeout_ms=busy_timeout_ms)

    @event.listens_for(engine.sync_engine, "connect")
    def remember_file(_connection: object, record: ConnectionPoolEntry) -> None:
        record.info["file"] = identity(path.stat())

    @event.listens_for(engine.sync_engine, "checkout")
    def check_file(_connection: object, record: ConnectionPoolEntry, _proxy: object) -> None:
        # An open file outlives its name: tokens revoked in the new one would stay valid.
        if identity(path.stat()) != record.info["file"]:
            raise DisconnectionError

    return engine


def _create_writing_engine(path: Path, busy_timeout_ms: int, pragmas: Sequence[str]) -> AsyncEngine:
    engine = create_async_engine(
        _url(path), pool_size=1, max_overflow=0, hide_parameters=_HIDE_PARAMETERS
    )
    _on_connect(engine, (f"PRAGMA busy_timeout={busy_timeout_ms}", *pragmas))

    @event.listens_for(engine.sync_engine, "begin")
    def begin_immediate(connection: Connection) -> None:
        # A deferred transaction that writes after a read fails at once with "database is
        # locked": the busy timeout does not apply to that step.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def create_reader_engine(path: Path, *, connections: int, busy_timeout_ms: int) -> AsyncEngine:
    """Create the pool of readers. Each statement is its own snapshot; none stays open."""
    engine = create_async_engine(
        _url(path),
        pool_size=connections,
        max_overflow=0,
        pool_timeout=busy_timeout_ms / 1000,
        hide_parameters=_HIDE_PARAMETERS,
        **_WITHOUT_TRANSACTIONS,
    )
    _on_connect(engine, (f"PRAGMA busy_timeout={busy_timeout_ms}", *_READER_PRAGMAS))
    return engine
