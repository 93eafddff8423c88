"""Move a SQLite database to PostgreSQL, wholly or not at all.

Everything happens in one transaction: tables, rows, the log's head, and reading it all back to
compare. A move that fails or is killed leaves the target as it was. Meanwhile the transaction holds
the lock of those that migrate, so an instance that starts on the target waits for the outcome.
"""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import orjson
from sqlalchemy import String
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from db.driver import driver_of
from db.driver_errors import DRIVER_ERRORS
from db.errors import MoveError, StartError
from db.migrate import upgrade
from db.move.source import MOVED_TABLES, MovedTable, Row, Snapshot, newest_order, open_snapshot
from db.postgres.connecting import Target, name_of, postgres_url, refuse_encoding
from db.records import LogHead
from db.sqlite.lock import exclusive_lock, refuse_second_name

_READ_ROWS = 10_000
# A role's or a server's own limits are made for queries: not all servers have each of them.
_TAKE_TIME = """
SELECT set_config(name, '0', true) FROM pg_settings
 WHERE name IN ('statement_timeout', 'lock_timeout', 'transaction_timeout',
                'idle_in_transaction_session_timeout')
"""
_BE_DURABLE = """
SELECT set_config('synchronous_commit', 'on', true)
 WHERE current_setting('synchronous_commit') = 'off'
"""
_HEAD = "SELECT epoch, last_seq, last_order_id FROM log_head"


@dataclass(frozen=True, slots=True)
class Moved:
    """What was copied. `source_newest_order` is that of the source afterwards, if it is served."""

    source: Path
    target: str
    head: LogHead
    rows: dict[str, int]
    is_served: bool
    source_newest_order: int


class Checksum:
    """Counts rows and hashes their content, in the order in which they come."""

    def __init__(self) -> None:
        self.count = 0
        self._digest = hashlib.sha256()

    def passing(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Yield the rows, each after it was taken into account."""
        for row in rows:
            self.add(row)
            yield row

    def add(self, row: Row) -> None:
        """Take a row into account: JSON tells 1 from "1", and where a value ends."""
        self._digest.update(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
        self.count += 1

    def result(self) -> tuple[int, str]:
        """Return how many rows there were, and the hash."""
        return self.count, self._digest.hexdigest()


async def move(source: Path, url: str, *, prepared_statements: bool) -> Moved:
    """Copy a SQLite database, stopped or served, into an empty PostgreSQL database.

    The source is only read, as one snapshot; if nobody serves it, no server can begin to meanwhile.
    Every row is read back and compared before anything is committed. Raises `MoveError` and
    `StartError`, and the target is unchanged then, unless the message says that nobody knows.
    """
    parsed = postgres_url(url, "The target")
    target, name = Target(parsed, prepared_statements=prepared_statements), name_of(parsed)
    refuse_second_name(source)
    with _kept_from_starting(source) as is_served, open_snapshot(source) as snapshot:
        rows = await _fill(target, name, snapshot)
        head = snapshot.head
    newest = newest_order(source) if is_served else head.order_id
    return Moved(source, name, head, rows, is_served, max(newest, head.order_id))


@contextmanager
def _kept_from_starting(source: Path) -> Iterator[bool]:
    """Keep servers away from a database that none has; tell whether one (perhaps) has it."""
    with ExitStack() as stack:
        if not source.is_file():  # and leave no lock file either
            yield False
            return
        try:
            stack.enter_context(exclusive_lock(source))
            is_served = False
        except StartError:
            is_served = True
        yield is_served


async def _fill(target: Target, name: str, snapshot: Snapshot) -> dict[str, int]:
    engine = target.migration_engine()
    is_complete = False
    try:
        async with engine.begin() as connection:
            driver: asyncpg.Connection = await _prepare(connection, name)
            rows = {
                moved.name: await _copy(driver, moved, snapshot, name) for moved in MOVED_TABLES
            }
            await _move_head(driver, snapshot.head)
            await driver.execute(f"ANALYZE {', '.join(rows)}")
            is_complete = True
        return rows
    except DRIVER_ERRORS as error:
        outcome = (
            "It was lost while it committed: nobody knows whether it did. Run this again: a target "
            "that is complete is refused, as it is not empty"
            if is_complete
            else "It is unchanged"
        )
        cause = error.orig if isinstance(error, DBAPIError) else error
        reason = str(cause).strip().rstrip(".") or type(cause).__name__
        raise MoveError(f"The database {name} can't be filled: {reason}. {outcome}.") from error
    finally:
        await engine.dispose()


async def _prepare(connection: AsyncConnection, name: str) -> asyncpg.Connection:
    """Make the tables if they are missing, lock out writers, and refuse what isn't empty."""
    await connection.exec_driver_sql(_TAKE_TIME)
    await connection.exec_driver_sql(_BE_DURABLE)
    driver: asyncpg.Connection = await driver_of(connection)
    refuse_encoding(await driver.fetchval("SHOW server_encoding"), name)
    await connection.run_sync(upgrade, name)
    # An instance that serves the empty target must not create its first order between two of ours.
    last_seq = await driver.fetchval("SELECT last_seq FROM log_head FOR UPDATE")
    if last_seq != 0 or any([await _has_rows(driver, moved) for moved in MOVED_TABLES]):
        raise MoveError(
            f"The database {name} is not empty: its log is at {last_seq}. Name an empty one. It is "
            "unchanged."
        )
    return driver


async def _has_rows(driver: asyncpg.Connection, moved: MovedTable) -> bool:
    found: bool = await driver.fetchval(f"SELECT EXISTS (SELECT FROM {moved.name})")  # noqa: S608
    return found


async def _copy(
    driver: asyncpg.Connection, moved: MovedTable, snapshot: Snapshot, name: str
) -> int:
    """Copy a table, and read it back; return the number of its rows."""
    given, stored = Checksum(), Checksum()
    records = given.passing(snapshot.rows(moved))
    try:
        await driver.copy_records_to_table(moved.name, records=records, columns=moved.columns)
    except (TypeError, ValueError, OverflowError) as error:  # SQLite keeps any value in any column
        raise MoveError(
            f"Row {given.count} of {moved.name} holds what PostgreSQL can't: {error}."
        ) from error
    cursor = await driver.cursor(_in_order_of_key(moved))
    while found := await cursor.fetch(_READ_ROWS):
        for record in found:
            stored.add(tuple(record))
    if stored.result() != given.result():
        raise MoveError(
            f"The database {name} does not hold what it was given: {moved.name} has {stored.count} "
            f"rows of {given.count}, or others. A trigger? It is unchanged."
        )
    return stored.count


def _in_order_of_key(moved: MovedTable) -> str:
    # The order of SQLite, whatever the collation of the target is.
    key = ", ".join(
        f'{column.name} COLLATE "C"' if isinstance(column.type, String) else column.name
        for column in moved.table.primary_key
    )
    return f"SELECT {', '.join(moved.columns)} FROM {moved.name} ORDER BY {key}"  # noqa: S608


async def _move_head(driver: asyncpg.Connection, head: LogHead) -> None:
    values: tuple[Any, ...] = (head.epoch.hex(), head.seq, head.order_id)
    await driver.execute(
        "UPDATE log_head SET epoch = $1, last_seq = $2, last_order_id = $3", *values
    )
    if [tuple(row) for row in await driver.fetch(_HEAD)] != [values]:
        raise MoveError("The log's head is not what it was set to. The target is unchanged.")
