"""Change tables while other instances serve from them."""

import random
import time

import asyncpg
from sqlalchemy import Connection, inspect
from sqlalchemy.exc import DBAPIError

# Below PostgreSQL's own `deadlock_timeout`, a second: so it is never an instance that it ends.
_TRY_TIMEOUT_MS = 200
_PAUSE_MAX_SECONDS = 0.2
_GIVE_UP_SECONDS = 30.0


def hold_tables(connection: Connection) -> None:
    """Lock every table for the rest of the transaction, also against readers, or none.

    Tables that are locked one by one, as a migration changes them, may be waited for in a circle:
    by an instance that has the next one and waits for the last. Here they are let go in time, and
    tried again. Raises the database's error if that goes on for half a minute.
    """
    quote = connection.dialect.identifier_preparer.quote
    tables = ", ".join(quote(table) for table in sorted(inspect(connection).get_table_names()))
    give_up_at = time.monotonic() + _GIVE_UP_SECONDS
    while not _try_to_hold(connection, tables, is_last=time.monotonic() > give_up_at):
        time.sleep(random.uniform(0, _PAUSE_MAX_SECONDS))  # noqa: S311


def _try_to_hold(connection: Connection, tables: str, *, is_last: bool) -> bool:
    try:
        with connection.begin_nested():
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {_TRY_TIMEOUT_MS}")
            connection.exec_driver_sql(f"LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE")
    except DBAPIError as error:
        is_busy = isinstance(error.orig and error.orig.__cause__, asyncpg.LockNotAvailableError)
        if is_last or not is_busy:
            raise
        return False
    return True
