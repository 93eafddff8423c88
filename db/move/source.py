"""The SQLite side of a move: one snapshot of a database, whoever serves it meanwhile.

The process that serves is the only one that may write or checkpoint the file (see
`db.sqlite.engines`). So it is opened `mode=ro`: such a connection takes no lock but the readers',
and when it closes it neither checkpoints nor removes the write-ahead log.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Table

from db.errors import MoveError
from db.migrate import scripts
from db.records import LogHead
from db.sqlite.inspection import gap, is_bistro92, open_reading
from db.tables import access_tokens, log_entries, order_items, orders

Row = tuple[Any, ...]

_HEAD = (
    "SELECT epoch, last_seq, last_order_id, coalesce(created_at_us, 0) "
    "FROM log_head LEFT JOIN log_entries ON seq = last_seq"
)


@dataclass(frozen=True, slots=True)
class MovedTable:
    """A table that is copied row by row; `beside` is the end of its file's name if not the main."""

    table: Table
    beside: str = ""

    @property
    def name(self) -> str:
        """The table's name."""
        return self.table.name

    @property
    def columns(self) -> list[str]:
        """The names of its columns, in their order."""
        return [column.name for column in self.table.columns]


# In the order in which foreign keys allow it. The log's head is copied apart: it is there already.
MOVED_TABLES = (
    MovedTable(orders),
    MovedTable(order_items),
    MovedTable(log_entries),
    MovedTable(access_tokens, beside=".tokens"),
)


class Snapshot:
    """What a database held at one moment. A file beside it that doesn't exist holds no rows."""

    def __init__(self, files: Mapping[str, sqlite3.Connection]) -> None:
        self._files = files
        self.head = _read_head(files[""])

    def rows(self, moved: MovedTable) -> Iterator[Row]:
        """Return all rows of a table, in the order of its primary key."""
        connection = self._files.get(moved.beside)
        if connection is None:
            return iter(())
        key = ", ".join(column.name for column in moved.table.primary_key)
        query = f"SELECT {', '.join(moved.columns)} FROM {moved.name} ORDER BY {key}"  # noqa: S608
        return connection.execute(query)


@contextmanager
def open_snapshot(path: Path, tables: Iterable[MovedTable] = MOVED_TABLES) -> Iterator[Snapshot]:
    """Read a database as it is now; nothing is written, and a server of it goes on.

    Raises `MoveError` if it isn't a whole database of this version.
    """
    if not path.is_file():
        raise MoveError(f"There is no database {path}.")
    try:
        with ExitStack() as stack:
            files = {
                end: stack.enter_context(closing(_begin_reading(Path(f"{path}{end}"))))
                for end in {table.beside for table in tables} | {""}
                if not end or Path(f"{path}{end}").exists()
            }
            _check(files[""], path)
            yield Snapshot(files)
    except sqlite3.Error as error:
        raise MoveError(f"The database {path} can't be read: {error}.") from error


def newest_order(path: Path) -> int:
    """Return the number of the newest order now, 0 if it can't be read."""
    try:
        with closing(_begin_reading(path)) as connection:
            return _read_head(connection).order_id
    except sqlite3.Error:
        return 0


def _begin_reading(path: Path) -> sqlite3.Connection:
    """Connect, and begin to read: the snapshot is that of this moment."""
    connection = open_reading(path)
    connection.execute("PRAGMA mmap_size=0")
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return connection


def _check(connection: sqlite3.Connection, path: Path) -> None:
    if not is_bistro92(connection):
        raise MoveError(f"{path} is not a database of Bistro92.")
    expected = scripts().get_current_head()
    for (revision,) in connection.execute("SELECT version_num FROM alembic_version"):
        if revision != expected:
            raise MoveError(
                f"{path} has the tables of another version of Bistro92 (revision {revision}; this "
                f"version's is {expected}). Serve it with this version once, which migrates it."
            )
    head = _read_head(connection)
    if missing := gap(connection, head.seq, head.order_id):
        count, last = missing
        raise MoveError(f"{path} is damaged: it has {count} of the {last} that it counts.")


def _read_head(connection: sqlite3.Connection) -> LogHead:
    ((epoch, *numbers),) = connection.execute(_HEAD)
    return LogHead(bytes.fromhex(epoch), *numbers)
