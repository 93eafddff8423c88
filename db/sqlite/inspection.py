"""Read a database file that may be served: whether it is sound, and Bistro92's."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from db.errors import BackupError
from db.migrate import scripts

_HEAD = "SELECT last_seq, last_order_id FROM log_head"
# Numbers have no gaps, and the head is the last of each: else something is missing or too much.
_EXTENTS = (
    "SELECT count(*), coalesce(min(seq), 1), coalesce(max(seq), 0) FROM log_entries",
    "SELECT count(*), coalesce(min(id), 1), coalesce(max(id), 0) FROM orders",
)


@dataclass(frozen=True, slots=True)
class LogSize:
    """What a database holds: the number of its newest log entry, and of its newest order."""

    last_seq: int
    last_order_id: int


def open_reading(path: Path) -> sqlite3.Connection:
    """Connect as one that can't write, and that leaves the write-ahead log when it closes."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)


def is_bistro92(connection: sqlite3.Connection) -> bool:
    """Tell whether a database has the tables that every version has."""
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    return {"alembic_version", "log_head"} <= {name for (name,) in tables}


def gap(
    connection: sqlite3.Connection, last_seq: int, last_order_id: int
) -> tuple[int, int] | None:
    """Return how many entries or orders there are, of how many; None if none is missing."""
    for last, extent in zip((last_seq, last_order_id), _EXTENTS, strict=True):
        count, first, newest = connection.execute(extent).fetchone()
        if newest != last or count != last - first + 1:
            return count, last
    return None


def check(path: Path, name: Path) -> LogSize:
    """Read all of a database that nobody else has open, and return what it holds.

    `name` is what messages call it.

    Raises `BackupError` if it is damaged, incomplete, from a newer version, or not Bistro92's, and
    `sqlite3.Error` if it can't be read.
    """
    with closing(open_reading(path)) as connection:
        _check_revision(connection, name)
        for pragma in ("integrity_check(1)", "foreign_key_check"):
            problems = connection.execute(f"PRAGMA {pragma}").fetchmany(1)
            if problems and problems != [("ok",)]:
                raise BackupError(f"{name} is damaged: {problems[0]}.")
        return _check_log(connection, name)


def _check_revision(connection: sqlite3.Connection, name: Path) -> None:
    if not is_bistro92(connection):
        raise BackupError(f"{name} is not a database of Bistro92.")
    known = {script.revision for script in scripts().walk_revisions()}
    for (revision,) in connection.execute("SELECT version_num FROM alembic_version"):
        if revision not in known:
            raise BackupError(f"{name} is from a newer version of Bistro92 (revision {revision}).")


def _check_log(connection: sqlite3.Connection, name: Path) -> LogSize:
    heads = connection.execute(_HEAD).fetchall()
    if len(heads) != 1:
        raise BackupError(f"{name} is damaged: the head of its log is missing.")
    if missing := gap(connection, *heads[0]):
        count, last = missing
        raise BackupError(f"{name} is damaged: its log has {count} of the {last} that it counts.")
    return LogSize(*heads[0])
